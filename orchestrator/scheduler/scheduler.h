// SPDX-License-Identifier: Apache-2.0
// Binds pods to nodes: obstacles() filters, best() chooses, Api::bind writes.
//
// Event-driven: a pod is tried when it appears, and one that fits nowhere again only when a node
// appears or changes for the better or a pod goes (0.2 s to 10 s after its last try). It is told so
// by condition PodScheduled=False and an Event, written when the message changes. A chosen place is
// held from the decision until the bind is answered. Pods of higher priority come first; nobody is
// preempted. Other schedulers' pods only count as load.
//
// Threads: one, the Api's. Inert until start(). May be destroyed at any instant. The Api must
// outlive it. Bounded: 64 decisions a turn of the loop, 256 binds in flight.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/loop.h"
#include "orchestrator/apiserver/api.h"

namespace fairlead::orchestrator {

class Scheduler {
 public:
  Scheduler(Loop& loop, Api& api);
  Scheduler(Clock& clock, Api& api);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void start();
  // Ends all work at once; binds on their way may still take effect. start() begins anew.
  void stop();

 private:
  struct Running;
  Clock& clock_;
  Api& api_;
  std::shared_ptr<Running> running_;
};

}  // namespace fairlead::orchestrator
