// SPDX-License-Identifier: Apache-2.0
// Services and EndpointSlices as the API server tells them, turned into "this frontend goes to
// these backends". Pure: no socket, clock or log. One thread.
//
// Every mutation returns the frontends whose answer may have changed; find() then says what is
// wanted now. Objects may arrive in any order: slices before their Service, two Services claiming
// one address for a moment. Then every node decides alike: whose cluster IP it is has it, before
// whose load balancer's, before whose external IP, so that nobody takes a port of another's
// cluster IP by writing it into a Service (CVE-2020-8554); among equals the one first by
// namespace/name.
//
// Semantics (kube-proxy 1.36, pkg/proxy; rows of table A in docs/proxy.md):
// - a port is namespace/name:portName and protocol; slices are merged by their service-name label;
//   a port without name match, a nil port, all but an endpoint's first address are ignored; the
//   same address:port twice counts once, not terminating before terminating;
// - the cluster set is every ready endpoint that topology hints allow this node, or when there is
//   none every endpoint that is serving and terminating (KEP-1669). Node hints count only if all
//   ready endpoints have them and one names this node; else zone hints by the same rule (KEP-2433,
//   KEP-3015);
// - the local set is every ready endpoint of this node, or when there is none those of this node
//   that are serving and terminating;
// - internalTrafficPolicy Local sends a cluster IP to the local set; externalTrafficPolicy Local
//   sends external addresses and node ports there and keeps the source, but what comes from a pod
//   or this node goes to the cluster set (KEP-2086). Nothing usable here but elsewhere: dropped;
//   nothing usable anywhere: refused.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kube/objects.h"
#include "proxy/choice.h"
#include "proxy/frontend.h"

namespace fairlead::proxy {

using Dirty = std::vector<Frontend>;

// What a frontend should do.
struct Target {
  std::string service;  // "default/web:http", for people
  Treatment treatment = Treatment::kRefuse;
  bool cluster_ip = false;        // its address refuses undefined ports
  bool here = false;              // `backends` are those of this node alone
  std::vector<Backend> backends;  // sorted, each once
  std::vector<Backend> inside;    // kLocal: where pods and this node go; sorted, each once
  uint64_t guard = 0;             // number of `ranges`; 0: any source is let in
  std::shared_ptr<const std::vector<Cidr>> ranges;  // sources let in
  uint64_t affinity = 0;                            // number of the map of `backends`; 0: none
  uint32_t affinity_seconds = 0;

  Choice choice(bool node_port) const;
};

// One port of a Service: what is counted together, whatever address it is reached by.
struct ServicePort {
  kube::ObjectKey service;
  std::string name;  // of the port; often empty
  Protocol protocol = Protocol::kTcp;
  std::string to_string() const;  // "default/web:http", "default/db"
  auto operator<=>(const ServicePort&) const = default;
};

// Of what kind an address is to its Service.
enum class AddressKind : uint8_t { kClusterIp, kExternalIp, kLoadBalancer, kNodePort };

// What the map has to know of the node it is for.
struct NodeFacts {
  std::string name;                  // endpoints on it are local
  std::string zone;                  // label topology.kubernetes.io/zone
  std::vector<IpAddress> addresses;  // a source range that holds one lets the address itself in
  bool accept_external_ips = true;   // feature gate AllowServiceExternalIPs
  bool operator==(const NodeFacts&) const = default;
};

class ServiceMap {
 public:
  explicit ServiceMap(NodeFacts node) : node_(std::move(node)) {}
  explicit ServiceMap(std::string node_name)
      : ServiceMap(NodeFacts{std::move(node_name), {}, {}}) {}
  ServiceMap(const ServiceMap&) = delete;
  ServiceMap& operator=(const ServiceMap&) = delete;

  // Adds or replaces. Headless and ExternalName services are as good as absent.
  Dirty put(const kube::Service& service);
  Dirty put(const kube::EndpointSlice& slice);
  Dirty remove_service(const kube::ObjectKey& key);
  Dirty remove_slice(const kube::ObjectKey& key);

  const NodeFacts& node() const { return node_; }
  // Zone and addresses; the name and the gate stay what they were.
  Dirty set_node(std::string zone, std::vector<IpAddress> addresses);

