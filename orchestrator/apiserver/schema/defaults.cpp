// SPDX-License-Identifier: Apache-2.0
// Defaults: from the schema's data, then the few that depend on another field.
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/service_spec.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

void set_if_absent(Json& object, const char* name, Json value) {
  if (is_empty(at(object, name))) object[name] = std::move(value);
}

// "repo/name:tag@digest": no tag and no digest means latest.
bool is_latest(const std::string& image) {
  if (image.find('@') != image.npos) return false;
  const size_t slash = image.rfind('/');
  const size_t colon = image.rfind(':');
  if (colon == image.npos || (slash != image.npos && colon < slash)) return true;
  return image.substr(colon + 1) == "latest";
}

void container(Json& value) {
  if (is_empty(at(value, "imagePullPolicy")) && !string_at(value, "image").empty())
    value["imagePullPolicy"] = is_latest(string_at(value, "image")) ? "Always" : "IfNotPresent";
}

// Nothing is counted finer than in thousandths (SetDefaults_ResourceList).
void round_up(Json& owner, const char* name) {
  const auto amounts = owner.find(name);
  if (amounts == owner.end() || !amounts->is_object()) return;
  for (Json& amount : *amounts) {
    const auto exact = Quantity::parse(amount.get<std::string>());
    const auto rounded = Quantity::parse(std::to_string(exact ? exact->milli() : 0) + "m");
    if (exact && rounded && *rounded > *exact) amount = rounded->canonical();
  }
}

void resources(Json& value) {
  for (const char* side : {"limits", "requests"}) round_up(value, side);
  const Json limits = at(value, "limits");
  if (!limits.is_object()) return;
  for (const auto& [name, amount] : limits.items())
    if (at(at(value, "requests"), name).is_null()) value["requests"][name] = amount;
}

void volume(Json& value) {
  if (value.size() == 1 && value.contains("name")) value["emptyDir"] = Json::object();
}

void pod_spec(Json& value) {
  // The old name of the field is kept in step.
  const std::string account = string_at(value, "serviceAccountName");
  const std::string old_name = string_at(value, "serviceAccount");
  if (!account.empty())
    value["serviceAccount"] = account;
  else if (!old_name.empty())
    value["serviceAccountName"] = old_name;
  round_up(value, "overhead");
  if (!bool_at(value, "hostNetwork")) return;
  for (const char* list : {"containers", "initContainers"}) {
    if (!at(value, list).is_array()) continue;
    for (Json& one : value[list])
      if (at(one, "ports").is_array())
        for (Json& port : one["ports"])
          if (int_at(port, "hostPort") == 0 && port.contains("containerPort"))
            port["hostPort"] = port["containerPort"];
  }
}

// Clients know one field or the other; of two that differ the older one counts (conversion of v1).
void one_of_many(Json& value, const char* one, const char* many, const char* member) {
  const auto first = [&]() -> Json {
    const Json& list = at(value, many);
    if (!list.is_array() || list.empty()) return nullptr;
    return member == nullptr ? list[0] : at(list[0], member);
  };
  const Json given = at(value, one);
  if (!is_empty(given) && first() != given)
    value[many] = Json::array({member == nullptr ? given : Json({{member, given}})});
  else if (is_empty(given) && !first().is_null())
    value[one] = first();
}

// A default of pods, not of their templates (SetDefaults_Pod).
void pod(Json& value) {
  if (at(value, "spec").is_object() && !value["spec"].contains("enableServiceLinks"))
    value["spec"]["enableServiceLinks"] = true;
}

void node_spec(Json& value) {
  one_of_many(value, "podCIDR", "podCIDRs", nullptr);
}

void node_status(Json& value) {
  for (const char* list : {"allocatable", "capacity"}) round_up(value, list);
  if (!value.contains("allocatable") && value.contains("capacity"))
    value["allocatable"] = value["capacity"];
}

void pod_status(Json& value) {
  one_of_many(value, "podIP", "podIPs", "ip");
}

