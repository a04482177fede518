// SPDX-License-Identifier: Apache-2.0
// The cgroups above a pod's containers, on hosts with split controllers (v1), with the unified
// hierarchy (v2), or with both. Errors are values; any thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "orchestrator/node/resources.h"

namespace fairlead::orchestrator {

// Above all pods of ours. Not a kubelet's "/kubepods": `fairlead down` kills what is left of its
// own pods below.
inline constexpr char kPodCgroupRoot[] = "/fairlead-pods";

// The holder (Cgroups::hold_ours) of the cluster in that data folder.
std::string cgroup_holder(const std::string& data_dir);

class Cgroups {
 public:
  // Finds what is mounted; `mountinfo` is the text of /proc/self/mountinfo.
  static Cgroups parse(const std::string& mountinfo);
  static Result<Cgroups> detect();

  // Why crun makes no containers here; empty: it does. Its own rule: v2 at /sys/fs/cgroup, or v1
  // there, and then no controllers in a v2 at /sys/fs/cgroup/unified.
  std::string crun_obstacle() const;
  // That obstacle away: a v1 hierarchy for each controller that init left in v2
  // (/sys/fs/cgroup/hugetlb), as cgroupfs-mount(8) makes them. All of them or none: not where v2 is
  // in use, or has a controller that v1 does not know. How many.
  Result<int> mount_left_in_v2();
  // A cgroup of that name in each hierarchy that mount_left_in_v2() mounted, here or in another
  // process: as long as it is there nobody takes the hierarchy away.
  Result<void> hold_ours(const std::string& holder) const;
  // Takes away what mount_left_in_v2() mounted, here or in another process, and waits, two seconds
  // at most, until the kernel has the controller back in v2. What has cgroups in it stays: their
  // paths.
  Result<std::vector<std::string>> unmount_ours() const;

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
  // Names of the folders in it, in any hierarchy.
  std::set<std::string> children(const std::string& path) const;
  // The folder itself where it is empty; what has folders or processes stays.
  void remove_empty(const std::string& path) const;
  // The folder and what is below, empty of processes or kBusy-like errors; absent is success.
  Result<void> remove(const std::string& path) const;
  // The same, and kills what is left in it, so that a later try succeeds.
  Result<void> remove_or_kill(const std::string& path) const;
  // Kills what is left in it and removes it, trying for a second, which it sleeps.
  Result<void> kill_and_remove(const std::string& path) const;

 private:
  std::vector<std::string> left_in_v2() const;
  Result<void> unmount(const Hierarchy& hierarchy) const;

  std::vector<Hierarchy> hierarchies_;
  // All there are, also those without controllers (systemd's, v2 beside v1): runtimes make
  // folders in each.
  std::vector<std::string> mount_points_;
  std::string v2_;    // where it is mounted, if it is
  std::string root_;  // the type of what is at /sys/fs/cgroup
  bool unified_ = false;
};

}  // namespace fairlead::orchestrator
