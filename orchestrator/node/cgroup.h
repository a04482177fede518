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

  // Controllers of a v2 tree beside v1 hierarchies, which no hierarchy has; empty where all are in
  // one of the two. crun works only there.
  std::vector<std::string> left_in_v2() const;
  // Mounts a v1 hierarchy for each of them ("/sys/fs/cgroup/hugetlb"), as init would have, or
  // cgroupfs-mount(8). How many.
  Result<int> mount_left_in_v2();
  // What mount_left_in_v2() mounted, here or in another process, where no cgroup is in it. Waits,
  // two seconds at most, until the kernel has the controller back in v2.
  Result<void> unmount_ours() const;

  // One mounted hierarchy that has controllers.
  struct Hierarchy {
    std::string mount_point;
    std::vector<std::string> controllers;  // v1: "cpu", "cpuset"; empty for v2
    bool ours = false;                     // mounted by mount_left_in_v2()
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
  Result<void> unmount(const Hierarchy& hierarchy) const;

  std::vector<Hierarchy> hierarchies_;
  // All there are, also those without controllers (systemd's, v2 beside v1): runc makes folders in
  // each.
  std::vector<std::string> mount_points_;
  std::string v2_;  // where it is mounted, if it is
  bool unified_ = false;
};

}  // namespace fairlead::orchestrator
