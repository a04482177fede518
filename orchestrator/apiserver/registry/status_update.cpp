// SPDX-License-Identifier: Apache-2.0
// What a status may say of its object (ValidatePodStatusUpdate, ValidateNamespaceStatusUpdate,
// ValidateLoadBalancerStatus of Kubernetes' pkg/apis/core/validation).
#include "base/address.h"
#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/service_spec.h"

namespace fairlead::orchestrator::apiserver {
namespace {

void validate_pod_class(const Json& pod, const Json& before, std::vector<Cause>& causes) {
  const Json& now = at_path(pod, "status.qosClass");
  if (now != at_path(before, "status.qosClass"))
    causes.push_back(invalid_value("status.qosClass", go_value(now), "field is immutable"));
}

void validate_phase(const Json& ns, std::vector<Cause>& causes) {
  const Json& phase = at_path(ns, "status.phase");
  const bool stays = at_path(ns, "metadata.deletionTimestamp").is_null();
  if (phase == (stays ? "Active" : "Terminating")) return;
  causes.push_back(
      invalid_value("status.Phase", go_value(phase),
                    stays ? "may only be 'Active' if `deletionTimestamp` is empty"
                          : "may only be 'Terminating' if `deletionTimestamp` is not empty"));
}

void validate_ingress(const Json& ingress, const std::string& path, std::vector<Cause>& causes) {
  const bool has_ip = !is_empty(at(ingress, "ip"));
  const bool has_mode = !is_empty(at(ingress, "ipMode"));
  const std::string mode = schema::join(path, "ipMode");
  if (has_ip && !has_mode) causes.push_back(required(mode, "must be specified when `ip` is set"));
  if (has_mode && !has_ip)
    causes.push_back(forbidden_field(mode, "may not be specified when `ip` is not set"));
  const std::string host = string_at(ingress, "hostname");
  if (host.empty()) return;
  const std::string where = schema::join(path, "hostname");
  if (auto wrong = schema::check_dns1123_subdomain(host))
    causes.push_back(invalid_value(where, go_value(host), *wrong));
  if (IpAddress::parse(host).ok())
    causes.push_back(invalid_value(where, go_value(host), "must be a DNS name, not an IP address"));
}

void validate_load_balancer(const Json& service, std::vector<Cause>& causes) {
  const Json& ingress = at_path(service, "status.loadBalancer.ingress");
  const std::string path = "status.loadBalancer.ingress";
  if (!is_empty(ingress) && !schema::is_load_balancer(at(service, "spec"))) {
    causes.push_back(forbidden_field(path, "may only be used when `spec.type` is 'LoadBalancer'"));
    return;
  }
  for (size_t i = 0; i < ingress.size(); ++i)
    validate_ingress(ingress[i], schema::indexed(path, i), causes);
}

}  // namespace

void validate_status_update(const Kind& kind, const Json& object, const Json& before,
                            std::vector<Cause>& causes) {
  switch (kind.behaviour) {
    case Behaviour::kPlain:
    case Behaviour::kEvent:
    case Behaviour::kNode:
      break;
    case Behaviour::kNamespace:
      validate_phase(object, causes);
      break;
    case Behaviour::kPod:
      validate_pod_class(object, before, causes);
      break;
    case Behaviour::kService:
      validate_load_balancer(object, causes);
      break;
  }
}

}  // namespace fairlead::orchestrator::apiserver
