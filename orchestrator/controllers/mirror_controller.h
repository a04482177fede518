// SPDX-License-Identifier: Apache-2.0
// Writes the EndpointSlices of Endpoints that users keep for Services without selectors, as
// mirror_plan decides. Inert until start(). Threads: one, the Clock's.
#pragma once

#include <map>
#include <set>

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/mirror_plan.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class MirrorController {
 public:
  MirrorController(Clock& clock, Caches& caches, Writer& writer);
  void start() { queue_.start(); }

 private:
  using Pass = WorkQueue::Pass;
  void on_slice(const EndpointSlice& slice, bool there);
  std::vector<nlohmann::json> wanted(const ObjectKey& key, const Pass& pass) const;
  void work(const ObjectKey& key, const Pass& pass);
  void create(const Endpoints& endpoints, nlohmann::json slice, const Pass& pass);

  Caches& caches_;
  Writer& writer_;
  std::map<ObjectKey, std::set<ObjectKey>> slices_of_;  // by Service; those this one made
  WorkQueue queue_;  // Endpoints, which have their Service's name
};

}  // namespace fairlead::orchestrator::controllers
