// SPDX-License-Identifier: Apache-2.0
// Work that is to be done soon, but not now: in parts, between which everything that is ready has
// its turn.
//
// Threads and ownership: as any handle of a Loop (loop.h).
#pragma once

#include "base/loop.h"

namespace fairlead {

class Idle {
 public:
  explicit Idle(Loop& loop);
  ~Idle();
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;

  // `callback` runs once in each turn of the loop until stop(), and the loop does not sleep
  // meanwhile.
  void start(std::function<void()> callback);
  void stop();
  bool active() const;

 private:
  internal::HandleState<uv_idle_t, void()>* state_;
};

}  // namespace fairlead
