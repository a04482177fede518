// SPDX-License-Identifier: Apache-2.0
// Nodes, Pods and Services: what making them means beyond their data, and what a change of a node
// or a Service may not touch (Kubernetes pkg/registry/core, pkg/apis/core/validation).
#include <algorithm>

#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/service_spec.h"
#include "orchestrator/apiserver/table/columns.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver {
namespace {

// Compute resources decide the class; others do not count.
constexpr const char* kCompute[] = {"cpu", "memory"};

// By what they amount to, with the digits that a node looks at (pod_spec.cpp, qos_class).
bool same_amount(const Json& one, const Json& other) {
  if (!one.is_string() || !other.is_string()) return one == other;
  const auto a = Quantity::parse(one.get<std::string>());
  const auto b = Quantity::parse(other.get<std::string>());
  return a && b && a->milli() == b->milli();
}

bool positive(const Json& amount) {
  if (!amount.is_string()) return false;
  const auto quantity = Quantity::parse(amount.get<std::string>());
  return quantity && *quantity > Quantity();
}

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

// What the server filled in, or would have, goes when the spec has no place for it any more, unless
// the client changed it (and is told off).
void drop_unneeded(Json& spec, const Json& old) {
  using namespace schema;
  const auto gone = [&](bool (*has)(const Json&)) { return has(old) && !has(spec); };
  const auto drop_if_same = [&](const char* name) {
    if (at(spec, name) == at(old, name)) spec.erase(name);
  };
  if (gone(has_cluster_ip))
    for (const char* name :
         {"clusterIP", "clusterIPs", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy"})
      drop_if_same(name);
  if (gone(has_health_check_port)) drop_if_same("healthCheckNodePort");
  if (gone(is_load_balancer))
    for (const char* name : {"allocateLoadBalancerNodePorts", "loadBalancerClass"})
      drop_if_same(name);
  if (gone(is_externally_accessible)) drop_if_same("externalTrafficPolicy");
  if (!gone(has_node_ports) && !gone(allocates_node_ports)) return;
  if (!at(spec, "ports").is_array() || !at(old, "ports").is_array()) return;
  for (Json& port : spec["ports"])
    for (const Json& other : old["ports"])
      if (at(port, "port") == at(other, "port") && at(port, "nodePort") == at(other, "nodePort"))
        port.erase("nodePort");
}

// Old clients know clusterIP alone, new ones give both; a change of the one they know counts.
void sync_cluster_ips(Json& spec, const Json& old) {
  const std::string ip = string_at(spec, "clusterIP");
  const Json& ips = at(spec, "clusterIPs");
  const bool stale = !ip.empty() && ips == at(old, "clusterIPs");
  if (!ip.empty() && (is_empty(ips) || stale)) spec["clusterIPs"] = {ip};
  if (ip.empty() && ips.is_array() && !ips.empty()) spec["clusterIP"] = ips[0];
}

// Classes that a cluster makes are not known yet: pods of those are like pods of none.
std::optional<int> class_priority(const std::string& name) {
  if (name.empty()) return 0;
  if (name == "system-cluster-critical") return 2000000000;
  if (name == "system-node-critical") return 2000001000;
  return std::nullopt;
}

}  // namespace

// Resources of the whole pod, where it has any, decide alone (KEP-2837).
std::string qos_class(const Json& spec) {
  bool any = false, guaranteed = true;
  const auto count = [&](const Json& resources) {
    for (const char* name : kCompute) {
      const Json& request = at(at(resources, "requests"), name);
      const Json& limit = at(at(resources, "limits"), name);
      any = any || positive(request) || positive(limit);
      guaranteed =
          guaranteed && positive(limit) && (request.is_null() || same_amount(request, limit));
    }
  };
  if (at(spec, "resources").is_object()) {
    count(at(spec, "resources"));
  } else {
    for (const char* list : {"containers", "initContainers"})
      for (const Json& container : at(spec, list)) count(at(container, "resources"));
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_node_create(Json& node) {
  constexpr const char* kNotReady = "node.kubernetes.io/not-ready";
  Json& taints = node["spec"]["taints"];
  if (!taints.is_array()) taints = Json::array();
  for (const Json& taint : taints)
    if (string_at(taint, "key") == kNotReady && string_at(taint, "effect") == "NoSchedule") return;
  taints.push_back({{"key", kNotReady}, {"effect", "NoSchedule"}});
}

// What a node has been given stays its own.
void validate_node_update(const Json& node, const Json& before, std::vector<Cause>& causes) {
  const Json& now = at(node, "spec");
  const Json& then = at(before, "spec");
  if (!is_empty(at(then, "podCIDRs")) && at(now, "podCIDRs") != at(then, "podCIDRs"))
    causes.push_back(forbidden_field(
        "spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
  if (!is_empty(at(then, "providerID")) && at(now, "providerID") != at(then, "providerID"))
    causes.push_back(forbidden_field(
        "spec.providerID", "node updates may not change providerID except from \"\" to valid"));
}

void prepare_pod_create(Json& pod, WallTime now) {
  pod["status"] = {{"phase", "Pending"}};
  if (!is_empty(at_path(pod, "spec.schedulingGates")))
    pod["status"]["conditions"] =
        Json::array({{{"type", "PodScheduled"},
                      {"status", "False"},
                      {"reason", "SchedulingGated"},
                      {"message", "Scheduling is blocked due to non-empty scheduling gates"},
                      {"lastTransitionTime", timestamp(now)}}});
  tolerate_silent_node(pod);
  prioritize_pod(pod, nullptr);
  settle_grace(pod);
}

std::optional<ApiError> check_priority(const Kind& kind, const Json& pod) {
  const Json& spec = at(pod, "spec");
  const auto computed = class_priority(string_at(spec, "priorityClassName"));
  const auto refuse = [&](const std::string& what, const std::string& found) {
    return forbidden(kind.subject(string_at(pod, "metadata.name")),
                     "the " + what +
                         " must not be provided in pod spec; priority admission controller "
                         "computed " +
                         found + " from the given PriorityClass name");
  };
  if (!computed) return std::nullopt;
  if (const Json& given = at(spec, "priority"); !given.is_null() && given != *computed)
    return refuse("integer value of priority (" + go_value(given) + ")", std::to_string(*computed));
  if (const std::string given = string_at(spec, "preemptionPolicy");
      !given.empty() && given != "PreemptLowerPriority")
    return refuse("string value of PreemptionPolicy (" + given + ")", "PreemptLowerPriority");
  return std::nullopt;
}

void prioritize_pod(Json& pod, const Json& before) {
  Json& spec = pod["spec"];
  const Json& old = at(before, "spec");
  const int priority = class_priority(string_at(spec, "priorityClassName")).value_or(0);
  const auto fill = [&](const char* name, Json otherwise) {
    if (!is_empty(at(spec, name))) return;
    if (!before.is_null() && at(old, name).is_null()) return;  // from before there were any
    spec[name] = before.is_null() ? std::move(otherwise) : at(old, name);
  };
  fill("priority", priority);
  fill("preemptionPolicy", "PreemptLowerPriority");
}

void settle_grace(Json& pod) {
  if (int_at(pod, "spec.terminationGracePeriodSeconds") < 0)
    pod["spec"]["terminationGracePeriodSeconds"] = 1;
}

void tolerate_silent_node(Json& pod) {
  for (const char* taint : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
    tolerate_for_a_while(pod["spec"], taint);
}

void prepare_service_create(Json& service) {
  service["status"] = {{"loadBalancer", Json::object()}};
  if (at(service, "spec").is_object()) sync_cluster_ips(service["spec"], nullptr);
}

// What was allocated stays where the client's document is silent.
void carry_service_values(Json& service, const Json& before) {
  using namespace schema;
  if (!service.contains("spec") || !service["spec"].is_object()) service["spec"] = Json::object();
  Json& spec = service["spec"];
  const Json& old = at(before, "spec");
  const auto both = [&](bool (*has)(const Json&)) { return has(old) && has(spec); };
  const auto carry = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (is_empty(at(spec, name)) && old.contains(name)) spec[name] = old[name];
  };
  if (is_empty(at(spec, "type"))) spec["type"] = "ClusterIP";
  drop_unneeded(spec, old);
  // What a balancer reported goes with it.
  if (!is_load_balancer(spec)) service["status"]["loadBalancer"] = Json::object();
  if (both(has_cluster_ip)) {
    if (is_empty(at(spec, "clusterIP")) && is_empty(at(spec, "clusterIPs")))
      carry({"clusterIP", "clusterIPs"});
    carry({"ipFamilies", "ipFamilyPolicy"});
  }
  sync_cluster_ips(spec, old);
  if (both(has_health_check_port) && int_at(spec, "healthCheckNodePort") == 0)
    spec["healthCheckNodePort"] = at(old, "healthCheckNodePort");
  if (!both(allocates_node_ports)) return;
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
  using namespace schema;
  const Json& now = at(service, "spec");
  const Json& then = at(before, "spec");
  const auto both = [&](bool (*has)(const Json&)) { return has(then) && has(now); };
  const auto differ = [&](const char* name) { return at(now, name) != at(then, name); };
  if (both(has_cluster_ip) && differ("clusterIP") && !is_empty(at(now, "clusterIP")) &&
      !is_empty(at(then, "clusterIP")))
    causes.push_back(invalid_value("spec.clusterIPs[0]", dump(Json::array({at(now, "clusterIP")})),
                                   "may not change once set"));
  if (both(has_health_check_port) && differ("healthCheckNodePort"))
    causes.push_back(forbidden_field("spec.healthCheckNodePort", "field is immutable"));
  if (both(is_load_balancer) && differ("loadBalancerClass"))
    causes.push_back(invalid_value("spec.loadBalancerClass", go_value(at(now, "loadBalancerClass")),
                                   "may not change once set"));
}

}  // namespace fairlead::orchestrator::apiserver