  // Those that are not among `keys`.
  std::vector<kube::ObjectKey> services_besides(const std::set<kube::ObjectKey>& keys) const;
  std::vector<kube::ObjectKey> slices_besides(const std::set<kube::ObjectKey>& keys) const;

  // What the rules are to do with it: what decide() says, or, where it is relayed, kRelay to that
  // socket; kDrop for the socket's own address, which is nobody's to ask. nullopt: no service has
  // this frontend.
  std::optional<Target> find(const Frontend& frontend) const;
  // What its Service and endpoints come to, whoever acts on it.
  std::optional<Target> decide(const Frontend& frontend) const;
  // From now on the stream proxy has it, at that socket of this node; or the rules again, while the
  // socket's own address stays dropped. It outlives the Service.
  Dirty set_relay(const Frontend& frontend, const std::optional<SocketAddress>& socket);
  // The socket that it had last has gone.
  Dirty forget_relay(const Frontend& frontend);
  std::optional<SocketAddress> relay(const Frontend& frontend) const;
  // Its TCP endpoints expect, or may expect, what the stream proxy alone can tell them: where that
  // does not have a frontend of it, packets are dropped, so that clients try again.
  Dirty set_relay_only(const kube::ObjectKey& service, bool only);
  // Every frontend of one family, or of one Service.
  Dirty frontends(Family family) const;
  Dirty frontends(const kube::ObjectKey& service) const;
  bool has(const Frontend& frontend) const { return claims_.contains(frontend); }
  // The source ranges of a Target's guard; null: no service has it (any more).
  std::shared_ptr<const std::vector<Cidr>> ranges(uint64_t guard) const;
  // How many of each there are about, to make room at once: endpoints are counted before merging.
  struct Counts {
    size_t frontends = 0;
    size_t endpoints = 0;
    size_t inside_endpoints = 0;
    size_t learning = 0;  // frontends with affinity
  };
  struct Totals {
    Counts addresses;
    Counts node_ports;
  };
  Totals count(Family family) const;
  size_t count_local_endpoints(Family family) const;
  // Ports of Services whose internal (else external) traffic policy is Local, with endpoints to go
  // to, and none of them here.
  size_t count_without_local(Family family, bool internal) const;
  // Whether a serving endpoint of this frontend has that address and port, or its relay has: flows
  // to it are healthy even when new ones go elsewhere.
  bool serves(const Frontend& frontend, const IpAddress& address, uint16_t port) const;
  // All of those, sorted: for who asks many times.
  std::vector<SocketAddress> serving_addresses(const Frontend& frontend) const;
  // Whether a flow of this frontend to that address and port should end: nobody has the frontend
  // any more, or others serve it and this one does not, or it is a relay's that has it no more.
  // Where nobody serves, flows stay where they are (pkg/proxy/conntrack/cleanup.go). `serving`: its
  // serving_addresses().
  bool abandons(const Frontend& frontend, const std::vector<SocketAddress>& serving,
                const SocketAddress& flows_to) const;

  // Whose address it is.
  struct Owner {
    ServicePort port;
    AddressKind kind = AddressKind::kClusterIp;
    bool cluster_ip = false;  // too, whatever the kind
  };
  std::optional<Owner> owner(const Frontend& frontend) const;
  // What there is to say of a service port.
  struct PortFacts {
    std::vector<IpAddress> cluster_ips;
    uint16_t port = 0;
    uint16_t node_port = 0;
    size_t ready = 0;      // endpoints, of its first IP family
    size_t endpoints = 0;  // in all, each once
  };
  std::optional<PortFacts> facts(const ServicePort& port) const;
  bool has(const ServicePort& port) const { return find_port(port) != nullptr; }
  struct Size {
    size_t services = 0;
    size_t ports = 0;
    size_t endpoints = 0;  // as slices list them
  };
  Size size() const;

  // Services with a healthCheckNodePort, and how many local ready endpoints each has, of the family
  // that has more (kube-proxy counts for each by itself).
  struct HealthPort {
    kube::ObjectKey service;
    uint16_t port = 0;
    size_t local_ready = 0;
    bool operator==(const HealthPort&) const = default;
  };
  std::vector<HealthPort> health_ports() const;
  // Whether any service has affinity.
  bool has_affinity() const { return affinities_ > 0; }

