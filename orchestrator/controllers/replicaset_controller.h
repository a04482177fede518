// SPDX-License-Identifier: Apache-2.0
// Keeps the number of pods of ReplicaSets as replicaset_plan decides. Pods are created in batches
// of 1, 2, 4, ...; the first failure ends the pass, so that a set that cannot have pods costs one
// failed write and not hundreds. Inert until start(). Threads: one, the Clock's.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/recorder.h"
#include "orchestrator/controllers/replicaset_plan.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class ReplicaSetController {
 public:
  ReplicaSetController(Clock& clock, Caches& caches, Writer& writer, Recorder& recorder);
  void start() { queue_.start(); }

 private:
  using Pass = WorkQueue::Pass;
  void on_pod(const Pod& pod);
  void work(const ObjectKey& key, const Pass& pass);
  std::vector<PodRef> related_pods(const ReplicaSet& set) const;
  void adopt_or_release(const ReplicaSet& set, const ReplicaSetPlan& plan, const Pass& pass);
  void create_pods(const std::shared_ptr<const ReplicaSet>& set,
                   const std::shared_ptr<const nlohmann::json>& pod, int left, int batch,
                   const Pass& pass);
  void remove_pod(const ReplicaSet& set, const Pod& pod, const Pass& pass);
  void write_status(const ReplicaSet& set, const ReplicaSetStatus& status, const Pass& pass);

  Clock& clock_;
  Caches& caches_;
  Writer& writer_;
  Recorder& recorder_;
  std::map<std::string, std::string> create_errors_;  // by uid, until a creation succeeds
  WorkQueue queue_;
};

}  // namespace fairlead::orchestrator::controllers
