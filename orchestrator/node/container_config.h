// SPDX-License-Identifier: Apache-2.0
// What the runtime is told to make of a pod and of each of its containers. Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/node/cri.h"
#include "orchestrator/node/env.h"
#include "orchestrator/node/resolv_conf.h"

namespace fairlead::orchestrator {

// Where logs are: LOG_ROOT/<ns>_<name>_<uid>/<container>/<attempt>.log.
std::string pod_log_dir(const std::string& log_root, const PodSpec& pod);
std::string container_log_name(const std::string& container, uint32_t attempt);

struct SandboxInputs {
  const PodSpec& pod;
  uint32_t attempt;
  const std::string& log_root;
  const std::string& cluster_domain;
  std::string cgroup_parent;
  DnsConfig dns;
};
// kInvalid: setHostnameAsFQDN makes a name that is longer than the kernel's 64 bytes.
Result<SandboxConfig> sandbox_config(const SandboxInputs& in);

struct ContainerInputs {
  const PodSpec& pod;
  const ContainerSpec& container;
  uint32_t attempt;
  const ImageInfo& image;
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<CriMount> mounts;
  int64_t node_memory;
  bool cgroup_v2 = false;
};
// kInvalid where the security context forbids the image's user (runAsNonRoot).
Result<ContainerConfig> container_config(const ContainerInputs& in);

}  // namespace fairlead::orchestrator
