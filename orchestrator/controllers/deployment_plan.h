// SPDX-License-Identifier: Apache-2.0
// What a Deployment's controller does next, decided from one observation. Pure.
//
// Follows Kubernetes' deployment controller (pkg/controller/deployment: sync.go, rolling.go,
// recreate.go, progress.go). Each plan is one step; what it changes is observed and planned anew,
// so a controller may die between any two writes of a plan.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

inline constexpr const char* kRevisionAnnotation = "deployment.kubernetes.io/revision";
inline constexpr const char* kRevisionHistoryAnnotation =
    "deployment.kubernetes.io/revision-history";
inline constexpr const char* kDesiredAnnotation = "deployment.kubernetes.io/desired-replicas";
inline constexpr const char* kMaxAnnotation = "deployment.kubernetes.io/max-replicas";
inline constexpr const char* kTemplateHashLabel = "pod-template-hash";

using ReplicaSetRef = std::shared_ptr<const ReplicaSet>;

struct DeploymentState {
  const Deployment& deployment;
  std::vector<ReplicaSetRef> owned;    // its uid is their controller
  std::vector<ReplicaSetRef> orphans;  // same namespace, no controller
  // A ReplicaSet of this name exists in the namespace, whoever owns it.
  std::function<bool(const std::string& name)> name_taken;
  // Pods of this ReplicaSet that have not ended, deleting ones included.
  std::function<int(const ReplicaSet&)> live_pods;
  WallTime now{};
};

struct PlannedEvent {
  std::string reason;
  std::string message;
  bool warning = false;
};

struct CreateReplicaSet {
  std::string name;
  std::string hash;  // value of pod-template-hash
  int replicas = 0;
  Labels annotations;
  std::vector<PlannedEvent> events;  // told when it is done
};

struct PatchReplicaSet {
  ReplicaSetRef set;
  std::optional<int> replicas;
  std::optional<int> min_ready_seconds;
  Labels annotations;  // only those that change
  bool adopt = false;
  bool release = false;
  std::vector<PlannedEvent> events;  // told when it is done
};

struct DeploymentPlan {
  std::optional<CreateReplicaSet> create;
  std::vector<PatchReplicaSet> patches;  // at most one a ReplicaSet
  std::vector<ReplicaSetRef> removals;
  std::optional<std::string> revision;  // new value of the Deployment's own annotation
  std::optional<DeploymentStatus> status;
  std::optional<Duration> recheck;   // the progress deadline
  std::vector<PlannedEvent> events;  // told at once
};

DeploymentPlan plan(const DeploymentState& state);

// Pods over and under the wanted number that a rolling update may go, percentages resolved: surge
// is rounded up, unavailable down, and both cannot be zero.
struct RollingBounds {
  int surge = 0;
  int unavailable = 0;
  bool operator==(const RollingBounds&) const = default;
};
RollingBounds rolling_bounds(const Deployment& deployment);

// The value of pod-template-hash and the tail of the ReplicaSet's name; changes with the collision
// count.
std::string template_hash(const std::string& print, std::optional<int> collision_count);

}  // namespace fairlead::orchestrator::controllers
