// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/resources.h"

#include <algorithm>
#include <limits>

namespace fairlead::orchestrator {

namespace {

constexpr int64_t kMinShares = 2;
constexpr int64_t kMaxShares = 262144;
constexpr int64_t kMinQuota = 1000;

int64_t get(const Quantities& quantities, const char* name) {
  const auto it = quantities.find(name);
  return it == quantities.end() ? 0 : std::max<int64_t>(it->second, 0);
}

int64_t quota_of(int64_t cpu_millis) {
  if (cpu_millis == 0) return 0;
  return std::max(std::min<int64_t>(cpu_millis, 1000000) * kCpuPeriod / 1000, kMinQuota);
}

int64_t added(int64_t sum, int64_t amount) {
  int64_t result = 0;
  return __builtin_add_overflow(sum, amount, &result) ? std::numeric_limits<int64_t>::max()
                                                      : result;
}

// What the pod may use in all: containers and sidecars together, or the greediest init container
// with the sidecars before it (KEP-753).
int64_t pod_sum(const PodSpec& pod, bool limits, const char* name) {
  int64_t sum = 0, most = 0;
  for (const ContainerSpec& spec : pod.init_containers) {
    const int64_t with = added(sum, get(limits ? spec.limits : spec.requests, name));
    most = std::max(most, with);
    if (spec.sidecar) sum = with;
  }
  for (const ContainerSpec& spec : pod.containers)
    sum = added(sum, get(limits ? spec.limits : spec.requests, name));
  return std::max(sum, most);
}

bool all_limited(const PodSpec& pod, const char* name) {
  const auto limited = [&](const ContainerSpec& spec) { return get(spec.limits, name) > 0; };
  return std::all_of(pod.containers.begin(), pod.containers.end(), limited) &&
         std::all_of(pod.init_containers.begin(), pod.init_containers.end(), limited);
}

}  // namespace

int64_t shares_of(int64_t cpu_millis) {
  if (cpu_millis > kMaxShares) return kMaxShares;
  return std::clamp(cpu_millis * 1024 / 1000, kMinShares, kMaxShares);
}

int64_t cpu_request(const PodSpec& pod) {
  return std::min<int64_t>(pod_sum(pod, false, "cpu"), 1'000'000'000);
}

PodLimits pod_limits(const PodSpec& pod) {
  PodLimits limits;
  limits.cpu_shares = shares_of(cpu_request(pod));
  if (all_limited(pod, "cpu")) limits.cpu_quota = quota_of(pod_sum(pod, true, "cpu"));
  if (all_limited(pod, "memory")) limits.memory_bytes = pod_sum(pod, true, "memory") / 1000;
  return limits;
}

CriResources container_resources(const PodSpec& pod, const ContainerSpec& container,
                                 int64_t node_memory) {
  CriResources resources;
  resources.cpu_shares = shares_of(get(container.requests, "cpu"));
  resources.cpu_quota = quota_of(get(container.limits, "cpu"));
  if (resources.cpu_quota > 0) resources.cpu_period = kCpuPeriod;
  resources.memory_limit_bytes = get(container.limits, "memory") / 1000;
  switch (qos_class(pod)) {
    case QosClass::kGuaranteed:
      resources.oom_score_adj = -997;
      break;
    case QosClass::kBestEffort:
      resources.oom_score_adj = 1000;
      break;
    case QosClass::kBurstable: {
      const int64_t request = get(container.requests, "memory") / 1000;
      const int64_t score =
          1000 - (node_memory > 0 ? request / std::max<int64_t>(node_memory / 1000, 1) : 0);
      resources.oom_score_adj = std::clamp<int64_t>(score, 3, 999);
      break;
    }
  }
  return resources;
}

std::string pod_cgroup(const std::string& root, const PodSpec& pod) {
  switch (qos_class(pod)) {
    case QosClass::kGuaranteed:
      return root + "/pod" + pod.uid;
    case QosClass::kBurstable:
      return root + "/burstable/pod" + pod.uid;
    case QosClass::kBestEffort:
      return root + "/besteffort/pod" + pod.uid;
  }
  return root + "/pod" + pod.uid;
}

int64_t weight_of_shares(int64_t shares) {
  const int64_t clamped = std::clamp(shares, kMinShares, kMaxShares);
  return 1 + (clamped - 2) * 9999 / 262142;
}

}  // namespace fairlead::orchestrator
