// SPDX-License-Identifier: Apache-2.0
// What a ServiceMap says of service ports, for counters and for people.
#include <algorithm>
#include <tuple>

#include "proxy/service_map.h"

namespace fairlead::proxy {

std::string ServicePort::to_string() const {
  return service.to_string() + (name.empty() ? "" : ":" + name);
}

std::optional<ServiceMap::Owner> ServiceMap::owner(const Frontend& frontend) const {
  const auto found = claims_.find(frontend);
  if (found == claims_.end()) return std::nullopt;
  const Claim& claim = found->second;
  const Port& port = claim.service->spec.ports[claim.port];
  return Owner{{claim.service->key, port.name, port.protocol}, claim.role};
}

const ServiceMap::Port* ServiceMap::find_port(const ServicePort& port) const {
  const auto service = services_.find(port.service);
  if (service == services_.end()) return nullptr;
  const std::vector<Port>& ports = service->second.spec.ports;
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const Port& one) {
    return one.name == port.name && one.protocol == port.protocol;
  });
  return found == ports.end() ? nullptr : &*found;
}

std::optional<ServiceMap::PortFacts> ServiceMap::facts(const ServicePort& port) const {
  const Port* known = find_port(port);
  if (known == nullptr) return std::nullopt;
  const Service& service = services_.at(port.service);
  const auto index = static_cast<uint16_t>(known - service.spec.ports.data());
  PortFacts facts;
  facts.cluster_ips = service.spec.cluster_ips;
  facts.port = known->port;
  facts.node_port = known->node_port;
  if (!facts.cluster_ips.empty())
    std::tie(facts.ready, facts.endpoints) =
        count_ready({&service, index, Role::kClusterIp}, facts.cluster_ips.front().family());
  return facts;
}

ServiceMap::Size ServiceMap::size() const {
  Size size;
  for (const auto& [key, service] : services_) {
    if (service.spec.ports.empty()) continue;  // headless, or not known yet
    ++size.services;
    size.ports += service.spec.ports.size();
  }
  for (const auto& [key, slice] : slices_)
    size.endpoints += slice.endpoints.size() / (IpAddress::any(slice.family).bytes().size() + 1);
  return size;
}

}  // namespace fairlead::proxy
