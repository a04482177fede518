// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_map.h"

#include <algorithm>
#include <tuple>

namespace fairlead::proxy {

namespace {

constexpr uint8_t kReady = 1;
constexpr uint8_t kServing = 2;
constexpr uint8_t kTerminating = 4;
constexpr uint8_t kLocal = 8;

size_t address_size(Family family) {
  return family == Family::kIpv4 ? 4 : 16;
}

bool has_frontends(const kube::Service& service) {
  return !service.headless && service.type != kube::ServiceType::kExternalName &&
         !service.cluster_ips.empty();
}

}  // namespace

Dirty ServiceMap::put(const kube::Service& service) {
  std::vector<IpAddress> cluster_ips;
  std::vector<Port> ports;
  if (has_frontends(service)) {
    cluster_ips = service.cluster_ips;
    for (const kube::ServicePort& port : service.ports)
      ports.push_back({port.name, port.port, port.node_port, port.protocol});
  }
  const kube::ObjectKey key = service.meta.key();
  const auto known = services_.find(key);
  if (known != services_.end() && known->second.present &&
      known->second.cluster_ips == cluster_ips && known->second.ports == ports)
    return {};
  Dirty dirty = remove_service(key);
  Service& entry = service_entry(key);
  entry.present = true;
  entry.cluster_ips = std::move(cluster_ips);
  entry.ports = std::move(ports);
  for (size_t port = 0; port < entry.ports.size(); ++port) {
    for (const Frontend& frontend : frontends_of(entry, port)) {
      claim(frontend, {&entry, static_cast<uint16_t>(port)});
      dirty.push_back(frontend);
    }
  }
  std::sort(dirty.begin(), dirty.end());
  dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
  return dirty;
}

Dirty ServiceMap::remove_service(const kube::ObjectKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end() || !found->second.present) return {};
  Service& service = found->second;
  Dirty dirty = frontends_of(service);
  for (const Frontend& frontend : dirty) release(frontend, service);
  service.present = false;
  service.ports.clear();
  service.cluster_ips.clear();
  forget_if_unused(service);
  return dirty;
}

Dirty ServiceMap::put(const kube::EndpointSlice& slice) {
  const kube::ObjectKey key = slice.meta.key();
  if (slice.service_name.empty() || slice.fqdn) return remove_slice(key);
  Slice packed = pack(slice);
  packed.service = &service_entry({slice.meta.ns, slice.service_name});

  Dirty dirty;
  const auto [place, added] = slices_.try_emplace(key);
  Slice& entry = place->second;
  if (!added) {
    if (entry.service == packed.service && entry.family == packed.family &&
        entry.ports == packed.ports && entry.endpoints == packed.endpoints)
      return {};
    touched_by(entry, dirty);
    if (entry.service != packed.service) detach(entry);
  }
  if (added || entry.service != packed.service) packed.service->slices.push_back(&entry);
  entry = std::move(packed);
  touched_by(entry, dirty);
  std::sort(dirty.begin(), dirty.end());
  dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
  return dirty;
}

Dirty ServiceMap::remove_slice(const kube::ObjectKey& key) {
  const auto found = slices_.find(key);
  if (found == slices_.end()) return {};
  Dirty dirty;
  touched_by(found->second, dirty);
  detach(found->second);
  slices_.erase(found);
  return dirty;
}

std::optional<Target> ServiceMap::find(const Frontend& frontend) const {
  const auto found = claims_.find(frontend);
  if (found == claims_.end()) return std::nullopt;
  const Service& service = *found->second.service;
  const Port& port = service.ports[found->second.port];

  std::vector<Endpoint> endpoints = merged(found->second, frontend.family());
  const auto keep = [&](auto usable) {
    std::vector<Backend> backends;
    for (const Endpoint& endpoint : endpoints)
      if (usable(endpoint.flags)) backends.push_back(endpoint.backend);
    return backends;
  };
  Target target;
  target.service = service.key.to_string() + (port.name.empty() ? "" : ":" + port.name);
  target.cluster_ip = !frontend.node_port;
  target.backends = keep([](uint8_t flags) { return (flags & kReady) != 0; });
  if (target.backends.empty())
    target.backends = keep([](uint8_t flags) {
      return (flags & (kServing | kTerminating)) == (kServing | kTerminating);
    });
  return target;
}

