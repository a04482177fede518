// SPDX-License-Identifier: Apache-2.0
// Pods and Services: what creating and updating them means beyond their data
// (Kubernetes pkg/registry/core/{pod,service}, pkg/apis/core/validation).
#include <algorithm>

#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver {
namespace {

// Compute resources decide the class; others do not count.
constexpr const char* kCompute[] = {"cpu", "memory"};

bool positive(const Json& amount) {
  if (!amount.is_string()) return false;
  const auto quantity = Quantity::parse(amount.get<std::string>());
  return quantity && *quantity > Quantity();
}

bool needs_cluster_ip(const Json& service) {
  return string_at(service, "spec.type") != "ExternalName";
}

bool needs_node_ports(const Json& service) {
  const std::string type = string_at(service, "spec.type");
  return type == "NodePort" ||
         (type == "LoadBalancer" && bool_at(service, "spec.allocateLoadBalancerNodePorts", true));
}

// A pod stays on a node that fell silent for five minutes, unless it says otherwise
// (Kubernetes plugin/pkg/admission/defaulttolerationseconds).
void tolerate_for_a_while(Json& spec, const char* taint) {
  constexpr int kSeconds = 300;
  Json& tolerations = spec["tolerations"];
  if (!tolerations.is_array()) tolerations = Json::array();
  for (const Json& toleration : tolerations) {
    const std::string key = string_at(toleration, "key");
    const std::string effect = string_at(toleration, "effect");
    if ((key.empty() || key == taint) && (effect.empty() || effect == "NoExecute")) return;
  }
  tolerations.push_back({{"key", taint},
                         {"operator", "Exists"},
                         {"effect", "NoExecute"},
                         {"tolerationSeconds", kSeconds}});
}

// A pod's spec with what an update may change taken from `from`.
Json with_changeable(Json spec, const Json& from) {
  for (const char* list : {"containers", "initContainers"}) {
    const Json& others = at(from, list);
    if (!at(spec, list).is_array() || !others.is_array() || others.size() != spec[list].size())
      continue;
    for (size_t i = 0; i < others.size(); ++i) spec[list][i]["image"] = at(others[i], "image");
  }
  for (const char* name : {"activeDeadlineSeconds", "schedulingGates", "tolerations"}) {
    if (at(from, name).is_null())
      spec.erase(name);
    else
      spec[name] = at(from, name);
  }
  return spec;
}

// Fields that only the old type had go with it, unless the client changed them (and is told off).
void drop_of_old_type(Json& spec, const Json& old) {
  const auto drop_if_same = [&](const char* name) {
    if (at(spec, name) == at(old, name)) spec.erase(name);
  };
  const std::string type = string_at(spec, "type");
  const std::string old_type = string_at(old, "type");
  if (type == old_type) return;
  if (type == "ExternalName")
    for (const char* name : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
      drop_if_same(name);
  if (type != "LoadBalancer")
    for (const char* name :
         {"allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass"})
      drop_if_same(name);
  if (type == "NodePort" || type == "LoadBalancer") return;
  if (is_empty(at(spec, "externalIPs"))) drop_if_same("externalTrafficPolicy");
  if (!at(spec, "ports").is_array() || !at(old, "ports").is_array()) return;
  for (Json& port : spec["ports"])
    for (const Json& other : old["ports"])
      if (at(port, "port") == at(other, "port") && at(port, "nodePort") == at(other, "nodePort"))
        port.erase("nodePort");
}

bool only_adds(const Json& now, const Json& before) {
  if (!before.is_array()) return true;
  return std::all_of(before.begin(), before.end(), [&](const Json& one) {
    return now.is_array() && std::find(now.begin(), now.end(), one) != now.end();
  });
}

}  // namespace

std::string qos_class(const Json& spec) {
  bool any = false, guaranteed = true;
  for (const char* list : {"containers", "initContainers"}) {
    if (!at(spec, list).is_array()) continue;
    for (const Json& container : spec[list])
      for (const char* name : kCompute) {
        const Json& request = at(at_path(container, "resources.requests"), name);
        const Json& limit = at(at_path(container, "resources.limits"), name);
        any = any || positive(request) || positive(limit);
        guaranteed = guaranteed && positive(limit) && (request.is_null() || request == limit);
      }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_pod_create(Json& pod) {
  pod["status"] = {{"phase", "Pending"}};
  for (const char* taint : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
    tolerate_for_a_while(pod["spec"], taint);
}

void validate_pod_update(const Json& pod, const Json& before, std::vector<Cause>& causes) {
  const Json& now = at(pod, "spec");
  const Json& then = at(before, "spec");
  if (now == then) return;
  if (!only_adds(at(now, "tolerations"), at(then, "tolerations")))
    causes.push_back(
        forbidden_field("spec.tolerations",
                        "existing toleration can not be modified except its tolerationSeconds"));
  if (with_changeable(now, then) == then) return;
  causes.push_back(
      forbidden_field("spec",
                      "pod updates may not change fields other than `spec.containers[*].image`,"
                      "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec."
                      "tolerations` (only additions "
                      "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to "
                      "be set to 1 if it was "
                      "previously negative)"));
}

// What was allocated stays where the client's document is silent.
void carry_service_values(Json& service, const Json& before) {
  if (!service.contains("spec") || !service["spec"].is_object()) service["spec"] = Json::object();
  Json& spec = service["spec"];
  const Json& old = at(before, "spec");
  if (is_empty(at(spec, "type"))) spec["type"] = "ClusterIP";
  drop_of_old_type(spec, old);
  if (needs_cluster_ip(service) && needs_cluster_ip(before)) {
    if (is_empty(at(spec, "clusterIP")) && is_empty(at(spec, "clusterIPs")))
      for (const char* name : {"clusterIP", "clusterIPs"})
        if (old.contains(name)) spec[name] = old[name];
    for (const char* name : {"ipFamilies", "ipFamilyPolicy"})
      if (is_empty(at(spec, name)) && old.contains(name)) spec[name] = old[name];
  }
  if (!needs_node_ports(service) || !needs_node_ports(before)) return;
  if (!at(spec, "ports").is_array() || !at(old, "ports").is_array()) return;
  for (Json& port : spec["ports"]) {
    if (int_at(port, "nodePort") != 0) continue;
    const std::string protocol =
        is_empty(at(port, "protocol")) ? "TCP" : string_at(port, "protocol");
    for (const Json& other : old["ports"])
      if (at(other, "port") == at(port, "port") && string_at(other, "protocol") == protocol &&
          int_at(other, "nodePort") != 0)
        port["nodePort"] = other["nodePort"];
  }
}

void validate_service_update(const Json& service, const Json& before, std::vector<Cause>& causes) {
  if (!needs_cluster_ip(service) || !needs_cluster_ip(before)) return;
  const std::string then = string_at(before, "spec.clusterIP");
  const std::string now = string_at(service, "spec.clusterIP");
  if (!then.empty() && !now.empty() && now != then)
    causes.push_back(
        invalid_value("spec.clusterIPs[0]", dump(Json::array({now})), "may not change once set"));
}

}  // namespace fairlead::orchestrator::apiserver
