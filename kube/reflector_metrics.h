// SPDX-License-Identifier: Apache-2.0
// What a Reflector does, as metrics: client-go's names where it has one (tools/cache,
// reflector_metrics.go), each with the kind as label `name`. Private to kube.
//
// Threads: update() on the reflector's loop; reading is the Metrics' business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/time.h"

namespace fairlead::kube {

struct ReflectorStatus;

class ReflectorMetrics {
 public:
  ReflectorMetrics(Metrics& metrics, const std::string& kind);

  // `contact`: when the server last sent a byte, on the wall's clock.
  void update(const ReflectorStatus& now, WallTime contact);

 private:
  // A counter that follows a number in the status.
  struct Follower {
    Counter counter;
    uint64_t ReflectorStatus::*number;
    uint64_t seen = 0;
  };
  std::vector<Follower> followers_;
  Gauge synced_;
  Gauge watching_;
  Gauge contact_;
};

}  // namespace fairlead::kube
