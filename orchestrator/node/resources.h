// SPDX-License-Identifier: Apache-2.0
// Requests and limits as the kernel takes them. Pure. Formulas: orchestrator.md section D, after
// the kubelet's cm/helpers_linux.go and qos/policy.go.
#pragma once

#include <string>

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// What is set on the pod's own cgroup; 0: no limit.
struct PodLimits {
  int64_t cpu_shares = 2;
  int64_t cpu_quota = 0;     // microseconds in each 100 ms; only when every container has a limit
  int64_t memory_bytes = 0;  // likewise
  bool operator==(const PodLimits&) const = default;
};
inline constexpr int64_t kCpuPeriod = 100000;

PodLimits pod_limits(const PodSpec& pod);
// What the pod asks for in all, in thousandths of a CPU, at most a million CPUs.
int64_t cpu_request(const PodSpec& pod);
// Thousandths of a CPU as cgroup v1 shares.
int64_t shares_of(int64_t cpu_millis);
CriResources container_resources(const PodSpec& pod, const ContainerSpec& container,
                                 int64_t node_memory);

// "/fairlead-pods/burstable/pod<UID>" below `root` ("/fairlead-pods").
std::string pod_cgroup(const std::string& root, const PodSpec& pod);

// cgroup v1 shares (2..262144) as v2 weight (1..10000), the kernel documentation's mapping.
int64_t weight_of_shares(int64_t shares);

}  // namespace fairlead::orchestrator
