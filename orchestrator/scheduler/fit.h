// SPDX-License-Identifier: Apache-2.0
// Where a pod may run, and where it runs best. Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/scheduler/objects.h"

namespace fairlead::orchestrator::scheduling {

// Why the pod may not run there, in Kubernetes' words; empty: it may. As in Kubernetes the first
// check that fails speaks; only missing resources are told all together.
std::vector<std::string> obstacles(const Pod& pod, const NodeInfo& info);
inline bool feasible(const Pod& pod, const NodeInfo& info) {
  return obstacles(pod, info).empty();
}

// One score for each node of `nodes` (feasible ones), higher is better: room left, few pods of the
// same owner, preferred affinity, no untolerated PreferNoSchedule taints.
std::vector<int64_t> scores(const Pod& pod, const std::vector<const NodeInfo*>& nodes);

// The best of them; of equals the one with fewer pods, then the first by name. Null for none.
const NodeInfo* best(const Pod& pod, const std::vector<const NodeInfo*>& nodes);

// "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s)."
std::string unschedulable_message(const std::vector<std::vector<std::string>>& obstacles_by_node);

}  // namespace fairlead::orchestrator::scheduling
