// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/endpointslice_plan.h"

#include <algorithm>
#include <tuple>

namespace fairlead::orchestrator::controllers {
namespace {

using Ports = std::vector<SlicePort>;
using Group = EndpointGroups::mapped_type;

Endpoint endpoint_of(const SliceState& state, const Pod& pod, const IpAddress& address) {
  const Service& service = state.service;
  Endpoint endpoint;
  endpoint.address = address;
  endpoint.serving = pod.ready;
  endpoint.terminating = pod.meta.deleting;
  endpoint.ready = service.publish_not_ready || (pod.ready && !pod.meta.deleting);
  endpoint.node_name = pod.node_name;
  if (const auto zone = state.zones.find(pod.node_name); zone != state.zones.end())
    endpoint.zone = zone->second;
  // KEP-4444, KEP-3015; of those not ready nobody asks.
  if (endpoint.ready && service.prefer_same_zone) endpoint.hint_zone = endpoint.zone;
  if (endpoint.ready && service.prefer_same_node) endpoint.hint_node = endpoint.node_name;
  if (pod.subdomain == service.meta.name) endpoint.hostname = pod.hostname;
  endpoint.pod_name = pod.meta.name;
  endpoint.pod_uid = pod.meta.uid;
  return endpoint;
}

EndpointGroups desired_groups(const SliceState& state, Family family) {
  EndpointGroups groups;
  for (const PodRef& pod : state.pods) {
    if (pod->terminal()) continue;
    const auto ip = std::find_if(pod->ips.begin(), pod->ips.end(), [&](const IpAddress& address) {
      return address.family() == family;
    });
    if (ip == pod->ips.end()) continue;
    const Ports ports = resolve_ports(state.service, *pod);
    Endpoint endpoint = endpoint_of(state, *pod, *ip);
    groups[ports].emplace(key_of(endpoint), std::move(endpoint));
  }
  return groups;
}

Labels wanted_labels(const Service& service) {
  Labels labels = service.meta.labels;
  labels.erase(kHeadlessLabel);
  if (service.headless) labels[kHeadlessLabel] = "";
  labels[kServiceNameLabel] = service.meta.name;
  labels[kManagedByLabel] = kManagedByUs;
  return labels;
}

// A slice as it will be.
struct Draft {
  SliceRef existing;
  Ports ports;
  std::vector<Endpoint> endpoints;
};

class FamilyPlanner {
 public:
  FamilyPlanner(const SliceState& state, Family family, EndpointGroups groups)
      : groups_(std::move(groups)), state_(state), family_(family) {
    for (const SliceRef& slice : state.slices)
      if (slice->family == family && !slice->meta.deleting) slices_.push_back(slice);
    std::sort(slices_.begin(), slices_.end(), [](const SliceRef& a, const SliceRef& b) {
      return std::tie(a->meta.created, a->meta.name) < std::tie(b->meta.created, b->meta.name);
    });
  }
  void run(SlicePlan& plan);

 private:
  void keep_current();
  void take_over_stale();
  void place_rest();
  void keep_in(const SliceRef& slice, const Ports& ports, Group& group);
  void emit(SlicePlan& plan) const;

