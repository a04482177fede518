// SPDX-License-Identifier: Apache-2.0
// All controllers on one loop: Deployments, ReplicaSets, EndpointSlices (of pods, and of Endpoints
// that users write), owners and namespaces, nodes.
//
// Level-triggered and event-driven: nothing is polled, nothing is listed again. What is decided is
// decided from the caches; every write is guarded by uid or revision and repeated with backoff from
// what is then observed. It may be destroyed at any instant; a new one converges to the same state.
//
// Threads: one, the Api's. Inert until start(). The Api must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/caches.h"

namespace fairlead::orchestrator {

class ControllerManager {
 public:
  struct Options {
    // Kinds beside the built-in ones that have owners or live in namespaces.
    std::vector<controllers::KindInfo> other_kinds = controllers::default_other_kinds();
    // Runs once after start(), when the caches are complete and the controllers work.
    std::function<void()> on_synced;
  };

  ControllerManager(Loop& loop, Api& api, Options options);
  ControllerManager(Clock& clock, Api& api, Options options);
  ~ControllerManager();
  ControllerManager(const ControllerManager&) = delete;
  ControllerManager& operator=(const ControllerManager&) = delete;

  void start();
  // Ends all work at once; writes on their way may still take effect. start() begins anew.
  void stop();
  bool synced() const;

 private:
  struct Running;
  Clock& clock_;
  Api& api_;
  const Options options_;
  std::unique_ptr<Running> running_;
};

}  // namespace fairlead::orchestrator
