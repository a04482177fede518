// SPDX-License-Identifier: Apache-2.0
// Keys that need work. A key waits at most once and is worked by one pass at a time; what is added
// while its pass runs is worked again after it. A failed pass is repeated after 5 ms, doubling to
// 16 s; a key that is added meanwhile runs at once.
//
// A pass is over when the last copy of its Pass is gone, so callbacks of writes keep it alive by
// holding a copy. Passes begin on a later turn of the loop than the add() that asked for them: the
// changes of one turn are worked together.
//
// Threads: one, the Clock's. Destroying the queue forgets all keys; passes in flight end into
// nothing. Bounded: at most Options::max_in_flight passes at once; memory is that of distinct keys.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::orchestrator::controllers {

class WorkQueue {
  struct Core;

 public:
  using Key = kube::ObjectKey;

  class Pass {
   public:
    // The pass is repeated after a backoff. The first error is kept.
    void fail(const Error& error) const;
    bool failed() const;

   private:
    friend struct Core;
    struct State;
    explicit Pass(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  struct Options {
    std::string name;  // in log lines
    size_t max_in_flight = 64;
    Duration first_backoff = std::chrono::milliseconds(5);
    Duration max_backoff = std::chrono::seconds(16);
  };

  WorkQueue(Clock& clock, Options options, std::function<void(const Key&, Pass)> work);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Keys added before start() wait for it.
  void start();
  void add(const Key& key);
  // Works the key `delay` from now; of several waits for a key the shortest counts.
  void add_after(const Key& key, Duration delay);

  // Nothing waits to run at once and nothing runs; delayed keys may wait.
  bool idle() const;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace fairlead::orchestrator::controllers
