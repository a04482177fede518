// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/caches.h"

namespace fairlead::orchestrator::controllers {

std::vector<KindInfo> default_other_kinds() {
  return {{{"", "configmaps"}, "ConfigMap", true, false},
          {{"", "secrets"}, "Secret", true, false},
          {{"", "events"}, "Event", true, true}};
}

Caches::Caches(std::vector<KindInfo> other_kinds) {
  add({pods.resource(), "Pod", true, false}, &pods);
  add({replica_sets.resource(), "ReplicaSet", true, false}, &replica_sets);
  add({deployments.resource(), "Deployment", true, false}, &deployments);
  add({services.resource(), "Service", true, false}, &services);
  add({endpoints.resource(), "Endpoints", true, false}, &endpoints);
  add({slices.resource(), "EndpointSlice", true, false}, &slices);
  add({nodes.resource(), "Node", false, false}, &nodes);
  add({leases.resource(), "Lease", true, false}, &leases);
  add({namespaces.resource(), "Namespace", false, false}, &namespaces);
  for (KindInfo& kind : other_kinds) {
    if (kind.listed_only) {
      add(std::move(kind), nullptr);
      continue;
    }
    others_.push_back(std::make_unique<Informer<AnyObject>>(kind.resource, decode_any));
    add(std::move(kind), others_.back().get());
  }
}

void Caches::add(KindInfo kind, AnyInformer* informer) {
  kinds_.push_back(std::move(kind));
  informers_.push_back(informer);
}

void Caches::start(Api& api, std::function<void()> on_synced) {
  for (AnyInformer* informer : informers_) unsynced_ += informer ? 1 : 0;
  for (AnyInformer* informer : informers_)
    if (informer)
      informer->start(api, [this, on_synced] {
        if (--unsynced_ == 0) on_synced();
      });
}

}  // namespace fairlead::orchestrator::controllers
