// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_map.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "proxy/merge_runs.h"

namespace fairlead::proxy {

namespace {

constexpr uint8_t kReady = 1;
constexpr uint8_t kServing = 2;
constexpr uint8_t kTerminating = 4;
constexpr uint8_t kLocal = 8;
constexpr uint8_t kNodeHints = 16;    // has hints for nodes
constexpr uint8_t kNodeHintHit = 32;  // this one among them
constexpr uint8_t kZoneHints = 64;    // has hints for zones

size_t address_size(Family family) {
  return family == Family::kIpv4 ? 4 : 16;
}

void make_unique(Dirty& dirty) {
  std::sort(dirty.begin(), dirty.end());
  dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
}

// The first 64 bits of SHA-256 (FIPS 180-4): the same for the same text in every process and
// version. Who may name a Service, or its ranges, must not be able to find the number of another's:
// they would share a map, or a chain.
uint64_t number_of(std::string_view text) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data());
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | digest[i];
  return number == 0 ? 1 : number;
}

uint64_t number_of(const std::vector<Cidr>& ranges) {
  std::string text;
  for (const Cidr& range : ranges) text += range.to_string() + ",";
  return number_of(text);
}

bool has_frontends(const kube::Service& service) {
  return !service.headless && service.type != kube::ServiceType::kExternalName &&
         !service.cluster_ips.empty();
}

}  // namespace

Choice Target::choice(bool node_port) const {
  Choice choice;
  choice.node_port = node_port;
  choice.treatment = treatment;
  choice.guard = treatment == Treatment::kDrop ? 0 : guard;
  if (treatment <= Treatment::kDrop) {
    choice.node_port = false;
    return choice;
  }
  choice.choices = choices_for(backends.size());
  choice.inside = choices_for(inside.size());
  choice.affinity = affinity;
  return choice;
}

ServiceMap::Spec ServiceMap::spec_of(const kube::Service& service) const {
  Spec spec;
  if (!has_frontends(service)) return spec;
  const auto served = [&](const IpAddress& address) {
    return std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(),
                       [&](const IpAddress& ip) { return ip.family() == address.family(); });
  };
  spec.cluster_ips = service.cluster_ips;
  if (node_.accept_external_ips)
    std::copy_if(service.external_ips.begin(), service.external_ips.end(),
                 std::back_inserter(spec.external_ips), served);
  for (const kube::LoadBalancerIngress& ingress : service.load_balancer_ingress)
    if (ingress.vip && served(ingress.ip)) spec.load_balancer_ips.push_back(ingress.ip);
  if (!spec.load_balancer_ips.empty()) spec.source_ranges = service.load_balancer_source_ranges;
  for (const kube::ServicePort& port : service.ports)
    spec.ports.push_back({port.name, port.port, port.node_port, port.protocol});
  spec.internal_local = service.internal_traffic_policy == kube::TrafficPolicy::kLocal;
  spec.external_local = service.external_traffic_policy == kube::TrafficPolicy::kLocal;
  if (service.type == kube::ServiceType::kLoadBalancer && spec.external_local)
    spec.health_port = service.health_check_node_port;
  spec.affinity_seconds = service.affinity_timeout_seconds.value_or(0);
  return spec;
}

Dirty ServiceMap::put(const kube::Service& service) {
  const kube::ObjectKey key = service.meta.key();
  Spec spec = spec_of(service);
  const auto known = services_.find(key);
  if (known != services_.end() && known->second.present && known->second.spec == spec) return {};
  Dirty dirty = remove_service(key);
  Service& entry = service_entry(key);
  entry.present = true;
  entry.spec = std::move(spec);
  count_ranges(entry, 1);
  if (entry.spec.affinity_seconds != 0) ++affinities_;
  for (size_t port = 0; port < entry.spec.ports.size(); ++port) {
    for (const auto& [frontend, wish] : claims_of(entry, port)) {
      claim(frontend, wish);
      dirty.push_back(frontend);
    }
  }
  add_doors(dirty);
  make_unique(dirty);
  return dirty;
}

Dirty ServiceMap::remove_service(const kube::ObjectKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end() || !found->second.present) return {};
  Service& service = found->second;
  Dirty dirty = frontends_of(service);
  for (const Frontend& frontend : dirty) release(frontend, service);
  count_ranges(service, -1);
  if (service.spec.affinity_seconds != 0) --affinities_;
  service.present = false;
  service.spec = {};
  forget_if_unused(service);
  add_doors(dirty);
  return dirty;
}

