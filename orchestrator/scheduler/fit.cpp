// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace fairlead::orchestrator::scheduling {
namespace {

// What a container that asks for nothing is counted as when nodes are compared (not when they are
// filtered), as Kubernetes does.
constexpr int64_t kDefaultMilliCpu = 100;
constexpr int64_t kDefaultMemory = 200 * 1024 * 1024;

constexpr int64_t kWeightTaints = 3;
constexpr int64_t kWeightAffinity = 2;
constexpr int64_t kWeightSpread = 2;

int64_t amount(const Resources& resources, const std::string& name) {
  const auto it = resources.find(name);
  return it == resources.end() ? 0 : it->second;
}

bool tolerated(const Pod& pod, const Taint& taint) {
  return std::any_of(pod.tolerations.begin(), pod.tolerations.end(),
                     [&](const Toleration& toleration) { return tolerates(toleration, taint); });
}

bool holds(const NodeTerm& term, const Node& node) {
  if (term.labels.empty() && term.fields.empty()) return false;
  const Labels fields = {{"metadata.name", node.meta.name}};
  return std::all_of(term.labels.begin(), term.labels.end(),
                     [&](const Requirement& r) { return matches(r, node.meta.labels); }) &&
         std::all_of(term.fields.begin(), term.fields.end(),
                     [&](const Requirement& r) { return matches(r, fields); });
}

bool affinity_holds(const Pod& pod, const Node& node) {
  if (!controllers::contains_all(node.meta.labels, pod.node_selector)) return false;
  return !pod.has_required_terms ||
         std::any_of(pod.required_terms.begin(), pod.required_terms.end(),
                     [&](const NodeTerm& term) { return holds(term, node); });
}

bool is_any(const std::string& ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}

bool conflict(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol &&
         (a.ip == b.ip || is_any(a.ip) || is_any(b.ip));
}

bool ports_free(const Pod& pod, const NodeInfo& info) {
  return std::none_of(pod.host_ports.begin(), pod.host_ports.end(), [&](const HostPort& wanted) {
    return std::any_of(info.ports.begin(), info.ports.end(),
                       [&](const HostPort& used) { return conflict(wanted, used); });
  });
}

std::vector<std::string> missing_resources(const Pod& pod, const NodeInfo& info) {
  std::vector<std::string> result;
  const Resources& allocatable = info.node->allocatable;
  if (info.pods + 1 > amount(allocatable, "pods")) result.push_back("Too many pods");
  for (const auto& [name, wanted] : pod.requests)
    if (wanted > 0 && wanted > amount(allocatable, name) - amount(info.used, name))
      result.push_back("Insufficient " + name);
  return result;
}

// 0..100: the share of cpu and memory that stays free.
int64_t room_left(const Pod& pod, const NodeInfo& info) {
  const auto share = [&](const char* name, int64_t fallback) -> int64_t {
    const int64_t total = amount(info.node->allocatable, name);
    const int64_t wanted = amount(pod.requests, name);
    const int64_t free = total - amount(info.used, name) - (wanted > 0 ? wanted : fallback);
    if (total <= 0 || free <= 0) return 0;
    return static_cast<int64_t>(static_cast<double>(free) / static_cast<double>(total) * 100);
  };
  return (share("cpu", kDefaultMilliCpu) + share("memory", kDefaultMemory)) / 2;
}

// To 0..100, the largest of `values` being 100; `reverse`: the largest being 0.
void normalize(std::vector<int64_t>& values, bool reverse) {
  const int64_t highest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  for (int64_t& value : values) {
    value = highest == 0 ? 0 : value * 100 / highest;
    if (reverse) value = 100 - value;
  }
}

int64_t same_owner(const Pod& pod, const NodeInfo& info) {
  const auto* owner = pod.meta.controller();
  if (!owner) return 0;
  const auto it = info.by_owner.find(owner->uid);
  return it == info.by_owner.end() ? 0 : it->second;
}

int64_t preference(const Pod& pod, const Node& node) {
  int64_t sum = 0;
  for (const WeightedTerm& weighted : pod.preferred_terms)
    if (holds(weighted.term, node)) sum += weighted.weight;
  return sum;
}

int64_t unwelcome(const Pod& pod, const Node& node) {
  return std::count_if(node.taints.begin(), node.taints.end(), [&](const Taint& taint) {
    return taint.effect == "PreferNoSchedule" && !tolerated(pod, taint);
  });
}

}  // namespace

