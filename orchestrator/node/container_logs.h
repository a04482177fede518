// SPDX-License-Identifier: Apache-2.0
// Where the logs of containers are, and the names by which collectors of logs know them:
//
//   LOG_ROOT/NS_POD_UID/CONTAINER/ATTEMPT.log     rotated ones beside it: ATTEMPT.log.TIME
//   LINK_ROOT/POD_NS_CONTAINER-ID.log             a link to the former
//
// As the kubelet has them in /var/log/pods and /var/log/containers. Small files; any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

struct ContainerLogs {
  std::string root;
  std::string links;  // empty: no links are made

  std::string path(const PodSpec& pod, const std::string& container, uint32_t attempt) const;
  // At most 255 bytes: what is too long is cut before the id.
  std::string link_path(const PodSpec& pod, const ContainerInfo& container) const;

  Result<void> link(const PodSpec& pod, const ContainerInfo& container) const;
  // The log of one instance, the older parts of it, and the link.
  void remove(const PodSpec& pod, const ContainerInfo& container) const;
  // Links whose log is gone; others' are left.
  void remove_dead_links() const;
};

}  // namespace fairlead::orchestrator
