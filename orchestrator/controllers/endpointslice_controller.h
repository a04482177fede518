// SPDX-License-Identifier: Apache-2.0
// Writes the EndpointSlices of Services with selectors as endpointslice_plan decides, on the turn
// of the loop after the change that asked for it; then their Endpoints (endpoints_writer.h). Inert
// until start(). Threads: one, the Clock's.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/endpoints_writer.h"
#include "orchestrator/controllers/endpointslice_plan.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class EndpointSliceController {
 public:
  EndpointSliceController(Clock& clock, Caches& caches, Writer& writer);
  void start() {
    queue_.start();
    endpoints_.start();
  }

 private:
  using Pass = WorkQueue::Pass;
  void on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after);
  void on_slice(const EndpointSlice& slice);
  void on_node(const std::shared_ptr<const Node>& before, const std::shared_ptr<const Node>& after);
  void work(const ObjectKey& key, const Pass& pass);
  void note_trigger(const ObjectKey& service, WallTime time);
  // `until_done` is let go when the write has been answered.
  void write(const Service& service, const SliceWrite& write, std::optional<WallTime> trigger,
             const Pass& pass, std::shared_ptr<void> until_done = {});

  Clock& clock_;
  Caches& caches_;
  Writer& writer_;
  std::map<ObjectKey, std::set<ObjectKey>> slices_of_;  // by Service
  std::map<ObjectKey, WallTime> trigger_;  // earliest change not yet written, by Service
  EndpointsWriter endpoints_;
  WorkQueue queue_;
};

}  // namespace fairlead::orchestrator::controllers