Dirty ServiceMap::set_node(std::string zone, std::vector<IpAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  Dirty dirty;
  const bool other_zone = zone != node_.zone;
  const bool other_addresses = addresses != node_.addresses;
  const auto guarded = [](const Service& service) { return !service.spec.source_ranges.empty(); };
  for (const auto& [key, service] : services_)
    if (other_addresses && guarded(service)) count_ranges(service, -1);
  node_.zone = std::move(zone);
  node_.addresses = std::move(addresses);
  for (const auto& [key, service] : services_) {
    if (other_addresses && guarded(service)) count_ranges(service, 1);
    const bool hinted = std::any_of(service.slices.begin(), service.slices.end(),
                                    [](const Slice* slice) { return !slice->hint_zones.empty(); });
    if (!(other_addresses && guarded(service)) && !(other_zone && hinted)) continue;
    const Dirty touched = frontends_of(service);
    dirty.insert(dirty.end(), touched.begin(), touched.end());
  }
  make_unique(dirty);
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
        entry.ports == packed.ports && entry.endpoints == packed.endpoints &&
        entry.hint_zones == packed.hint_zones)
      return {};
    touched_by(entry, dirty);
    if (entry.service != packed.service) detach(entry);
  }
  if (added || entry.service != packed.service) packed.service->slices.push_back(&entry);
  entry = std::move(packed);
  touched_by(entry, dirty);
  make_unique(dirty);
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

// "default/web:http"
std::string ServiceMap::name_of(const Claim& claim) {
  const kube::ObjectKey& key = *claim.service->key;
  const std::string& port = claim.service->spec.ports[claim.port].name;
  std::string name;
  name.reserve(key.ns.size() + key.name.size() + port.size() + 2);
  if (!key.ns.empty()) name.append(key.ns).append("/");
  name.append(key.name);
  if (!port.empty()) name.append(":").append(port);
  return name;
}

std::optional<Target> ServiceMap::decide(const Frontend& frontend) const {
  const auto found = claims_.find(frontend);
  if (found == claims_.end()) return std::nullopt;
  const Claim& claim = found->second;
  const Service& service = *claim.service;
  const Port& port = service.spec.ports[claim.port];
  const std::vector<Endpoint> endpoints = merged(claim, frontend.family());
  std::vector<Backend> anywhere = cluster_set(endpoints);

  Target target;
  target.service = name_of(claim);
  target.cluster_ip = claim.cluster_ip;
  const bool inward = claim.role == Role::kClusterIp;
  if (claim.role == Role::kLoadBalancer) {
    const std::vector<Cidr> ranges = ranges_for(service, frontend.address);
    if (!ranges.empty()) target.guard = number_of(ranges);
    target.ranges = this->ranges(target.guard);
  }
  const bool local = inward ? service.spec.internal_local : service.spec.external_local;
  target.here = local;
  std::vector<Backend> here = local ? local_set(endpoints) : std::vector<Backend>();
  if (anywhere.empty() && here.empty()) {
    target.treatment = Treatment::kRefuse;
  } else if (!local) {
    target.treatment = inward ? Treatment::kCluster : Treatment::kExternal;
    target.backends = std::move(anywhere);
  } else if (!inward) {
    target.treatment = Treatment::kLocal;
    target.backends = std::move(here);
    target.inside = std::move(anywhere);
  } else {
    target.treatment = here.empty() ? Treatment::kDrop : Treatment::kCluster;
    target.backends = std::move(here);
  }
  if (service.spec.affinity_seconds == 0 || target.treatment <= Treatment::kDrop) return target;
  const uint64_t number = number_of(target.service + "/" + kube::to_string(port.protocol));
  target.affinity = local ? affinity_here(number) : affinity_anywhere(number);
  target.affinity_seconds = service.spec.affinity_seconds;
  return target;
}

ServiceMap::Hints ServiceMap::usable_hints(const std::vector<Endpoint>& endpoints) const {
  bool all_node = true, any_node = false, all_zone = true, any_zone = false;
  for (const Endpoint& endpoint : endpoints) {
    if ((endpoint.flags & kReady) == 0) continue;
    all_node &= (endpoint.flags & kNodeHints) != 0;
    any_node |= (endpoint.flags & kNodeHintHit) != 0;
    all_zone &= (endpoint.flags & kZoneHints) != 0;
    any_zone |= endpoint.zone_hit;
  }
  if (all_node && any_node) return Hints::kNode;
  return all_zone && any_zone ? Hints::kZone : Hints::kIgnored;
}