  EndpointGroups groups_;  // what is not placed yet
  const SliceState& state_;
  const Family family_;
  std::vector<SliceRef> slices_;
  std::vector<SliceRef> stale_;  // of ports nobody wants
  std::vector<Draft> drafts_;
};

void FamilyPlanner::run(SlicePlan& plan) {
  keep_current();
  take_over_stale();
  place_rest();
  emit(plan);
}

// The endpoints of `slice` that are still wanted stay in it.
void FamilyPlanner::keep_in(const SliceRef& slice, const Ports& ports, Group& group) {
  Draft draft{slice, ports, {}};
  for (const Endpoint& endpoint : slice->endpoints) {
    auto node = group.extract(key_of(endpoint));
    if (!node.empty()) draft.endpoints.push_back(std::move(node.mapped()));
  }
  drafts_.push_back(std::move(draft));
}

void FamilyPlanner::keep_current() {
  for (const SliceRef& slice : slices_) {
    const auto group = groups_.find(slice->ports);
    if (group == groups_.end())
      stale_.push_back(slice);
    else
      keep_in(slice, group->first, group->second);
  }
}

// A slice whose ports nobody wants is changed in place to those that most of its endpoints now
// have.
void FamilyPlanner::take_over_stale() {
  for (const SliceRef& slice : stale_) {
    auto best = groups_.end();
    size_t best_overlap = 0;
    for (auto it = groups_.begin(); it != groups_.end(); ++it) {
      if (it->second.empty()) continue;
      const size_t overlap =
          std::count_if(slice->endpoints.begin(), slice->endpoints.end(),
                        [&](const Endpoint& e) { return it->second.contains(key_of(e)); });
      if (best != groups_.end() && overlap <= best_overlap) continue;
      best = it;
      best_overlap = overlap;
    }
    if (best == groups_.end())
      drafts_.push_back({slice, slice->ports, {}});
    else
      keep_in(slice, best->first, best->second);
  }
}

void FamilyPlanner::place_rest() {
  for (auto& [ports, group] : groups_) {
    // Slices that are written anyway fill first.
    std::vector<Draft*> room;
    for (Draft& draft : drafts_)
      if (draft.ports == ports && draft.endpoints.size() < kMaxEndpointsPerSlice)
        room.push_back(&draft);
    std::stable_partition(room.begin(), room.end(), [](const Draft* draft) {
      return draft->endpoints != draft->existing->endpoints;
    });
    for (Draft* draft : room)
      while (!group.empty() && draft->endpoints.size() < kMaxEndpointsPerSlice)
        draft->endpoints.push_back(std::move(group.extract(group.begin()).mapped()));
    while (!group.empty()) {
      Draft draft{nullptr, ports, {}};
      while (!group.empty() && draft.endpoints.size() < kMaxEndpointsPerSlice)
        draft.endpoints.push_back(std::move(group.extract(group.begin()).mapped()));
      drafts_.push_back(std::move(draft));
    }
  }
}

// Empty slices go, but one stays to say that the Service has no endpoints.
void FamilyPlanner::emit(SlicePlan& plan) const {
  static const Ports kNoPorts;
  const Labels labels = wanted_labels(state_.service);
  const bool all_empty = std::all_of(drafts_.begin(), drafts_.end(),
                                     [](const Draft& draft) { return draft.endpoints.empty(); });
  if (drafts_.empty()) plan.first.push_back({nullptr, family_, {}, {}, labels});
  for (size_t i = 0; i < drafts_.size(); ++i) {
    const Draft& draft = drafts_[i];
    if (draft.endpoints.empty() && !(all_empty && i == 0)) {
      plan.removals.push_back(draft.existing);
      continue;
    }
    const Ports& ports = all_empty ? kNoPorts : draft.ports;
    SliceWrite write{draft.existing, family_, ports, draft.endpoints, labels};
    if (!draft.existing) {
      plan.first.push_back(std::move(write));
      continue;
    }
    const EndpointSlice& now = *draft.existing;
    if (now.ports == ports && now.endpoints == draft.endpoints && now.meta.labels == labels)
      continue;
    const bool brings =
        std::any_of(draft.endpoints.begin(), draft.endpoints.end(), [&](const Endpoint& endpoint) {
          return std::none_of(now.endpoints.begin(), now.endpoints.end(),
                              [&](const Endpoint& e) { return key_of(e) == key_of(endpoint); });
        });
    (brings || now.ports != ports ? plan.first : plan.then).push_back(std::move(write));
  }
}

}  // namespace

std::vector<SlicePort> resolve_ports(const Service& service, const Pod& pod) {
  Ports ports;
  for (const ServicePort& port : service.ports) {
    uint16_t target = port.target_port;
    if (!port.target_name.empty())
      for (const ContainerPort& named : pod.ports)
        if (named.name == port.target_name && named.protocol == port.protocol && target == 0)
          target = named.port;
    if (target != 0) ports.push_back({port.name, port.protocol, target, port.app_protocol});
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

SlicePlan plan(const SliceState& state) {
  SlicePlan result;
  if (state.service.external_name) {
    for (const SliceRef& slice : state.slices)
      if (!slice->meta.deleting) result.removals.push_back(slice);
    return result;
  }
  for (const Family family : state.service.families) {
    EndpointGroups groups = desired_groups(state, family);
    if (!result.endpoints) result.endpoints = endpoints_of(state.service, groups);
    FamilyPlanner(state, family, std::move(groups)).run(result);
  }
  for (const SliceRef& slice : state.slices)
    if (!slice->meta.deleting &&
        std::find(state.service.families.begin(), state.service.families.end(), slice->family) ==
            state.service.families.end())
      result.removals.push_back(slice);
  // The garbage collector may be taking its slices away: new ones would be a race with it.
  if (state.service.meta.deleting)
    std::erase_if(result.first, [](const SliceWrite& write) { return !write.existing; });
  return result;
}

}  // namespace fairlead::orchestrator::controllers
