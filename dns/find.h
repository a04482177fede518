// SPDX-License-Identifier: Apache-2.0
// What stands at a name: step 3 of RFC 1034 section 4.3.2. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/address.h"
#include "dns/name.h"
#include "dns/zone/snapshot.h"

namespace fairlead::dns {

struct ZoneConfig;

// Which part of a service a name asks for. All empty: the service itself.
struct Selector {
  std::string_view endpoint{};
  std::string_view port{};
  std::string_view protocol{};  // "tcp", "udp", "sctp"
  // The topology zone of endpoints, as lower-case labels on the wire; of imported ones the cluster.
  std::span<const uint8_t> topology{};
  bool by_port = false;
  bool by_cluster = false;  // endpoints are called LABEL.CLUSTER

  // "_port._proto"; the underscores may be missing.
  static Selector of_port(std::string_view port, std::string_view protocol);
  bool matches(const ServiceRecord& service, const PortRecord& port) const;
  // Whether one of the ports matches; an endpoint or service without ports has none to choose by.
  bool matches(const ServiceRecord& service, std::span<const PortRecord> ports) const;
  bool is_in_topology(const ServiceRecord& service, const EndpointRecord& which) const;
  // Of those with the label.
  bool chooses(const ServiceRecord& service, const EndpointRecord& which) const {
    return (topology.empty() || is_in_topology(service, which)) &&
           (!by_port || matches(service, service.ports_of(which.ports)));
  }
};

struct Found {
  enum class Kind : uint8_t {
    kNothing,  // NXDOMAIN
    kEmpty,    // nothing of its own, but names below it
    kApex,
    kVersion,     // dns-version.Z
    kNameServer,  // ns.dns.Z, Z a reverse zone too
    kPod,
    kService,  // what `selector` chooses of it is not empty, or it has a cluster IP
    kAlias,    // an ExternalName service
    kReverse,
  };
  Kind kind = Kind::kNothing;
  const ServiceRecord* service = nullptr;
  Selector selector{};  // points into the name that was looked up
  IpAddress address{};  // of the pod
  const ReverseRecord* reverse = nullptr;
};

// `name` ends with the cluster domain.
Found find_in_zone(const ZoneConfig& config, const Snapshot& snapshot, const Name& name);

// `name` ends in in-addr.arpa or ip6.arpa, and with the zone, which has so many labels; 0: the zone
// and what is its own do not count.
Found find_reverse(const Trie<ReverseRecord>& addresses, const Name& name, size_t zone_labels);

// The zone a name is in.
struct ZonePart {
  bool reverse = false;
  size_t labels = 0;
  size_t at = 0;  // of its name in the name
  // The cluster domain on the wire: the name's own bytes when the name is in it.
  std::span<const uint8_t> domain;
};
// nullopt: in none. A reverse zone may be longer than the cluster domain, which may be the root.
std::optional<ZonePart> zone_of(const Name& name, const ZoneConfig& config);

// As the zone has it.
Found find(const ZonePart& zone, const ZoneConfig& config, const Snapshot& snapshot,
           const Name& name);

// The endpoints a selector chooses from: all, or those of one label.
std::span<const EndpointRecord> chosen_endpoints(const ServiceRecord& service,
                                                 const Selector& selector);
// Answers come from cluster IPs rather than from endpoints.
inline bool uses_cluster_ips(const ServiceRecord& service, const Selector& selector) {
  return service.kind() == ServiceKind::kClusterIp && selector.endpoint.empty();
}

}  // namespace fairlead::dns