namespace {

template <typename Endpoints, typename Usable>
std::vector<Backend> keep(const Endpoints& endpoints, Usable usable) {
  std::vector<Backend> backends;
  backends.reserve(endpoints.size());
  for (const auto& endpoint : endpoints)
    if (usable(endpoint)) backends.push_back(endpoint.backend);
  return backends;
}

bool ready(uint8_t flags) {
  return (flags & kReady) != 0;
}
bool draining(uint8_t flags) {
  return (flags & (kServing | kTerminating)) == (kServing | kTerminating);
}

}  // namespace

std::vector<Backend> ServiceMap::cluster_set(const std::vector<Endpoint>& endpoints) const {
  const Hints hints = usable_hints(endpoints);
  std::vector<Backend> backends = keep(endpoints, [&](const Endpoint& endpoint) {
    const bool allowed = hints == Hints::kIgnored ||
                         (hints == Hints::kNode && (endpoint.flags & kNodeHintHit) != 0) ||
                         (hints == Hints::kZone && endpoint.zone_hit);
    return ready(endpoint.flags) && allowed;
  });
  if (!backends.empty()) return backends;
  return keep(endpoints, [](const Endpoint& endpoint) { return draining(endpoint.flags); });
}

std::vector<Backend> ServiceMap::local_set(const std::vector<Endpoint>& endpoints) {
  std::vector<Backend> backends = keep(endpoints, [](const Endpoint& endpoint) {
    return endpoint.backend.local && ready(endpoint.flags);
  });
  if (!backends.empty()) return backends;
  return keep(endpoints, [](const Endpoint& endpoint) {
    return endpoint.backend.local && draining(endpoint.flags);
  });
}

// Empty: any source. A range of everything is none; one that holds an address of this node lets
// what the node sends to the Service in, whose source is a balancer's address when the node has it.
std::vector<Cidr> ServiceMap::ranges_for(const Service& service, const IpAddress& address) const {
  std::vector<Cidr> ranges;
  for (const Cidr& range : service.spec.source_ranges) {
    if (range.family() != address.family()) continue;
    if (range.prefix_length() == 0) return {};
    ranges.push_back(range);
  }
  const bool holds_node = std::any_of(ranges.begin(), ranges.end(), [&](const Cidr& range) {
    return std::any_of(node_.addresses.begin(), node_.addresses.end(),
                       [&](const IpAddress& ip) { return range.contains(ip); });
  });
  if (holds_node)
    for (const IpAddress& vip : service.spec.load_balancer_ips)
      if (vip.family() == address.family()) ranges.push_back(Cidr::host(vip));
  std::sort(ranges.begin(), ranges.end());
  ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
  return ranges;
}

void ServiceMap::count_ranges(const Service& service, int delta) {
  for (const IpAddress& address : service.spec.load_balancer_ips) {
    std::vector<Cidr> ranges = ranges_for(service, address);
    if (ranges.empty()) continue;
    const auto place = ranges_.try_emplace(number_of(ranges)).first;
    place->second.users += delta;
    if (place->second.users == 0)
      ranges_.erase(place);
    else if (!place->second.ranges)
      place->second.ranges = std::make_shared<const std::vector<Cidr>>(std::move(ranges));
  }
}

std::shared_ptr<const std::vector<Cidr>> ServiceMap::ranges(uint64_t guard) const {
  const auto found = ranges_.find(guard);
  return found == ranges_.end() ? nullptr : found->second.ranges;
}

// Ready endpoints of this node that some port of the Service leads to, each address once.
size_t ServiceMap::count_local_ready(const Service& service, Family family) const {
  std::set<IpAddress> local;
  for (size_t port = 0; port < service.spec.ports.size(); ++port)
    for (const Endpoint& endpoint : merged({&service, static_cast<uint16_t>(port)}, family))
      if ((endpoint.flags & (kReady | kLocal)) == (kReady | kLocal))
        local.insert(endpoint.backend.address);
  return local.size();
}

