// SPDX-License-Identifier: Apache-2.0
// A Deployment's status from what is observed. Pure; used by deployment_plan.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/controllers/deployment_plan.h"

namespace fairlead::orchestrator::controllers {

struct StatusInput {
  const Deployment& deployment;
  const std::vector<ReplicaSetRef>& sets;
  const ReplicaSetRef& new_set;  // null: none yet
  const std::string& created;    // the name of the set being created; empty: none
  bool collided = false;         // its name was taken
  RollingBounds bounds;
  WallTime now{};
};

struct StatusPlan {
  DeploymentStatus status;
  std::optional<Duration> recheck;  // when the progress deadline passes
};

StatusPlan plan_status(const StatusInput& input);

// Every replica is of the newest template and available, and no older one is left.
bool is_complete(const Deployment& deployment, const DeploymentStatus& status);

}  // namespace fairlead::orchestrator::controllers
