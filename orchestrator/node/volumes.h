// SPDX-License-Identifier: Apache-2.0
// A pod's folder on the node: its volumes and the files mounted into its containers.
//
//   ROOT/pods/UID/volumes/NAME       emptyDir, configMap, secret, downwardAPI, projected
//   ROOT/pods/UID/subpaths/C/N       what volumeMounts[N].subPath of container C leads to, bound
//   ROOT/pods/UID/etc-hosts          /etc/hosts of every container
//   ROOT/pods/UID/messages/C-N       termination message of attempt N of container C
//   ROOT/trash/UID.N                 the folder of a pod that is over, until it has been removed
//
// Volumes of objects are read-only in containers. Secrets and emptyDirs of medium Memory are tmpfs.
// Everything is level-triggered: setting up again what is there is no change, and what a container
// did to its emptyDir stays; a volume of objects changes as a whole (atomic_dir.h). Synchronous:
// small files only. Threads: one.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/node/atomic_dir.h"
#include "orchestrator/node/env.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// The files of a volume that is made of objects. No I/O.
Result<std::vector<VolumeFile>> volume_files(const PodSpec& pod, const VolumeSource& source,
                                             const NodeFacts& node, const Objects& objects);

class Volumes {
 public:
  explicit Volumes(std::string root) : root_(std::move(root)) {}

  // Makes every volume of the pod. The error is what the FailedMount event says.
  Result<void> set_up(const PodSpec& pod, const NodeFacts& node, const Objects& objects);
  // Brings the volumes that are made of objects or of the pod's own fields up to date.
  Result<void> update(const PodSpec& pod, const NodeFacts& node, const Objects& objects);
  // Unmounts what is in the pod's folder and moves it to the trash: its path there, for whoever
  // removes it (removing takes as long as the pod wrote). "": there was none.
  Result<std::string> tear_down(const std::string& pod_uid);
  // The mounts of one container: volumes (sub-paths made where missing), hosts file, message file.
  Result<std::vector<CriMount>> mounts(const PodSpec& pod, const ContainerSpec& container,
                                       uint32_t attempt, const std::string& hosts);

  std::string trash_dir() const { return root_ + "/trash"; }
  std::string pod_dir(const std::string& uid) const { return root_ + "/pods/" + uid; }
  std::string message_path(const std::string& uid, const std::string& container,
                           uint32_t attempt) const;
  // UIDs that have a folder: left from earlier lives.
  std::vector<std::string> known_pods() const;

 private:
  Result<void> set_up_one(const PodSpec& pod, const VolumeSpec& volume, const NodeFacts& node,
                          const Objects& objects);
  Result<void> make(const PodSpec& pod, const VolumeSpec& volume, const NodeFacts& node,
                    const Objects& objects);
  Result<CriMount> mount_of(const PodSpec& pod, const ContainerSpec& container, size_t index);

  std::string root_;
};

}  // namespace fairlead::orchestrator