std::vector<ServiceMap::Endpoint> ServiceMap::serving(const Frontend& frontend) const {
  const auto found = claims_.find(frontend);
  if (found == claims_.end()) return {};
  std::vector<Endpoint> result = merged(found->second, frontend.family());
  std::erase_if(
      result, [](const Endpoint& endpoint) { return (endpoint.flags & (kReady | kServing)) == 0; });
  return result;
}

std::vector<SocketAddress> ServiceMap::serving_addresses(const Frontend& frontend) const {
  std::vector<SocketAddress> result;
  for (const Endpoint& endpoint : serving(frontend))
    result.push_back({endpoint.backend.address, endpoint.backend.port});
  return result;
}

// Every endpoint of one service port, sorted by address and port, each once.
std::vector<ServiceMap::Endpoint> ServiceMap::merged(const Claim& claim, Family family) const {
  const Port& wanted = claim.service->spec.ports[claim.port];
  const size_t length = address_size(family);
  std::vector<Endpoint> result;
  size_t most = 0;
  for (const Slice* slice : claim.service->slices) most += slice->endpoints.size() / (length + 1);
  result.reserve(most);
  for (const Slice* slice : claim.service->slices) {
    if (slice->family != family) continue;
    for (const Port& port : slice->ports) {
      if (port.name != wanted.name || port.protocol != wanted.protocol) continue;
      for (size_t at = 0; at < slice->endpoints.size(); at += length + 1) {
        Endpoint& endpoint = result.emplace_back();
        if (!slice->hint_zones.empty()) {
          const std::vector<std::string>& zones = slice->hint_zones[at / (length + 1)];
          endpoint.zone_hit = std::find(zones.begin(), zones.end(), node_.zone) != zones.end();
        }
        endpoint.flags = slice->endpoints[at + length];
        endpoint.backend.address = IpAddress::from_bytes({slice->endpoints.data() + at, length});
        endpoint.backend.port = port.port;
        endpoint.backend.local = (endpoint.flags & kLocal) != 0;
      }
    }
  }
  const auto order = [](const Endpoint& a, const Endpoint& b) {
    const std::strong_ordering address = a.backend.address <=> b.backend.address;
    if (address != 0) return address < 0;
    if (a.backend.port != b.backend.port) return a.backend.port < b.backend.port;
    const auto rank = [](uint8_t flags) {
      return ((flags & kTerminating) != 0 ? 2 : 0) + ((flags & kReady) == 0 ? 1 : 0);
    };
    return rank(a.flags) < rank(b.flags);
  };
  merge_runs(result, order);
  const auto same = [](const Endpoint& a, const Endpoint& b) {
    return a.backend.address == b.backend.address && a.backend.port == b.backend.port;
  };
  result.erase(std::unique(result.begin(), result.end(), same), result.end());
  return result;
}

void ServiceMap::touched_by(const Slice& slice, Dirty& dirty) {
  const Service& service = *slice.service;
  for (size_t i = 0; i < service.spec.ports.size(); ++i) {
    const Port& wanted = service.spec.ports[i];
    const bool named = std::any_of(slice.ports.begin(), slice.ports.end(), [&](const Port& port) {
      return port.name == wanted.name && port.protocol == wanted.protocol;
    });
    if (!named) continue;
    for (const auto& [frontend, claim] : claims_of(service, i))
      if (frontend.family() == slice.family) dirty.push_back(frontend);
  }
}

namespace {

uint8_t flags_of(const kube::Endpoint& endpoint, const std::string& node) {
  const auto flag = [](bool set, uint8_t bit) { return set ? bit : uint8_t{0}; };
  const std::vector<std::string>& nodes = endpoint.hint_nodes;
  return static_cast<uint8_t>(
      flag(endpoint.ready, kReady) | flag(endpoint.serving, kServing) |
      flag(endpoint.terminating, kTerminating) |
      flag(!node.empty() && endpoint.node_name == node, kLocal) | flag(!nodes.empty(), kNodeHints) |
      flag(std::find(nodes.begin(), nodes.end(), node) != nodes.end(), kNodeHintHit) |
      flag(!endpoint.hint_zones.empty(), kZoneHints));
}

// Sorted by address, so that what is merged from many slices is nearly sorted. Of several with one
// address the last counts that does not terminate, else the first (addEndpoints of
// pkg/proxy/endpointslicecache.go).
std::vector<const kube::Endpoint*> usable_endpoints(const kube::EndpointSlice& slice) {
  std::vector<const kube::Endpoint*> result;
  result.reserve(slice.endpoints.size());
  for (const kube::Endpoint& endpoint : slice.endpoints)
    if (!endpoint.addresses.empty() && endpoint.addresses[0].family() == slice.family)
      result.push_back(&endpoint);
  std::stable_sort(result.begin(), result.end(),
                   [](const auto* a, const auto* b) { return a->addresses[0] < b->addresses[0]; });
  size_t kept = 0;
  for (const kube::Endpoint* endpoint : result) {
    if (kept == 0 || result[kept - 1]->addresses[0] != endpoint->addresses[0])
      result[kept++] = endpoint;
    else if (!endpoint->terminating)
      result[kept - 1] = endpoint;
  }
  result.resize(kept);
  return result;
}

}  // namespace

