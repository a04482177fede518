// SPDX-License-Identifier: Apache-2.0
// How many connections each service port has had, from what the kernel has counted on the elements
// of `svc` and `node_svc` (docs/nftables.md); and what its flows carried, from flows that ended.
// Pure: whoever reads the kernel tells it what elements say. One thread.
//
// An element counts the first packet of each flow it decides. It is replaced when its choice
// changes, and begins anew; the removed one tells its last count in the kernel's notification. So a
// total is the sum of what removed elements counted, and of what present ones say, each less what
// was known of it before. Totals never shrink while a process lives, and begin at nothing: what an
// element had counted before is not ours (a counter of Prometheus may do that, and only that).
//
// Not seen: what was counted on an element since the last look when its table goes as a whole, when
// the kernel drops the notification, or when the element goes while the other family's table is
// loaded anew, which is not listened to. What an address counts while it changes its owner is the
// later one's.
//
// Bound: a service port that the map has not is forgotten; elements that count nothing take none.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "netlink/nftables/objects.h"
#include "proxy/frontend.h"
#include "proxy/service_map.h"

namespace fairlead::proxy {

// Packets and bytes of flows, by who sent them. Bytes are those of IP packets.
struct FlowTotals {
  uint64_t flows = 0;  // that have ended
  uint64_t client_packets = 0, client_bytes = 0;
  uint64_t server_packets = 0, server_bytes = 0;
  bool operator==(const FlowTotals&) const = default;
};

struct ServiceTotals {
  // First packets sent on to where endpoints are chosen, by the kind of address they were sent to.
  // With source ranges or external traffic policy Local, those dropped there are among them.
  std::array<uint64_t, 4> connections{};  // by AddressKind
  uint64_t refused = 0;                   // packets, for no endpoint was usable
  uint64_t dropped = 0;                   // packets, for all endpoints are on other nodes
  FlowTotals flows;
  uint64_t all_connections() const;
  bool operator==(const ServiceTotals&) const = default;
};

// A set as the kernel knows it.
struct KernelSet {
  netlink::nft::TableFamily family = netlink::nft::TableFamily::kIp;
  std::string name;  // "svc", "svc_1", "node_svc"...
  auto operator<=>(const KernelSet&) const = default;
};
// Whether that is a set whose elements count.
bool counts_connections(std::string_view set);

class ServiceCounters {
 public:
  // The map must outlive it.
  explicit ServiceCounters(const ServiceMap& services) : services_(services) {}
  ServiceCounters(const ServiceCounters&) = delete;
  ServiceCounters& operator=(const ServiceCounters&) = delete;

  // What an element says now. `ours`: it began to count at nothing while this process lived.
  void listed(const KernelSet& set, const netlink::nft::Element& element, bool ours);
  // What an element said when it was removed.
  void removed(const KernelSet& set, const netlink::nft::Element& element, bool ours);
  // The set, or every set of the family, has gone.
  void forget(const KernelSet& set) { last_.erase(set); }
  void forget(netlink::nft::TableFamily family);
  // A flow to that service port has ended.
  void ended(const ServicePort& port, const FlowTotals& flow);

  // Of service ports that had any traffic.
  const std::map<ServicePort, ServiceTotals>& totals() const { return totals_; }
  // Forgets service ports that are gone.
  void prune();

 private:
  struct Count;
  static std::optional<Count> read(const KernelSet& set, const netlink::nft::Element& element);
  void add(const Count& count, uint64_t before);
  ServiceTotals& totals_of(const ServicePort& port);

  static constexpr size_t kMinLimit = 1024;
  const ServiceMap& services_;
  std::map<KernelSet, std::unordered_map<Frontend, uint64_t>> last_;  // what elements said
  std::map<ServicePort, ServiceTotals> totals_;
  size_t limit_ = kMinLimit;  // of totals_, before it is pruned in between
};

// The totals in Prometheus' text format, each metric with its help. Service ports without traffic
// have no series. `bytes`: flows are counted too.
std::string metrics_text(const ServiceCounters& counters, bool bytes);

// "cluster_ip", "external_ip", "load_balancer", "node_port".
const char* name_of(AddressKind kind);

}  // namespace fairlead::proxy
