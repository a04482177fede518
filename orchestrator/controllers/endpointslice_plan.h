// SPDX-License-Identifier: Apache-2.0
// Which EndpointSlices a Service should have, as the smallest change of those it has; and what its
// Endpoints should say, from the same look at its pods. Pure.
//
// Semantics: KEP-752, KEP-1672 (terminating endpoints), KEP-4444 and KEP-3015 (traffic
// distribution) and k8s.io/endpointslice. An endpoint stays
// in its slice as long as it can; when the Service's ports change, slices are taken over in place.
// A Service that is being deleted keeps those it has up to date, and gets no new ones.
// What grows is written before what shrinks, so no ready endpoint is ever missing from all slices.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/controllers/endpoints_plan.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

using PodRef = std::shared_ptr<const Pod>;
using SliceRef = std::shared_ptr<const EndpointSlice>;

inline constexpr size_t kMaxEndpointsPerSlice = 100;
inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* kManagedByUs = "endpointslice-controller.k8s.io";
inline constexpr const char* kTriggerTimeAnnotation =
    "endpoints.kubernetes.io/last-change-trigger-time";

struct SliceState {
  const Service& service;
  std::vector<PodRef> pods;                  // those the selector matches
  std::vector<SliceRef> slices;              // ours of this Service
  std::map<std::string, std::string> zones;  // by node name
};

struct SliceWrite {
  SliceRef existing;  // null: create
  Family family = Family::kIpv4;
  std::vector<SlicePort> ports;
  std::vector<Endpoint> endpoints;
  Labels labels;
  bool operator==(const SliceWrite&) const = default;
};

struct SlicePlan {
  std::vector<SliceWrite> first;   // creations and changes that bring endpoints
  std::vector<SliceWrite> then;    // changes that only take away
  std::vector<SliceRef> removals;  // last
  // What the older form should say after all that; none for an ExternalName.
  std::optional<EndpointsContent> endpoints;
  // No slice changes.
  bool empty() const { return first.empty() && then.empty() && removals.empty(); }
};

SlicePlan plan(const SliceState& state);

// What the pod offers for the Service's ports. A named target port a pod does not have is left out.
std::vector<SlicePort> resolve_ports(const Service& service, const Pod& pod);

}  // namespace fairlead::orchestrator::controllers