bool ServiceMap::serves(const Frontend& frontend, const IpAddress& address, uint16_t port) const {
  const auto found = claims_.find(frontend);
  if (found == claims_.end()) return false;
  for (const Endpoint& endpoint : merged(found->second, frontend.family()))
    if (endpoint.backend.address == address && endpoint.backend.port == port &&
        (endpoint.flags & (kReady | kServing)) != 0)
      return true;
  return false;
}

// Every endpoint of one service port, sorted by address and port, each once.
std::vector<ServiceMap::Endpoint> ServiceMap::merged(const Claim& claim, Family family) const {
  const Port& wanted = claim.service->ports[claim.port];
  const size_t length = address_size(family);
  std::vector<Endpoint> result;
  for (const Slice* slice : claim.service->slices) {
    if (slice->family != family) continue;
    for (const Port& port : slice->ports) {
      if (port.name != wanted.name || port.protocol != wanted.protocol) continue;
      for (size_t at = 0; at < slice->endpoints.size(); at += length + 1) {
        Endpoint endpoint;
        endpoint.flags = slice->endpoints[at + length];
        endpoint.backend.address = IpAddress::from_bytes({slice->endpoints.data() + at, length});
        endpoint.backend.port = port.port;
        endpoint.backend.local = (endpoint.flags & kLocal) != 0;
        result.push_back(endpoint);
      }
    }
  }
  const auto order = [](const Endpoint& a, const Endpoint& b) {
    const auto rank = [](const Endpoint& e) {
      return std::tuple(e.backend.address, e.backend.port, (e.flags & kTerminating) != 0,
                        (e.flags & kReady) == 0);
    };
    return rank(a) < rank(b);
  };
  std::sort(result.begin(), result.end(), order);
  const auto same = [](const Endpoint& a, const Endpoint& b) {
    return a.backend.address == b.backend.address && a.backend.port == b.backend.port;
  };
  result.erase(std::unique(result.begin(), result.end(), same), result.end());
  return result;
}

std::vector<Frontend> ServiceMap::frontends_of(const Service& service, size_t port_index) {
  const Port& port = service.ports[port_index];
  std::vector<Frontend> result;
  for (const IpAddress& ip : service.cluster_ips) {
    result.push_back(Frontend::vip(ip, port.protocol, port.port));
    if (port.node_port != 0)
      result.push_back(Frontend::node(ip.family(), port.protocol, port.node_port));
  }
  return result;
}

Dirty ServiceMap::frontends_of(const Service& service) {
  Dirty result;
  for (size_t port = 0; port < service.ports.size(); ++port)
    for (const Frontend& frontend : frontends_of(service, port)) result.push_back(frontend);
  return result;
}

void ServiceMap::touched_by(const Slice& slice, Dirty& dirty) {
  const Service& service = *slice.service;
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const bool named = std::any_of(slice.ports.begin(), slice.ports.end(), [&](const Port& port) {
      return port.name == service.ports[i].name && port.protocol == service.ports[i].protocol;
    });
    if (!named) continue;
    for (const Frontend& frontend : frontends_of(service, i))
      if (frontend.family() == slice.family) dirty.push_back(frontend);
  }
}

