// SPDX-License-Identifier: Apache-2.0
// What a ReplicaSet's controller does next, decided from one observation. Pure.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

using PodRef = std::shared_ptr<const Pod>;

inline constexpr int kPodBurst = 500;  // pods created or deleted by one plan

struct ReplicaSetState {
  const ReplicaSet& set;
  std::vector<PodRef> owned;                // its uid is their controller
  std::vector<PodRef> orphans;              // same namespace, no controller
  std::vector<PodRef> related;              // active pods of the sets that share its owner
  std::optional<std::string> create_error;  // why the last creation failed
  WallTime now{};
};

struct ReplicaSetPlan {
  std::vector<PodRef> adopt;
  std::vector<PodRef> release;
  int create = 0;
  std::vector<PodRef> remove;
  std::optional<ReplicaSetStatus> status;
  std::optional<Duration> recheck;  // until a pod has been ready long enough
};

ReplicaSetPlan plan(const ReplicaSetState& state);

// Pods in the order they are deleted: those that cost least come first
// (k8s.io/kubernetes/pkg/controller ActivePodsWithRanks). `related` tells how crowded a node is.
std::vector<PodRef> deletion_order(std::vector<PodRef> pods, const std::vector<PodRef>& related);

}  // namespace fairlead::orchestrator::controllers
