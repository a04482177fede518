// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/node_plan.h"

#include <algorithm>
#include <array>

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

constexpr int64_t kLongestStay = 1'000'000'000;  // s: some 30 years, which a Duration can hold
constexpr const char* kNotReady = "node.kubernetes.io/not-ready";
constexpr const char* kUnreachable = "node.kubernetes.io/unreachable";
constexpr const char* kUnschedulable = "node.kubernetes.io/unschedulable";

struct PressureTaint {
  const char* condition;
  const char* taint;
};
constexpr std::array<PressureTaint, 4> kPressures = {{
    {"MemoryPressure", "node.kubernetes.io/memory-pressure"},
    {"DiskPressure", "node.kubernetes.io/disk-pressure"},
    {"PIDPressure", "node.kubernetes.io/pid-pressure"},
    {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"},
}};

bool is_managed(const Taint& taint) {
  if (taint.key == kNotReady || taint.key == kUnreachable || taint.key == kUnschedulable)
    return true;
  return std::any_of(kPressures.begin(), kPressures.end(),
                     [&](const PressureTaint& pressure) { return taint.key == pressure.taint; });
}

std::vector<Taint> managed_taints(const Node& node) {
  std::vector<Taint> taints;
  const Condition* ready = find_condition(node.conditions, "Ready");
  if (!ready) {
    // Not heard of yet: nothing runs there that could be evicted.
    taints.push_back({kNotReady, "", "NoSchedule", {}});
  } else if (ready->status != "True") {
    const char* key = ready->status == "Unknown" ? kUnreachable : kNotReady;
    taints.push_back({key, "", "NoSchedule", {}});
    taints.push_back({key, "", "NoExecute", {}});
  }
  for (const PressureTaint& pressure : kPressures)
    if (const Condition* condition = find_condition(node.conditions, pressure.condition))
      if (condition->status == "True") taints.push_back({pressure.taint, "", "NoSchedule", {}});
  if (node.unschedulable) taints.push_back({kUnschedulable, "", "NoSchedule", {}});
  return taints;
}

}  // namespace

std::optional<std::vector<Condition>> silent_conditions(const Node& node, WallTime now) {
  std::vector<Condition> conditions = node.conditions;
  bool changed = false;
  const char* reason = "NodeStatusUnknown";
  const char* message = "Kubelet stopped posting node status.";
  if (!find_condition(conditions, "Ready")) {
    reason = "NodeStatusNeverUpdated";
    message = "Kubelet never posted node status.";
    conditions.push_back({"Ready", "", "", "", {}, {}});
  }
  for (Condition& condition : conditions) {
    const bool ours = condition.type == "Ready" || condition.type == "MemoryPressure" ||
                      condition.type == "DiskPressure" || condition.type == "PIDPressure";
    if (!ours || condition.status == "Unknown") continue;
    condition.status = "Unknown";
    condition.reason = reason;
    condition.message = message;
    condition.last_transition = std::chrono::floor<seconds>(now);
    changed = true;
  }
  if (!changed) return std::nullopt;
  return conditions;
}

std::optional<std::vector<Taint>> wanted_taints(const Node& node, WallTime now) {
  std::vector<Taint> result;
  bool changed = false;
  std::vector<Taint> missing = managed_taints(node);
  for (const Taint& taint : node.taints) {
    const auto wanted = std::find_if(missing.begin(), missing.end(), [&](const Taint& other) {
      return other.key == taint.key && other.effect == taint.effect;
    });
    if (wanted != missing.end())
      missing.erase(wanted);
    else if (is_managed(taint)) {
      changed = true;
      continue;
    }
    result.push_back(taint);
  }
  for (Taint& taint : missing) {
    taint.added = std::chrono::floor<seconds>(now);
    result.push_back(std::move(taint));
    changed = true;
  }
  if (!changed) return std::nullopt;
  return result;
}

std::vector<Taint> evicting_taints(const Node& node, bool some_node_is_ready) {
  std::vector<Taint> result;
  for (const Taint& taint : node.taints)
    if (taint.effect == "NoExecute" && (some_node_is_ready || !is_managed(taint)))
      result.push_back(taint);
  return result;
}

std::optional<Duration> allowed_stay(const Pod& pod, const std::vector<Taint>& taints) {
  std::optional<Duration> shortest;
  for (const Taint& taint : taints) {
    bool tolerated = false;
    for (const Toleration& toleration : pod.tolerations) {
      if (!tolerates(toleration, taint)) continue;
      tolerated = true;
      if (!toleration.seconds) continue;
      const Duration span = seconds(std::clamp<int64_t>(*toleration.seconds, 0, kLongestStay));
      shortest = shortest ? std::min(*shortest, span) : span;
    }
    if (!tolerated) return Duration::zero();
  }
  return shortest;
}

}  // namespace fairlead::orchestrator::controllers
