// SPDX-License-Identifier: Apache-2.0
// How long to wait before doing again what failed: at once the first time, then 10 s doubling to
// 300 s; forgotten after 10 minutes without failure (client-go flowcontrol.Backoff as the kubelet
// uses it). No clock of its own.
#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"

namespace fairlead::orchestrator {

class Backoff {
 public:
  static constexpr Duration kInitial = std::chrono::seconds(10);
  static constexpr Duration kMax = std::chrono::seconds(300);
  static constexpr Duration kForget = std::chrono::minutes(10);

  // How much longer to wait, at `now`, after a failure at `failed`; zero: go.
  Duration remaining(WallTime failed, WallTime now) const {
    if (!delay_ || failed - updated_ > kForget) return Duration::zero();
    return std::max<Duration>(failed + *delay_ - now, Duration::zero());
  }
  // The whole delay that holds now; zero before the first advance().
  Duration delay() const { return delay_.value_or(Duration::zero()); }

  // A new attempt begins at `now` after the failure at `failed`: the next wait is longer.
  void advance(WallTime failed, WallTime now) {
    const bool fresh = !delay_ || failed - updated_ > kForget;
    delay_ = fresh ? kInitial : std::min(*delay_ * 2, kMax);
    updated_ = now;
  }
  void reset() { delay_.reset(); }

 private:
  std::optional<Duration> delay_;
  WallTime updated_;
};

}  // namespace fairlead::orchestrator
