// SPDX-License-Identifier: Apache-2.0
// The cgroups above a pod's containers, on hosts with split controllers (v1), with the unified
// hierarchy (v2), or with both. Errors are values; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "orchestrator/node/resources.h"

namespace fairlead::orchestrator {

// Above all pods of ours. Not a kubelet's "/kubepods": what is below is killed by `fairlead down`.
inline constexpr char kPodCgroupRoot[] = "/fairlead-pods";

class Cgroups {
 public:
  // Finds what is mounted; `mountinfo` is the text of /proc/self/mountinfo.
  static Cgroups parse(const std::string& mountinfo);
  static Result<Cgroups> detect();

  // One mounted hierarchy that has controllers.
  struct Hierarchy {
    std::string mount_point;
    std::vector<std::string> controllers;  // v1: "cpu", "cpuset"; empty for v2
    bool has(const std::string& controller) const;
  };
  bool unified() const { return unified_; }
  const std::vector<Hierarchy>& hierarchies() const { return hierarchies_; }

  // Makes `path` ("/fairlead-pods/burstable/pod..") and its parents in every hierarchy. v1: the
  // cpuset of each parent is copied down, without it no process can enter. v2: controllers are
  // enabled above, cpu and memory or it fails.
  Result<void> create(const std::string& path) const;
  Result<void> set(const std::string& path, const PodLimits& limits) const;
  // The folder and what is below, empty of processes or kBusy-like errors; absent is success.
  Result<void> remove(const std::string& path) const;
  // Kills what is left in it and removes it, trying for a second.
  Result<void> kill_and_remove(const std::string& path) const;

 private:
  std::vector<Hierarchy> hierarchies_;
  // All there are, also those without controllers (systemd's, v2 beside v1): runc makes folders in
  // each.
  std::vector<std::string> mount_points_;
  bool unified_ = false;
};

}  // namespace fairlead::orchestrator
