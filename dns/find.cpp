// SPDX-License-Identifier: Apache-2.0
#include "dns/find.h"

#include <algorithm>
#include <charconv>

#include "dns/answer.h"

namespace fairlead::dns {
namespace {

using Kind = Found::Kind;

Found exists_if(bool exists) {
  return {.kind = exists ? Kind::kEmpty : Kind::kNothing};
}

std::string_view protocol_label(kube::Protocol protocol) {
  switch (protocol) {
    case kube::Protocol::kTcp:
      return "tcp";
    case kube::Protocol::kUdp:
      return "udp";
    case kube::Protocol::kSctp:
      return "sctp";
  }
  return {};
}

std::string_view without_underscore(std::string_view label) {
  return !label.empty() && label.front() == '_' ? label.substr(1) : label;
}

// The wire bytes of labels [first, last), in lower case.
std::span<const uint8_t> label_bytes(const Name& name, size_t first, size_t last) {
  return name.lower().subspan(name.offset(first), name.offset(last) - name.offset(first));
}

bool namespace_exists(const Snapshot& snapshot, const Name& name, size_t label) {
  return snapshot.namespaces.find(LabelKey(label_bytes(name, label, label + 1))) != nullptr;
}

// Whether the service has any name below _proto.svc...: an empty non-terminal (RFC 8020).
bool has_protocol(const ServiceRecord& service, std::string_view label) {
  const Selector selector = Selector::of_port({}, label);
  if (selector.protocol.empty()) return false;
  if (service.kind() == ServiceKind::kClusterIp) return selector.matches(service, service.ports());
  const auto endpoints = service.endpoints();
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const EndpointRecord& endpoint) {
    return selector.matches(service, service.ports_of(endpoint.ports));
  });
}

bool selects_something(const ServiceRecord& service, const Selector& selector) {
  if (uses_cluster_ips(service, selector))
    return !selector.by_port || selector.matches(service, service.ports());
  const auto endpoints = chosen_endpoints(service, selector);
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const EndpointRecord& endpoint) {
    return selector.chooses(service, endpoint);
  });
}

bool is_empty(const ServiceRecord& service) {
  return service.kind() == ServiceKind::kClusterIp && service.endpoints().empty();
}

// a.b.pin._zone.svc..., of which `below` labels are left of the service: a.b is a topology zone.
// A zone without endpoints exists: the same on every replica, be it drained or misspelt.
Found find_in_topology(const ServiceRecord& service, const Name& name, size_t below) {
  if (service.kind() != ServiceKind::kHeadless) return {};
  if (below == 1) return {.kind = Kind::kEmpty};
  const std::string_view how = name.label(below - 2);
  if (how != "pin" && how != "prefer") return {};
  if (below == 2) return {.kind = Kind::kEmpty};
  Found found{.kind = Kind::kService, .service = &service};
  found.selector.topology = label_bytes(name, 0, below - 2);
  if (selects_something(service, found.selector)) return found;
  found.selector.topology = {};
  const bool widens = how == "prefer" && selects_something(service, found.selector);
  return widens ? found : Found{.kind = Kind::kEmpty};
}

// As find_in_service, of an imported service: two are a port where one begins with an underscore,
// else an endpoint and its cluster. A cluster alone is an empty non-terminal.
Found find_in_import(const ServiceRecord& service, const Name& name, size_t below) {
  Found found{.kind = Kind::kService, .service = &service};
  const auto is_mark = [&](size_t label) { return name.label(label).starts_with('_'); };
  const auto in_cluster = [&](size_t label) {
    found.selector.topology = label_bytes(name, label, label + 1);
    return std::ranges::any_of(service.endpoints(), [&](const EndpointRecord& endpoint) {
      return found.selector.is_in_topology(service, endpoint);
    });
  };
  if (below > 2) return {};
  if (below == 1)
    return exists_if(is_mark(0) ? has_protocol(service, name.label(0)) : in_cluster(0));
  if (below == 2 && (is_mark(0) || is_mark(1))) {
    found.selector = Selector::of_port(name.label(0), name.label(1));
  } else if (below == 2) {
    found.selector.endpoint = name.label(0);
    found.selector.topology = label_bytes(name, 1, 2);
  }
  found.selector.by_cluster = true;
  return selects_something(service, found.selector) ? found : Found{};
}

