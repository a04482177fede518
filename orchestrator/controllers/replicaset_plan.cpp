// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/replicaset_plan.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

int deletion_cost(const Pod& pod) {
  const std::string text = pod.meta.annotation("controller.kubernetes.io/pod-deletion-cost");
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int phase_order(const Pod& pod) {
  if (pod.phase == "Pending" || pod.phase.empty()) return 0;
  if (pod.phase == "Unknown") return 1;
  return 2;
}

// Ready for min_ready_seconds; otherwise `wait` tells how long it still takes.
bool is_available(const Pod& pod, int min_ready_seconds, WallTime now, Duration& wait) {
  if (!pod.ready) return false;
  wait = pod.ready_changed + seconds(min_ready_seconds) - now;
  return min_ready_seconds == 0 || wait <= Duration::zero();
}

ReplicaSetStatus count(const ReplicaSetState& state, std::optional<Duration>& recheck) {
  const ReplicaSet& set = state.set;
  ReplicaSetStatus status;
  status.observed_generation = set.meta.generation;
  status.conditions = set.status.conditions;
  status.terminating = 0;
  for (const PodRef& pod : state.owned) {
    if (pod->meta.deleting && !pod->terminal()) ++*status.terminating;
    if (!pod->active()) continue;
    ++status.replicas;
    if (contains_all(pod->meta.labels, set.template_labels)) ++status.fully_labeled;
    if (!pod->ready) continue;
    ++status.ready;
    Duration wait{};
    if (is_available(*pod, set.min_ready_seconds, state.now, wait))
      ++status.available;
    else
      recheck = recheck ? std::min(*recheck, wait) : wait;
  }
  return status;
}

void set_failure(const ReplicaSetState& state, ReplicaSetStatus& status) {
  const Condition* current = find_condition(status.conditions, "ReplicaFailure");
  if (!state.create_error) {
    std::erase_if(status.conditions,
                  [](const Condition& condition) { return condition.type == "ReplicaFailure"; });
  } else if (!current) {
    status.conditions.push_back({"ReplicaFailure",
                                 "True",
                                 "FailedCreate",
                                 *state.create_error,
                                 {},
                                 std::chrono::floor<seconds>(state.now)});
  }
}

}  // namespace

std::vector<PodRef> deletion_order(std::vector<PodRef> pods, const std::vector<PodRef>& related) {
  std::map<std::string, int> crowd;
  for (const PodRef& pod : related)
    if (pod->active()) ++crowd[pod->node_name];
  const auto rank = [&](const Pod& pod) {
    const auto it = crowd.find(pod.node_name);
    return it == crowd.end() ? 0 : it->second;
  };
  std::sort(pods.begin(), pods.end(), [&](const PodRef& a, const PodRef& b) {
    const auto first = [&](const Pod& pod) {
      return std::tuple(!pod.node_name.empty(), phase_order(pod), pod.ready, deletion_cost(pod),
                        -rank(pod));
    };
    if (first(*a) != first(*b)) return first(*a) < first(*b);
    if (a->ready && a->ready_changed != b->ready_changed)
      return a->ready_changed > b->ready_changed;  // ready for a shorter time
    if (a->restarts != b->restarts) return a->restarts > b->restarts;
    if (a->meta.created != b->meta.created) return a->meta.created > b->meta.created;
    return a->meta.name < b->meta.name;
  });
  return pods;
}

ReplicaSetPlan plan(const ReplicaSetState& state) {
  const ReplicaSet& set = state.set;
  ReplicaSetPlan result;
  if (!set.meta.deleting) {
    for (const PodRef& pod : state.orphans)
      if (pod->active() && matches(set.selector, pod->meta.labels)) result.adopt.push_back(pod);
    for (const PodRef& pod : state.owned)
      if (!pod->meta.deleting && !matches(set.selector, pod->meta.labels))
        result.release.push_back(pod);
    if (!result.adopt.empty() || !result.release.empty()) return result;

    std::vector<PodRef> active;
    for (const PodRef& pod : state.owned)
      if (pod->active()) active.push_back(pod);
    const int surplus = static_cast<int>(active.size()) - set.replicas;
    if (surplus < 0) result.create = std::min(-surplus, kPodBurst);
    if (surplus > 0) {
      result.remove = deletion_order(std::move(active), state.related);
      result.remove.resize(std::min(surplus, kPodBurst));
    }
  }
  ReplicaSetStatus status = count(state, result.recheck);
  set_failure(state, status);
  if (!(status == set.status)) result.status = std::move(status);
  return result;
}

}  // namespace fairlead::orchestrator::controllers
