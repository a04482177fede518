// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/manager.h"

#include "orchestrator/controllers/deployment_controller.h"
#include "orchestrator/controllers/endpointslice_controller.h"
#include "orchestrator/controllers/garbage_collector.h"
#include "orchestrator/controllers/mirror_controller.h"
#include "orchestrator/controllers/node_controller.h"
#include "orchestrator/controllers/replicaset_controller.h"

namespace fairlead::orchestrator {

using namespace controllers;

// In order of construction; the caches stay until everything that reads them is gone, and the
// writer goes first, so that answers that come late find nobody.
struct ControllerManager::Running {
  Running(Clock& clock, Api& api, const Options& options)
      : caches(options.other_kinds),
        deployment_events(clock, api, "deployment-controller"),
        replica_set_events(clock, api, "replicaset-controller"),
        node_events(clock, api, "node-controller"),
        eviction_events(clock, api, "taint-eviction-controller"),
        writer(std::make_unique<Writer>(api)),
        deployments(clock, caches, *writer, deployment_events),
        replica_sets(clock, caches, *writer, replica_set_events),
        slices(clock, caches, *writer),
        mirror(clock, caches, *writer),
        garbage(clock, caches, *writer),
        nodes(clock, caches, *writer, node_events, eviction_events) {}

  void start(Api& api, const std::function<void()>& on_synced) {
    caches.start(api, [this, on_synced] {
      synced = true;
      deployments.start();
      replica_sets.start();
      slices.start();
      mirror.start();
      garbage.start();
      nodes.start();
      if (on_synced) on_synced();
    });
  }

  bool synced = false;
  Caches caches;
  // Under the names of Kubernetes' controllers, which kubectl shows.
  Recorder deployment_events, replica_set_events, node_events, eviction_events;
  std::unique_ptr<Writer> writer;
  DeploymentController deployments;
  ReplicaSetController replica_sets;
  EndpointSliceController slices;
  MirrorController mirror;
  GarbageCollector garbage;
  NodeController nodes;
};

ControllerManager::ControllerManager(Loop& loop, Api& api, Options options)
    : ControllerManager(loop.clock(), api, std::move(options)) {}
ControllerManager::ControllerManager(Clock& clock, Api& api, Options options)
    : clock_(clock), api_(api), options_(std::move(options)) {}
ControllerManager::~ControllerManager() {
  stop();
}

void ControllerManager::start() {
  if (running_) return;
  running_ = std::make_unique<Running>(clock_, api_, options_);
  running_->start(api_, options_.on_synced);
}

void ControllerManager::stop() {
  if (!running_) return;
  running_->writer.reset();
  running_.reset();
}

bool ControllerManager::synced() const {
  return running_ && running_->synced;
}

}  // namespace fairlead::orchestrator