void service_spec(Json& value) {
  if (string_at(value, "sessionAffinity") == "ClientIP") {
    if (!value.contains("sessionAffinityConfig")) value["sessionAffinityConfig"] = Json::object();
    if (!at(value, "sessionAffinityConfig").contains("clientIP"))
      value["sessionAffinityConfig"]["clientIP"] = Json::object();
  } else {
    value.erase("sessionAffinityConfig");
  }
  if (has_cluster_ip(value)) {
    set_if_absent(value, "internalTrafficPolicy", "Cluster");
    // Its endpoints are its owner's, of whichever family (initIPFamilyFields of Kubernetes'
    // registry).
    set_if_absent(value, "ipFamilyPolicy",
                  is_selectorless(value) ? "RequireDualStack" : "SingleStack");
  }
  if (is_externally_accessible(value)) set_if_absent(value, "externalTrafficPolicy", "Cluster");
  if (is_load_balancer(value) && !value.contains("allocateLoadBalancerNodePorts"))
    value["allocateLoadBalancerNodePorts"] = true;
}

// A balancer that names no mode sends what keeps the Service's address (KEP-1860).
void service(Json& value) {
  if (!is_load_balancer(at(value, "spec")) ||
      !at_path(value, "status.loadBalancer.ingress").is_array())
    return;
  for (Json& one : value["status"]["loadBalancer"]["ingress"])
    if (!is_empty(at(one, "ip"))) set_if_absent(one, "ipMode", "VIP");
}

void service_port(Json& value) {
  const Json& target = at(value, "targetPort");
  const bool absent = is_empty(target) || (target.is_number_integer() && target == 0);
  if (absent && value.contains("port")) value["targetPort"] = value["port"];
}

void strategy(Json& value) {
  if (string_at(value, "type") == "RollingUpdate" && !value.contains("rollingUpdate"))
    value["rollingUpdate"] = Json::object();
}

void secret(Json& value) {
  const Json given = at(value, "stringData");
  value.erase("stringData");
  if (!given.is_object()) return;
  for (const auto& [key, item] : given.items()) {
    value["data"][key] = base64_encode(item.is_string() ? item.get<std::string>() : std::string());
  }
}

constexpr std::pair<std::string_view, DefaultRule> kRules[] = {
    {"Container", container},
    {"EphemeralContainer", container},
    {"ResourceRequirements", resources},
    {"Volume", volume},
    {"NodeSpec", node_spec},
    {"NodeStatus", node_status},
    {"Pod", pod},
    {"PodSpec", pod_spec},
    {"PodStatus", pod_status},
    {"Service", service},
    {"ServiceSpec", service_spec},
    {"ServicePort", service_port},
    {"DeploymentStrategy", strategy},
    {"Secret", secret},
};

DefaultRule find_default_rule(std::string_view name) {
  for (const auto& [rule_name, rule] : kRules)
    if (rule_name == name) return rule;
  return nullptr;
}

void fill_fields(const Type& type, Json& value) {
  for (const Field& field : type.fields) {
    if (!field.fallback) continue;
    const Json& current = at(value, field.name);
    const bool empty_text = current.is_string() && is_empty(current);
    const bool zero = field.fallback_for_zero && current.is_number() && current == 0;
    if (current.is_null() || empty_text || zero) value[field.name] = *field.fallback;
  }
}

}  // namespace

void apply_defaults(const Type& type, Json& value) {
  if (type.shape == Shape::kList && value.is_array())
    for (Json& item : value) apply_defaults(*type.element, item);
  if (type.shape == Shape::kMap && value.is_object() && type.element->shape == Shape::kStruct)
    for (Json& item : value) apply_defaults(*type.element, item);
  if (type.shape != Shape::kStruct || !value.is_object()) return;
  fill_fields(type, value);
  if (const DefaultRule rule = find_default_rule(type.name)) rule(value);
  for (const Field& field : type.fields) {
    const auto it = value.find(field.name);
    if (it != value.end() && (it->is_object() || it->is_array())) apply_defaults(*field.type, *it);
  }
}

}  // namespace fairlead::orchestrator::apiserver::schema
