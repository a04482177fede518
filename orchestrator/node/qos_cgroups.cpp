// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/qos_cgroups.h"

namespace fairlead::orchestrator {

ClassShares class_shares(const std::vector<const PodSpec*>& pods, int64_t node_cpu_millis) {
  int64_t burstable = 0;
  for (const PodSpec* pod : pods)
    if (qos_class(*pod) == QosClass::kBurstable) burstable += cpu_request(*pod);
  return {shares_of(node_cpu_millis), shares_of(burstable), shares_of(0)};
}

Result<void> QosCgroups::update(const std::vector<const PodSpec*>& pods) {
  const ClassShares wanted = class_shares(pods, node_cpu_millis_);
  if (set_ == wanted) return ok();
  if (const Result<void> done = set(root_, wanted.root); !done.ok()) return done;
  if (const Result<void> done = set(root_ + "/burstable", wanted.burstable); !done.ok())
    return done;
  if (const Result<void> done = set(root_ + "/besteffort", wanted.best_effort); !done.ok())
    return done;
  set_ = wanted;
  return ok();
}

Result<void> QosCgroups::set(const std::string& path, int64_t shares) const {
  if (const Result<void> made = cgroups_.create(path); !made.ok()) return made;
  PodLimits limits;
  limits.cpu_shares = shares;
  return cgroups_.set(path, limits);
}

}  // namespace fairlead::orchestrator