ServiceMap::Slice ServiceMap::pack(const kube::EndpointSlice& slice) const {
  Slice packed;
  packed.family = slice.family;
  for (const kube::EndpointPort& port : slice.ports)
    if (port.port != 0) packed.ports.push_back({port.name, port.port, 0, port.protocol});
  packed.endpoints.reserve(slice.endpoints.size() * (address_size(slice.family) + 1));
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    if (endpoint.addresses.empty() || endpoint.addresses[0].family() != slice.family) continue;
    const auto bytes = endpoint.addresses[0].bytes();
    packed.endpoints.insert(packed.endpoints.end(), bytes.begin(), bytes.end());
    const bool local = !node_name_.empty() && endpoint.node_name == node_name_;
    packed.endpoints.push_back(
        static_cast<uint8_t>((endpoint.ready ? kReady : 0) | (endpoint.serving ? kServing : 0) |
                             (endpoint.terminating ? kTerminating : 0) | (local ? kLocal : 0)));
  }
  return packed;
}

ServiceMap::Service& ServiceMap::service_entry(const kube::ObjectKey& key) {
  const auto [place, added] = services_.try_emplace(key);
  if (added) place->second.key = key;
  return place->second;
}

void ServiceMap::forget_if_unused(Service& service) {
  if (service.present || !service.slices.empty()) return;
  services_.erase(kube::ObjectKey(service.key));
}

void ServiceMap::detach(Slice& slice) {
  Service& service = *slice.service;
  std::erase(service.slices, &slice);
  slice.service = nullptr;
  forget_if_unused(service);
}

void ServiceMap::claim(const Frontend& frontend, Claim claim) {
  const auto [place, added] = claims_.try_emplace(frontend, claim);
  if (added) return;
  Claim loser = claim;
  if (claim.service->key < place->second.service->key) std::swap(loser, place->second);
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
  const auto next = std::min_element(first, last, [](const auto& a, const auto& b) {
    return a.second.service->key < b.second.service->key;
  });
  winner->second = next->second;
  losing_claims_.erase(next);
}

std::vector<kube::ObjectKey> ServiceMap::services() const {
  std::vector<kube::ObjectKey> keys;
  for (const auto& [key, service] : services_)
    if (service.present) keys.push_back(key);
  return keys;
}

std::vector<kube::ObjectKey> ServiceMap::slices() const {
  std::vector<kube::ObjectKey> keys;
  for (const auto& [key, slice] : slices_) keys.push_back(key);
  return keys;
}

Dirty ServiceMap::frontends(Family family) const {
  Dirty result;
  for (const auto& [frontend, claim] : claims_)
    if (frontend.family() == family) result.push_back(frontend);
  return result;
}

ServiceMap::Counts ServiceMap::count(Family family) const {
  Counts counts;
  const size_t length = address_size(family);
  for (const auto& [frontend, claim] : claims_) {
    if (frontend.family() != family) continue;
    ++(frontend.node_port ? counts.node_ports : counts.frontends);
    const Port& wanted = claim.service->ports[claim.port];
    for (const Slice* slice : claim.service->slices) {
      if (slice->family != family) continue;
      for (const Port& port : slice->ports) {
        if (port.name != wanted.name || port.protocol != wanted.protocol) continue;
        const size_t endpoints = slice->endpoints.size() / (length + 1);
        (frontend.node_port ? counts.node_port_endpoints : counts.endpoints) += endpoints;
        for (size_t at = length; at < slice->endpoints.size(); at += length + 1)
          if ((slice->endpoints[at] & kLocal) != 0) ++counts.local_endpoints;
      }
    }
  }
  return counts;
}

std::vector<std::string> unsupported_features(const kube::Service& service) {
  std::vector<std::string> features;
  if (service.affinity_timeout_seconds) features.push_back("sessionAffinity: ClientIP");
  if (service.internal_traffic_policy == kube::TrafficPolicy::kLocal)
    features.push_back("internalTrafficPolicy: Local");
  if (service.external_traffic_policy == kube::TrafficPolicy::kLocal)
    features.push_back("externalTrafficPolicy: Local");
  if (!service.external_ips.empty()) features.push_back("externalIPs");
  if (!service.load_balancer_ingress.empty()) features.push_back("status.loadBalancer.ingress");
  if (!service.load_balancer_source_ranges.empty()) features.push_back("loadBalancerSourceRanges");
  return features;
}

}  // namespace fairlead::proxy
