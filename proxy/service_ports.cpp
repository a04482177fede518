// SPDX-License-Identifier: Apache-2.0
// What a ServiceMap says of service ports, for counters and for people, and what it lists.
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
  return Owner{{*claim.service->key, port.name, port.protocol}, claim.role, claim.cluster_ip};
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

std::vector<kube::ObjectKey> ServiceMap::services_besides(
    const std::set<kube::ObjectKey>& keys) const {
  std::vector<kube::ObjectKey> result;
  for (const auto& [key, service] : services_)
    if (service.present && !keys.contains(key)) result.push_back(key);
  return result;
}

std::vector<kube::ObjectKey> ServiceMap::slices_besides(
    const std::set<kube::ObjectKey>& keys) const {
  std::vector<kube::ObjectKey> result;
  for (const auto& [key, slice] : slices_)
    if (!keys.contains(key)) result.push_back(key);
  return result;
}

Dirty ServiceMap::frontends(Family family) const {
  Dirty result;
  result.reserve(claims_.size());
  for (const auto& [frontend, claim] : claims_)
    if (frontend.family() == family) result.push_back(frontend);
  for (const Frontend& door : doors_)
    if (door.family() == family && !claims_.contains(door)) result.push_back(door);
  return result;
}

Dirty ServiceMap::frontends(const kube::ObjectKey& service) const {
  const auto found = services_.find(service);
  return found == services_.end() ? Dirty() : frontends_of(found->second);
}

std::vector<ServiceMap::HealthPort> ServiceMap::health_ports() const {
  std::vector<HealthPort> result;
  for (const auto& [key, service] : services_) {
    if (service.spec.health_port == 0) continue;
    size_t most = 0;
    for (const IpAddress& address : service.spec.cluster_ips)
      most = std::max(most, count_local_ready(service, address.family()));
    result.push_back({key, service.spec.health_port, most});
  }
  return result;
}

size_t ServiceMap::count_without_local(Family family, bool internal) const {
  size_t count = 0;
  for (const auto& [key, service] : services_) {
    const Spec& spec = service.spec;
    if (!(internal ? spec.internal_local : spec.external_local)) continue;
    const bool served =
        std::any_of(spec.cluster_ips.begin(), spec.cluster_ips.end(),
                    [&](const IpAddress& address) { return address.family() == family; });
    for (size_t port = 0; served && port < spec.ports.size(); ++port) {
      const std::vector<Endpoint> all = merged({&service, static_cast<uint16_t>(port)}, family);
      if (!cluster_set(all).empty() && local_set(all).empty()) ++count;
    }
  }
  return count;
}

}  // namespace fairlead::proxy