void NodeInfo::add(const Pod& pod) {
  for (const auto& [name, wanted] : pod.requests) used[name] += wanted;
  ++pods;
  ports.insert(ports.end(), pod.host_ports.begin(), pod.host_ports.end());
  if (const auto* owner = pod.meta.controller()) ++by_owner[owner->uid];
}

void NodeInfo::remove(const Pod& pod) {
  for (const auto& [name, wanted] : pod.requests)
    if ((used[name] -= wanted) == 0) used.erase(name);
  --pods;
  for (const HostPort& port : pod.host_ports) {
    const auto it = std::find(ports.begin(), ports.end(), port);
    if (it != ports.end()) ports.erase(it);
  }
  if (const auto* owner = pod.meta.controller())
    if (--by_owner[owner->uid] == 0) by_owner.erase(owner->uid);
}

std::vector<std::string> obstacles(const Pod& pod, const NodeInfo& info) {
  const Node& node = *info.node;
  const Taint cordon{"node.kubernetes.io/unschedulable", "", "NoSchedule", {}};
  if (node.unschedulable && !tolerated(pod, cordon)) return {"node(s) were unschedulable"};
  for (const Taint& taint : node.taints)
    if ((taint.effect == "NoSchedule" || taint.effect == "NoExecute") && !tolerated(pod, taint))
      return {"node(s) had untolerated taint(s)"};
  // The taint of an unready node comes a moment after its condition; daemons tolerate it.
  const Taint not_ready{"node.kubernetes.io/not-ready", "", "NoSchedule", {}};
  if (!node.ready && !tolerated(pod, not_ready)) return {"node(s) were not ready"};
  if (!affinity_holds(pod, node)) return {"node(s) didn't match Pod's node affinity/selector"};
  if (!ports_free(pod, info)) return {"node(s) didn't have free ports for the requested pod ports"};
  return missing_resources(pod, info);
}

std::vector<int64_t> scores(const Pod& pod, const std::vector<const NodeInfo*>& nodes) {
  std::vector<int64_t> spread;
  std::vector<int64_t> affinity;
  std::vector<int64_t> taints;
  for (const NodeInfo* info : nodes) {
    spread.push_back(same_owner(pod, *info));
    affinity.push_back(preference(pod, *info->node));
    taints.push_back(unwelcome(pod, *info->node));
  }
  normalize(spread, /*reverse=*/true);
  normalize(affinity, /*reverse=*/false);
  normalize(taints, /*reverse=*/true);
  std::vector<int64_t> result;
  for (size_t i = 0; i < nodes.size(); ++i)
    result.push_back(room_left(pod, *nodes[i]) + kWeightSpread * spread[i] +
                     kWeightAffinity * affinity[i] + kWeightTaints * taints[i]);
  return result;
}

const NodeInfo* best(const Pod& pod, const std::vector<const NodeInfo*>& nodes) {
  const std::vector<int64_t> values = scores(pod, nodes);
  const NodeInfo* chosen = nullptr;
  int64_t highest = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto rank = [](int64_t value, const NodeInfo& info) {
      return std::tuple(-value, info.pods, std::string_view(info.node->meta.name));
    };
    if (chosen && rank(values[i], *nodes[i]) >= rank(highest, *chosen)) continue;
    chosen = nodes[i];
    highest = values[i];
  }
  return chosen;
}

std::string unschedulable_message(const std::vector<std::vector<std::string>>& obstacles_by_node) {
  if (obstacles_by_node.empty()) return "no nodes available to schedule pods";
  std::map<std::string, int> counts;
  for (const auto& list : obstacles_by_node)
    for (const std::string& reason : list) ++counts[reason];
  std::vector<std::string> parts;
  for (const auto& [reason, count] : counts) parts.push_back(fmt::format("{} {}", count, reason));
  std::sort(parts.begin(), parts.end());
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ", ") + part;
  return fmt::format("0/{} nodes are available: {}.", obstacles_by_node.size(), joined);
}

}  // namespace fairlead::orchestrator::scheduling
