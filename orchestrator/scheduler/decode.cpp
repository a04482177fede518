// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/scheduler/objects.h"
#include "orchestrator/values/json_reader.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::scheduling {
namespace {

using controllers::Json;

// Larger amounts count as this: no node has it, and the sum over thousands of pods fits int64.
constexpr int64_t kMost = int64_t{1} << 52;

int64_t bounded(int64_t amount) {
  return std::clamp(amount, -kMost, kMost);
}

Resources read_resources(const Json& object) {
  Resources result;
  if (!object.is_object()) return result;
  for (const auto& [name, value] : object.items()) {
    const auto quantity =
        Quantity::parse(value.is_string() ? value.get<std::string>() : value.dump());
    if (quantity) result[name] = bounded(name == "cpu" ? quantity->milli() : quantity->value());
  }
  return result;
}

Resources container_requests(const Json& container) {
  const Json& resources = json::member(container, "resources");
  Resources requests = read_resources(json::member(resources, "limits"));
  for (const auto& [name, amount] : read_resources(json::member(resources, "requests")))
    requests[name] = amount;
  return requests;
}

void add_to(Resources& sum, const Resources& more) {
  for (const auto& [name, amount] : more) sum[name] = bounded(sum[name] + amount);
}
void raise_to(Resources& highest, const Resources& other) {
  for (const auto& [name, amount] : other) highest[name] = std::max(highest[name], amount);
}

// KEP-753: sidecars (restartable init containers) run beside all that start after them; other init
// containers run one at a time before the containers.
Resources pod_requests(const Json& spec) {
  Resources sidecars;
  Resources highest;
  for (const Json& container : json::items(spec, "initContainers")) {
    Resources here = container_requests(container);
    if (json::text(container, "restartPolicy") == "Always") {
      add_to(sidecars, here);
      here = sidecars;
    } else {
      add_to(here, sidecars);
    }
    raise_to(highest, here);
  }
  Resources total = sidecars;
  for (const Json& container : json::items(spec, "containers"))
    add_to(total, container_requests(container));
  raise_to(total, highest);
  add_to(total, read_resources(json::member(spec, "overhead")));
  return total;
}

void read_ports(const Json& spec, std::vector<HostPort>& ports) {
  for (const char* list : {"containers", "initContainers"})
    for (const Json& container : json::items(spec, list)) {
      if (std::string_view(list) == "initContainers" &&
          json::text(container, "restartPolicy") != "Always")
        continue;
      for (const Json& port : json::items(container, "ports"))
        if (const int64_t host = json::number_or(port, "hostPort", 0); host > 0)
          ports.push_back(
              {json::text(port, "hostIP"),
               json::text(port, "protocol").empty() ? "TCP" : json::text(port, "protocol"),
               static_cast<int>(host)});
    }
}

NodeTerm read_term(const Json& term) {
  return {controllers::read_requirements(term, "matchExpressions"),
          controllers::read_requirements(term, "matchFields")};
}

void read_affinity(Pod& pod, const Json& affinity) {
  const Json& node = json::member(affinity, "nodeAffinity");
  const Json& required = json::member(node, "requiredDuringSchedulingIgnoredDuringExecution");
  pod.has_required_terms = required.is_object();
  for (const Json& term : json::items(required, "nodeSelectorTerms"))
    pod.required_terms.push_back(read_term(term));
  for (const Json& item : json::items(node, "preferredDuringSchedulingIgnoredDuringExecution"))
    pod.preferred_terms.push_back({static_cast<int>(json::number_or(item, "weight", 0)),
                                   read_term(json::member(item, "preference"))});
  for (const char* kind : {"podAffinity", "podAntiAffinity"})
    if (!json::items(json::member(affinity, kind), "requiredDuringSchedulingIgnoredDuringExecution")
             .empty())
      pod.unsupported = std::string("required ") + kind;
}

void read_spread(Pod& pod, const Json& spec) {
  for (const Json& item : json::items(spec, "topologySpreadConstraints"))
    if (json::text(item, "whenUnsatisfiable") != "ScheduleAnyway")
      pod.unsupported = "topologySpreadConstraints with whenUnsatisfiable: DoNotSchedule";
}

}  // namespace

Result<Pod> decode_pod(const Bytes& bytes) {
  const Result<Json> document = controllers::parse_object(bytes);
  if (!document) return document.error();
  Result<Meta> meta = controllers::read_meta(*document);
  if (!meta) return meta.error();
  const Json& spec = json::member(*document, "spec");
  Pod pod;
  pod.meta = std::move(*meta);
  pod.scheduler_name = json::text(spec, "schedulerName");
  pod.node_name = json::text(spec, "nodeName");
  pod.phase = json::text(json::member(*document, "status"), "phase");
  pod.priority = json::number_or(spec, "priority", 0);
  pod.gated = !json::items(spec, "schedulingGates").empty();
  pod.requests = pod_requests(spec);
  read_ports(spec, pod.host_ports);
  pod.node_selector = controllers::labels(spec, "nodeSelector");
  read_affinity(pod, json::member(spec, "affinity"));
  read_spread(pod, spec);
  pod.tolerations = controllers::read_tolerations(spec);
  const auto conditions = controllers::read_conditions(json::member(*document, "status"));
  if (const auto* condition = controllers::find_condition(conditions, "PodScheduled"))
    if (condition->status == "False" && condition->reason == "Unschedulable")
      pod.unschedulable_message = condition->message;
  return pod;
}

Result<Node> decode_node(const Bytes& bytes) {
  const Result<Json> document = controllers::parse_object(bytes);
  if (!document) return document.error();
  Result<Meta> meta = controllers::read_meta(*document);
  if (!meta) return meta.error();
  const Json& status = json::member(*document, "status");
  Node node;
  node.meta = std::move(*meta);
  node.unschedulable = json::flag(json::member(*document, "spec"), "unschedulable");
  node.taints = controllers::read_taints(json::member(*document, "spec"));
  const auto conditions = controllers::read_conditions(status);
  const auto* ready = controllers::find_condition(conditions, "Ready");
  node.ready = ready && ready->status == "True";
  node.allocatable = read_resources(json::member(status, "allocatable"));
  return node;
}

}  // namespace fairlead::orchestrator::scheduling
