// SPDX-License-Identifier: Apache-2.0
// What a node's health means for its conditions, its taints and its pods. Pure.
// Semantics: Kubernetes' node lifecycle controller and taint eviction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

// A lease lasts 40 s; a node is given up 50 s after its last sign of life.
inline constexpr Duration kNodeGrace = std::chrono::seconds(50);

// The conditions of a node that has been silent too long; nothing when they say so already.
std::optional<std::vector<Condition>> silent_conditions(const Node& node, WallTime now);

// The taints that the node's conditions and spec.unschedulable ask for, those of other writers
// kept; nothing when the node has exactly these.
std::optional<std::vector<Taint>> wanted_taints(const Node& node, WallTime now);

// The NoExecute taints that count. While no node of the cluster is ready, those that follow
// conditions do not: what cannot be reached is then most likely this side, and there is nowhere to
// go (full disruption of Kubernetes' node lifecycle controller).
std::vector<Taint> evicting_taints(const Node& node, bool some_node_is_ready);

// How long the pod may stay from when it is first seen beside these NoExecute taints; nothing: for
// ever.
std::optional<Duration> allowed_stay(const Pod& pod, const std::vector<Taint>& taints);

}  // namespace fairlead::orchestrator::controllers
