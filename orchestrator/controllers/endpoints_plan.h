// SPDX-License-Identifier: Apache-2.0
// What a Service's Endpoints object says: its EndpointSlices' content in the older form. Pure.
//
// Semantics: Kubernetes pkg/controller/endpoint and pkg/api/v1/endpoints (RepackSubsets). Ports
// that the same pods offer share a subset, so a pod stands in several when others have not all of
// its ports. A pod that is going is in none (unless the Service publishes what is not ready), one
// that offers no port neither (unless the Service is headless and names none).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

inline constexpr size_t kMaxEndpointAddresses = 1000;
inline constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
inline constexpr const char* kEndpointsManagedByLabel = "endpoints.kubernetes.io/managed-by";
inline constexpr const char* kEndpointsManagedByUs = "endpoint-controller";
inline constexpr const char* kOverCapacityAnnotation = "endpoints.kubernetes.io/over-capacity";

// Address and uid of the pod: pods on the host network of one node share an address.
using EndpointKey = std::pair<IpAddress, std::string>;
inline EndpointKey key_of(const Endpoint& endpoint) {
  return {endpoint.address, endpoint.pod_uid};
}

// A Service's endpoints of one family by the ports they offer.
using EndpointGroups = std::map<std::vector<SlicePort>, std::map<EndpointKey, Endpoint>>;

struct Subset {
  std::vector<Endpoint> ready;
  std::vector<Endpoint> not_ready;
  std::vector<SlicePort> ports;
  bool operator==(const Subset&) const = default;
};

struct EndpointsContent {
  Labels labels;
  std::vector<Subset> subsets;
  bool truncated = false;  // there were more than kMaxEndpointAddresses
  bool operator==(const EndpointsContent&) const = default;
};

// `groups` of the Service's first family.
EndpointsContent endpoints_of(const Service& service, const EndpointGroups& groups);

}  // namespace fairlead::orchestrator::controllers