// The name has `below` labels left of svc.ns.svc.Z. One is an endpoint, two are a port.
Found find_in_service(const ZoneConfig& config, const ServiceRecord& service, const Name& name,
                      size_t below) {
  if (config.multicluster) return find_in_import(service, name, below);
  if (config.zonal && below > 0 && name.label(below - 1) == "_zone")
    return find_in_topology(service, name, below);
  Found found{.kind = Kind::kService, .service = &service};
  if (service.kind() == ServiceKind::kExternalName) {
    found.kind = Kind::kAlias;
    return below == 0 && service.external_name().size() > 1 ? found : Found{};
  }
  switch (below) {
    case 0:
      break;
    case 1:
      found.selector.endpoint = name.label(0);
      break;
    case 2:
      found.selector = Selector::of_port(name.label(0), name.label(1));
      break;
    default:
      return {};
  }
  if (selects_something(service, found.selector)) return found;
  return exists_if(below == 1 && has_protocol(service, name.label(0)));
}

// An IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2) is the IPv4 address, as for CoreDNS.
IpAddress unmapped(const IpAddress& address) {
  constexpr uint8_t kPrefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const auto bytes = address.bytes();
  const bool mapped =
      address.is_v6() && std::equal(std::begin(kPrefix), std::end(kPrefix), bytes.begin());
  return mapped ? IpAddress::from_bytes(bytes.subspan(sizeof kPrefix)) : address;
}

// The name has `labels` labels left of Z; the last is "pod". As in CoreDNS up to two may stand in
// front of the address, where services have an endpoint or a port.
Found find_pod(const ZoneConfig& config, const Snapshot& snapshot, const Name& name,
               size_t labels) {
  if (config.pods == PodNames::kDisabled || labels > 5 ||
      !namespace_exists(snapshot, name, labels - 2))
    return {};
  if (labels == 2) return {.kind = Kind::kEmpty};
  Found found{.kind = Kind::kPod};
  if (!parse_dashed(name.label(labels - 3), found.address)) return {};
  found.address = unmapped(found.address);
  if (config.pods == PodNames::kInsecure) return found;
  const PodKey pod(label_bytes(name, labels - 2, labels - 1), found.address);
  return snapshot.pods.find(LabelKey(pod.bytes())) != nullptr ? found : Found{};
}

// A decimal octet as in-addr.arpa writes it: no leading zero.
bool parse_octet(std::string_view label, uint8_t& octet) {
  if (label.size() > 1 && label[0] == '0') return false;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), octet);
  return error == std::errc() && end == label.data() + label.size();
}

bool parse_nibble(std::string_view label, uint8_t& nibble) {
  if (label.size() != 1) return false;
  const auto [end, error] = std::from_chars(label.data(), label.data() + 1, nibble, 16);
  return error == std::errc() && end == label.data() + 1;
}

}  // namespace

Selector Selector::of_port(std::string_view port, std::string_view protocol) {
  return {
      .port = without_underscore(port), .protocol = without_underscore(protocol), .by_port = true};
}

bool Selector::matches(const ServiceRecord& service, const PortRecord& record) const {
  return (port.empty() || port == service.name_of(record)) &&
         (protocol.empty() || protocol == protocol_label(record.protocol));
}

bool Selector::matches(const ServiceRecord& service, std::span<const PortRecord> ports) const {
  if (ports.empty()) return port.empty() && protocol.empty();
  return std::any_of(ports.begin(), ports.end(),
                     [&](const PortRecord& record) { return matches(service, record); });
}

