// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/endpoints_plan.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace fairlead::orchestrator::controllers {
namespace {

using Ports = std::vector<SlicePort>;
using Addresses = std::map<EndpointKey, const Endpoint*>;

// Who offers each port; no port: those of a headless Service that names none.
std::map<std::optional<SlicePort>, Addresses> by_port(const Service& service,
                                                      const EndpointGroups& groups) {
  const bool portless = service.headless && service.ports.empty();
  std::map<std::optional<SlicePort>, Addresses> result;
  for (const auto& [ports, group] : groups)
    for (const auto& [key, endpoint] : group) {
      if (endpoint.terminating && !service.publish_not_ready) continue;
      if (portless) result[std::nullopt].emplace(key, &endpoint);
      for (const SlicePort& port : ports) result[port].emplace(key, &endpoint);
    }
  return result;
}

Subset subset_of(const Addresses& addresses, Ports ports) {
  Subset subset;
  subset.ports = std::move(ports);
  for (const auto& [key, endpoint] : addresses)
    (endpoint->ready ? subset.ready : subset.not_ready).push_back(*endpoint);
  return subset;
}

// Keeps `room` of the addresses that `side` names, each subset a share as large as its part of all.
void shorten(std::vector<Subset>& subsets, std::vector<Endpoint> Subset::*side, size_t all,
             size_t room) {
  size_t left = room;
  for (Subset& subset : subsets) {
    std::vector<Endpoint>& list = subset.*side;
    const size_t share = (list.size() * room + all - 1) / all;
    list.resize(std::min({share, left, list.size()}));
    left -= list.size();
  }
}

// Those that are not ready give way first.
bool truncate(std::vector<Subset>& subsets) {
  size_t ready = 0;
  size_t not_ready = 0;
  for (const Subset& subset : subsets) {
    ready += subset.ready.size();
    not_ready += subset.not_ready.size();
  }
  if (ready + not_ready <= kMaxEndpointAddresses) return false;
  if (not_ready > 0)
    shorten(subsets, &Subset::not_ready, not_ready,
            kMaxEndpointAddresses - std::min(ready, kMaxEndpointAddresses));
  if (ready > kMaxEndpointAddresses) shorten(subsets, &Subset::ready, ready, kMaxEndpointAddresses);
  std::erase_if(subsets, [](const Subset& subset) {
    return subset.ready.empty() && subset.not_ready.empty();
  });
  return true;
}

}  // namespace

EndpointsContent endpoints_of(const Service& service, const EndpointGroups& groups) {
  std::map<Addresses, Ports> ports_of;
  for (auto& [port, addresses] : by_port(service, groups)) {
    Ports& ports = ports_of[addresses];
    if (port) ports.push_back(*port);
  }
  EndpointsContent content;
  for (auto& [addresses, ports] : ports_of)
    content.subsets.push_back(subset_of(addresses, std::move(ports)));
  std::sort(content.subsets.begin(), content.subsets.end(),
            [](const Subset& a, const Subset& b) { return a.ports < b.ports; });
  content.truncated = truncate(content.subsets);
  content.labels = service.meta.labels;
  content.labels.erase(kHeadlessLabel);
  if (service.headless) content.labels[kHeadlessLabel] = "";
  content.labels[kEndpointsManagedByLabel] = kEndpointsManagedByUs;
  return content;
}

}  // namespace fairlead::orchestrator::controllers
