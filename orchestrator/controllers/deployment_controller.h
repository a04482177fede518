// SPDX-License-Identifier: Apache-2.0
// Keeps the ReplicaSets of Deployments as deployment_plan decides. Inert until start(), which the
// caches must be in sync for. Threads: one, the Clock's.
#pragma once

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/deployment_plan.h"
#include "orchestrator/controllers/recorder.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class DeploymentController {
 public:
  DeploymentController(Clock& clock, Caches& caches, Writer& writer, Recorder& recorder);
  void start() { queue_.start(); }

 private:
  using Pass = WorkQueue::Pass;
  void on_replica_set(const Meta& set);
  void on_pod(const Pod& pod);
  void work(const ObjectKey& key, const Pass& pass);
  void apply(const Deployment& deployment, const DeploymentPlan& plan, const Pass& pass);
  void create(const Deployment& deployment, const CreateReplicaSet& create, const Pass& pass);
  void patch(const Deployment& deployment, const PatchReplicaSet& patch, const Pass& pass);
  void record(const EventSubject& about, const std::vector<PlannedEvent>& events);
  void write_status(const Deployment& deployment, const DeploymentStatus& status, const Pass& pass);

  Clock& clock_;
  Caches& caches_;
  Writer& writer_;
  Recorder& recorder_;
  WorkQueue queue_;
};

}  // namespace fairlead::orchestrator::controllers