bool Selector::is_in_topology(const ServiceRecord& service, const EndpointRecord& which) const {
  return std::ranges::equal(service.topology_of(which), topology);
}

std::span<const EndpointRecord> chosen_endpoints(const ServiceRecord& service,
                                                 const Selector& selector) {
  return selector.endpoint.empty() ? service.endpoints()
                                   : service.endpoints_named(selector.endpoint);
}

Found find_in_zone(const ZoneConfig& config, const Snapshot& snapshot, const Name& name) {
  const size_t labels = name.labels() - config.zone.labels();
  if (labels == 0) return {.kind = Kind::kApex};
  const std::string_view top = name.label(labels - 1);
  if (top == "svc" || top == "pod") {
    if (labels == 1) return {.kind = Kind::kEmpty};
    if (top == "pod") return find_pod(config, snapshot, name, labels);
    if (labels == 2) return exists_if(namespace_exists(snapshot, name, 0));
    const ServiceRecord* service = snapshot.service(label_bytes(name, labels - 3, labels - 1));
    if (service == nullptr || (config.ignore_empty && is_empty(*service))) return {};
    return find_in_service(config, *service, name, labels - 3);
  }
  if (top == "dns-version" && labels == 1) return {.kind = Kind::kVersion};
  if (top == "dns" && labels == 1) return {.kind = Kind::kEmpty};
  if (top == "dns" && labels == 2 && name.label(0) == "ns") return {.kind = Kind::kNameServer};
  return {};
}

std::optional<ZonePart> zone_of(const Name& name, const ZoneConfig& config) {
  const bool forward = name.ends_with(config.zone);
  size_t labels = forward ? config.zone.labels() : 0;
  bool reverse = false;  // the longest zone has it
  for (const Name& zone : config.reverse) {
    if (zone.labels() <= labels || !name.ends_with(zone)) continue;
    labels = zone.labels();
    reverse = true;
  }
  if (!forward && !reverse) return std::nullopt;
  const size_t at = name.offset(name.labels() - labels);
  return ZonePart{reverse, labels, at, reverse ? config.zone.wire() : name.wire().subspan(at)};
}

Found find(const ZonePart& zone, const ZoneConfig& config, const Snapshot& snapshot,
           const Name& name) {
  return zone.reverse ? find_reverse(snapshot.reverse, name, zone.labels)
                      : find_in_zone(config, snapshot, name);
}

Found find_reverse(const Trie<ReverseRecord>& addresses, const Name& name, size_t zone_labels) {
  const size_t own = name.labels() - zone_labels;
  if (own == 0) return {.kind = Kind::kApex};
  if ((own == 1 || own == 2) && name.label(own - 1) == "dns") {
    if (own == 1) return {.kind = Kind::kEmpty};
    if (name.label(0) == "ns") return {.kind = Kind::kNameServer};
  }
  const size_t parts = name.labels() - 2;
  const bool v4 = name.label(parts) == "in-addr";
  if (parts == 0) return {.kind = Kind::kApex};
  if (parts > (v4 ? 4u : 32u)) return {};
  uint8_t bytes[16] = {};
  for (size_t i = 0; i < parts; ++i) {
    uint8_t value = 0;
    const std::string_view label = name.label(parts - 1 - i);
    if (!(v4 ? parse_octet(label, value) : parse_nibble(label, value))) return {};
    if (v4) {
      bytes[i] = value;
    } else {
      bytes[i / 2] |= static_cast<uint8_t>(i % 2 == 0 ? value << 4 : value);
    }
  }
  const IpAddress address = IpAddress::from_bytes({bytes, v4 ? 4u : 16u});
  const AddressKey key(address);
  if (parts == (v4 ? 4u : 32u)) {
    const ReverseRecord* record = addresses.find(key);
    return record != nullptr ? Found{.kind = Kind::kReverse, .reverse = record} : Found{};
  }
  return exists_if(addresses.has_prefix(key, 1 + (v4 ? 2 * parts : parts)));
}

}  // namespace fairlead::dns
