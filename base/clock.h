// SPDX-License-Identifier: Apache-2.0
// Time as something a component is given, so that tests can turn it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/time.h"

namespace fairlead {

// A pending call; destroying or resetting it cancels the call. Empty when default-made.
class Alarm {
 public:
  struct Pending {
    virtual ~Pending() = default;
  };
  Alarm() = default;
  explicit Alarm(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}
  void cancel() { pending_.reset(); }

 private:
  std::unique_ptr<Pending> pending_;
};

// Not thread-safe: a Clock belongs to one loop's thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime now() const = 0;
  virtual WallTime wall_now() const = 0;
  // Calls `callback` once, `delay` from now at the earliest, never from inside after() itself.
  // The callback may cancel or replace the Alarm it came from.
  [[nodiscard]] virtual Alarm after(Duration delay, std::function<void()> callback) = 0;
};

// A clock that stands still until a test turns it. Starts at a fixed moment.
class ManualClock : public Clock {
 public:
  ManualClock();
  ~ManualClock() override;

  MonoTime now() const override { return now_; }
  WallTime wall_now() const override { return wall_now_; }
  [[nodiscard]] Alarm after(Duration delay, std::function<void()> callback) override;

  // Turns the clock forward and runs what falls due, in order of time then of asking; what a
  // callback schedules inside the span runs too.
  void advance(Duration span);
  // Moves the wall clock alone, as an administrator or NTP would.
  void set_wall(WallTime time) { wall_now_ = time; }
  // How many alarms wait, and the delay to the next (zero when none waits).
  size_t pending() const;
  Duration until_next() const;

 private:
  struct Queue;
  struct Entry;
  MonoTime now_;
  WallTime wall_now_;
  std::shared_ptr<Queue> queue_;
};

}  // namespace fairlead
