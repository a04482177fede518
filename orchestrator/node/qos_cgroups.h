// SPDX-License-Identifier: Apache-2.0
// The cgroups above the pods': what pods of one class get beside those of another. Without weights
// a class would share the machine by the number of its siblings, not by what its pods ask for.
//
// Threads: one. Level-triggered: update() with the pods there are, whenever they may have changed;
// the kernel is written to only when a weight did.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// CPU shares (cgroup v1's) of each class' cgroup (kubelet cm/qos_container_manager_linux.go).
// Guaranteed pods are below the root itself.
struct ClassShares {
  int64_t root = 0;  // of all pods beside the machine's other processes
  int64_t burstable = 0;
  int64_t best_effort = 0;
  bool operator==(const ClassShares&) const = default;
};
ClassShares class_shares(const std::vector<const PodSpec*>& pods, int64_t node_cpu_millis);

class QosCgroups {
 public:
  // `cgroups` outlives it. `root`: kPodCgroupRoot.
  QosCgroups(const Cgroups& cgroups, std::string root, int64_t node_cpu_millis)
      : cgroups_(cgroups), root_(std::move(root)), node_cpu_millis_(node_cpu_millis) {}

  // `pods`: those that run or will.
  Result<void> update(const std::vector<const PodSpec*>& pods);

 private:
  Result<void> set(const std::string& path, int64_t shares) const;

  const Cgroups& cgroups_;
  std::string root_;
  int64_t node_cpu_millis_;
  std::optional<ClassShares> set_;
};

}  // namespace fairlead::orchestrator
