// SPDX-License-Identifier: Apache-2.0
// Which Service an address belongs to: the claims of ServiceMap.
#include <algorithm>
#include <tuple>

#include "proxy/service_map.h"

namespace fairlead::proxy {

// Each once. An address that is several things to its Service is treated as what it is to the
// outside: source ranges and the external traffic policy hold for it (pkg/proxy/nftables syncs
// service-ips in that order, the last wins).
std::vector<std::pair<Frontend, ServiceMap::Claim>> ServiceMap::claims_of(const Service& service,
                                                                          size_t port_index) {
  const Spec& spec = service.spec;
  const Port& port = spec.ports[port_index];
  std::vector<std::pair<Frontend, Claim>> result;
  const auto add = [&](const Frontend& frontend, Role role) {
    for (const auto& [known, claim] : result)
      if (known == frontend) return;
    const bool cluster_ip =
        role != Role::kNodePort && std::find(spec.cluster_ips.begin(), spec.cluster_ips.end(),
                                             frontend.address) != spec.cluster_ips.end();
    result.push_back({frontend, {&service, static_cast<uint16_t>(port_index), role, cluster_ip}});
  };
  for (const auto& [addresses, role] : {std::pair{&spec.load_balancer_ips, Role::kLoadBalancer},
                                        std::pair{&spec.external_ips, Role::kExternalIp},
                                        std::pair{&spec.cluster_ips, Role::kClusterIp}})
    for (const IpAddress& ip : *addresses) add(Frontend::vip(ip, port.protocol, port.port), role);
  if (port.node_port != 0)
    for (const IpAddress& ip : spec.cluster_ips)
      add(Frontend::node(ip.family(), port.protocol, port.node_port), Role::kNodePort);
  return result;
}

Dirty ServiceMap::frontends_of(const Service& service) {
  Dirty result;
  for (size_t port = 0; port < service.spec.ports.size(); ++port)
    for (const auto& [frontend, claim] : claims_of(service, port)) result.push_back(frontend);
  return result;
}

bool ServiceMap::Claim::before(const Claim& other) const {
  const auto rank = [](const Claim& claim) {
    if (claim.cluster_ip) return 0;
    return claim.role == Role::kExternalIp ? 2 : 1;
  };
  if (rank(*this) != rank(other)) return rank(*this) < rank(other);
  return *service->key < *other.service->key;
}

void ServiceMap::claim(const Frontend& frontend, Claim claim) {
  const auto [place, added] = claims_.try_emplace(frontend, claim);
  if (added) return;
  Claim loser = claim;
  if (claim.before(place->second)) std::swap(loser, place->second);
  losing_claims_.emplace(frontend, loser);
}

void ServiceMap::release(const Frontend& frontend, const Service& service) {
  auto [first, last] = losing_claims_.equal_range(frontend);
  for (auto it = first; it != last; ++it) {
    if (it->second.service != &service) continue;
    losing_claims_.erase(it);
    return;
  }
  const auto winner = claims_.find(frontend);
  if (winner == claims_.end() || winner->second.service != &service) return;
  std::tie(first, last) = losing_claims_.equal_range(frontend);
  if (first == last) {
    claims_.erase(winner);
    return;
  }
  const auto next = std::min_element(
      first, last, [](const auto& a, const auto& b) { return a.second.before(b.second); });
  winner->second = next->second;
  losing_claims_.erase(next);
}

}  // namespace fairlead::proxy