ServiceMap::Slice ServiceMap::pack(const kube::EndpointSlice& slice) const {
  Slice packed;
  packed.family = slice.family;
  for (const kube::EndpointPort& port : slice.ports)
    if (port.port != 0 && port.named)
      packed.ports.push_back({port.name, port.port, 0, port.protocol});
  packed.endpoints.reserve(slice.endpoints.size() * (address_size(slice.family) + 1));
  size_t index = 0;
  for (const kube::Endpoint* endpoint : usable_endpoints(slice)) {
    const auto bytes = endpoint->addresses[0].bytes();
    packed.endpoints.insert(packed.endpoints.end(), bytes.begin(), bytes.end());
    packed.endpoints.push_back(flags_of(*endpoint, node_.name));
    if (!endpoint->hint_zones.empty()) packed.hint_zones.resize(index + 1);
    if (!endpoint->hint_zones.empty()) packed.hint_zones.back() = endpoint->hint_zones;
    ++index;
  }
  if (!packed.hint_zones.empty()) packed.hint_zones.resize(index);
  return packed;
}

ServiceMap::Service& ServiceMap::service_entry(const kube::ObjectKey& key) {
  const auto [place, added] = services_.try_emplace(key);
  if (added) place->second.key = &place->first;
  return place->second;
}

void ServiceMap::forget_if_unused(Service& service) {
  if (service.present || !service.slices.empty()) return;
  services_.erase(services_.find(*service.key));
}

void ServiceMap::detach(Slice& slice) {
  Service& service = *slice.service;
  std::erase(service.slices, &slice);
  slice.service = nullptr;
  forget_if_unused(service);
}

ServiceMap::Totals ServiceMap::count(Family family) const {
  Totals totals;
  for (const auto& [frontend, claim] : claims_) {
    if (frontend.family() != family) continue;
    Counts& counts = frontend.node_port ? totals.node_ports : totals.addresses;
    ++counts.frontends;
    const size_t endpoints = count_endpoints(claim, family);
    counts.endpoints += endpoints;
    if (claim.role != Role::kClusterIp && claim.service->spec.external_local)
      counts.inside_endpoints += endpoints;
    if (claim.service->spec.affinity_seconds != 0) ++counts.learning;
  }
  return totals;
}

size_t ServiceMap::count_endpoints(const Claim& claim, Family family) const {
  const Port& wanted = claim.service->spec.ports[claim.port];
  size_t endpoints = 0;
  for (const Slice* slice : claim.service->slices)
    for (const Port& port : slice->ports)
      if (slice->family == family && port.name == wanted.name && port.protocol == wanted.protocol)
        endpoints += slice->endpoints.size() / (address_size(family) + 1);
  return endpoints;
}

// How many are ready, and how many there are.
std::pair<size_t, size_t> ServiceMap::count_ready(const Claim& claim, Family family) const {
  const std::vector<Endpoint> all = merged(claim, family);
  const auto usable = [](const Endpoint& endpoint) { return ready(endpoint.flags); };
  return {static_cast<size_t>(std::count_if(all.begin(), all.end(), usable)), all.size()};
}

size_t ServiceMap::count_local_endpoints(Family family) const {
  const size_t length = address_size(family);
  size_t count = 0;
  for (const auto& [key, slice] : slices_) {
    if (slice.family != family) continue;
    for (size_t at = length; at < slice.endpoints.size(); at += length + 1)
      if ((slice.endpoints[at] & kLocal) != 0) count += slice.ports.size();
  }
  return count;
}

}  // namespace fairlead::proxy