 private:
  using Role = AddressKind;
  struct Port {
    std::string name;
    uint16_t port = 0;
    uint16_t node_port = 0;
    Protocol protocol = Protocol::kTcp;
    bool operator==(const Port&) const = default;
  };
  // What of a Service decides about packets; equal specs need nothing done.
  struct Spec {
    std::vector<IpAddress> cluster_ips;
    std::vector<IpAddress> external_ips;
    std::vector<IpAddress> load_balancer_ips;
    std::vector<Cidr> source_ranges;
    std::vector<Port> ports;
    bool internal_local = false;
    bool external_local = false;
    uint16_t health_port = 0;
    uint32_t affinity_seconds = 0;  // 0: none
    bool operator==(const Spec&) const = default;
  };
  struct Slice;
  struct Service {
    const kube::ObjectKey* key = nullptr;  // in services_
    bool present = false;                  // false: only slices are known
    Spec spec;
    std::vector<const Slice*> slices;
  };
  // Endpoints packed as address bytes and a byte of flags.
  struct Slice {
    Service* service = nullptr;
    Family family = Family::kIpv4;
    std::vector<Port> ports;
    std::vector<uint8_t> endpoints;
    std::vector<std::vector<std::string>> hint_zones;  // by endpoint; empty: none has any
  };
  struct Claim {
    const Service* service = nullptr;
    uint16_t port = 0;  // index
    Role role = Role::kClusterIp;
    bool cluster_ip = false;  // whatever else the address is to its Service
    bool before(const Claim& other) const;
  };
  struct Endpoint {
    Backend backend;
    uint8_t flags = 0;
    bool zone_hit = false;  // its zone hints name this node's zone
  };
  enum class Hints : uint8_t { kIgnored, kNode, kZone };

  Spec spec_of(const kube::Service& service) const;
  static std::vector<std::pair<Frontend, Claim>> claims_of(const Service& service, size_t port);
  static Dirty frontends_of(const Service& service);
  static void touched_by(const Slice& slice, Dirty& dirty);
  Slice pack(const kube::EndpointSlice& slice) const;
  Service& service_entry(const kube::ObjectKey& key);
  void forget_if_unused(Service& service);
  void claim(const Frontend& frontend, Claim claim);
  void release(const Frontend& frontend, const Service& service);
  void detach(Slice& slice);
  static std::string name_of(const Claim& claim);
  void add_doors(Dirty& dirty) const;
  bool is_relay_only(const Frontend& frontend) const;
  std::vector<Endpoint> merged(const Claim& claim, Family family) const;
  std::vector<Endpoint> serving(const Frontend& frontend) const;
  Hints usable_hints(const std::vector<Endpoint>& endpoints) const;
  std::vector<Backend> cluster_set(const std::vector<Endpoint>& endpoints) const;
  static std::vector<Backend> local_set(const std::vector<Endpoint>& endpoints);
  std::vector<Cidr> ranges_for(const Service& service, const IpAddress& address) const;
  void count_ranges(const Service& service, int delta);
  size_t count_endpoints(const Claim& claim, Family family) const;
  size_t count_local_ready(const Service& service, Family family) const;
  const Port* find_port(const ServicePort& port) const;
  std::pair<size_t, size_t> count_ready(const Claim& claim, Family family) const;

  NodeFacts node_;
  size_t affinities_ = 0;  // services with affinity
  std::map<kube::ObjectKey, Service> services_;
  std::map<kube::ObjectKey, Slice> slices_;
  std::unordered_map<Frontend, Claim> claims_;
  std::multimap<Frontend, Claim> losing_claims_;
  struct Relay {
    SocketAddress socket;
    bool open = true;  // else the rules have it again
  };
  std::unordered_map<Frontend, Relay> relays_;
  std::unordered_set<Frontend> doors_;  // the sockets of those
  std::set<kube::ObjectKey> relay_only_;
  struct Ranges {
    std::shared_ptr<const std::vector<Cidr>> ranges;
    int users = 0;
  };
  std::map<uint64_t, Ranges> ranges_;
};

}  // namespace fairlead::proxy
