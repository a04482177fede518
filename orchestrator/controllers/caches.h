// SPDX-License-Identifier: Apache-2.0
// The informers all controllers share: each object is decoded once and held once.
// Threads: one, the Api's. Inert until start().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/controllers/decode.h"
#include "orchestrator/controllers/informer.h"

namespace fairlead::orchestrator::controllers {

// A kind as owner references name it.
struct KindInfo {
  Resource resource;
  std::string kind;  // "ConfigMap"
  bool namespaced = true;
  // Its objects have no dependents worth a cache (Events): listed only to empty a namespace.
  bool listed_only = false;
};

// The built-in kinds that the typed informers below do not cover.
std::vector<KindInfo> default_other_kinds();

class Caches {
 public:
  explicit Caches(std::vector<KindInfo> other_kinds = default_other_kinds());

  // `on_synced` runs once, when every informer has its first complete list.
  void start(Api& api, std::function<void()> on_synced);

  Informer<Pod> pods{{"", "pods"}, decode_pod};
  Informer<ReplicaSet> replica_sets{{"apps", "replicasets"}, decode_replica_set};
  Informer<Deployment> deployments{{"apps", "deployments"}, decode_deployment};
  Informer<Service> services{{"", "services"}, decode_service};
  Informer<Endpoints> endpoints{{"", "endpoints"}, decode_endpoints};
  Informer<EndpointSlice> slices{{"discovery.k8s.io", "endpointslices"}, decode_endpoint_slice};
  Informer<Node> nodes{{"", "nodes"}, decode_node};
  Informer<Lease> leases{{"coordination.k8s.io", "leases"}, decode_lease};
  Informer<Namespace> namespaces{{"", "namespaces"}, decode_namespace};

  // Nothing can be created in a namespace that is being deleted.
  bool terminating(const std::string& ns) const {
    const auto space = namespaces.find({"", ns});
    return space && space->meta.deleting;
  }

  // Every kind known, the typed ones included.
  const std::vector<KindInfo>& kinds() const { return kinds_; }
  // The informer of kinds()[i]; null when listed_only.
  AnyInformer* informer(size_t kind) const { return informers_[kind]; }

 private:
  void add(KindInfo kind, AnyInformer* informer);

  std::vector<KindInfo> kinds_;
  std::vector<AnyInformer*> informers_;
  std::vector<std::unique_ptr<Informer<AnyObject>>> others_;
  size_t unsynced_ = 0;
};

}  // namespace fairlead::orchestrator::controllers
