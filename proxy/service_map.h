// SPDX-License-Identifier: Apache-2.0
// Services and EndpointSlices as the API server tells them, turned into "this frontend goes to
// these backends". Pure: no socket, clock or log. One thread.
//
// Every mutation returns the frontends whose answer may have changed; find() then says what is
// wanted now. Objects may arrive in any order: slices before their Service, two Services claiming
// one address for a moment (the one first by namespace/name has it, so every node decides alike).
//
// Semantics (kube-proxy 1.36, pkg/proxy): a port is namespace/name:portName and protocol; slices
// are merged by their service-name label; a port without name match, a nil port, all but an
// endpoint's first address are ignored; the same address:port twice counts once, not terminating
// before terminating; usable is every ready endpoint, or when there is none every endpoint that is
// serving and terminating (KEP-1669).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "kube/objects.h"
#include "proxy/frontend.h"

namespace fairlead::proxy {

using Dirty = std::vector<Frontend>;

// What a frontend should do. Without backends it refuses.
struct Target {
  std::string service;  // "default/web:http", for people
  bool cluster_ip = false;
  std::vector<Backend> backends;  // sorted, each once
};

class ServiceMap {
 public:
  // `node_name`: endpoints on it are local.
  explicit ServiceMap(std::string node_name) : node_name_(std::move(node_name)) {}
  ServiceMap(const ServiceMap&) = delete;
  ServiceMap& operator=(const ServiceMap&) = delete;

  // Adds or replaces. Headless and ExternalName services are as good as absent.
  Dirty put(const kube::Service& service);
  Dirty put(const kube::EndpointSlice& slice);
  Dirty remove_service(const kube::ObjectKey& key);
  Dirty remove_slice(const kube::ObjectKey& key);

  std::vector<kube::ObjectKey> services() const;
  std::vector<kube::ObjectKey> slices() const;

  // nullopt: no service has this frontend.
  std::optional<Target> find(const Frontend& frontend) const;
  // Every frontend of one family.
  Dirty frontends(Family family) const;
  // How many of each there are about, to make room at once: endpoints are counted before merging.
  struct Counts {
    size_t frontends = 0;
    size_t node_ports = 0;
    size_t endpoints = 0;
    size_t node_port_endpoints = 0;
    size_t local_endpoints = 0;
  };
  Counts count(Family family) const;
  // Whether a serving endpoint of this frontend has that address and port: flows to it are healthy
  // even when new ones go elsewhere.
  bool serves(const Frontend& frontend, const IpAddress& address, uint16_t port) const;

 private:
  struct Port {
    std::string name;
    uint16_t port = 0;
    uint16_t node_port = 0;
    Protocol protocol = Protocol::kTcp;
    bool operator==(const Port&) const = default;
  };
  struct Slice;
  struct Service {
    kube::ObjectKey key;
    bool present = false;  // false: only slices are known
    std::vector<IpAddress> cluster_ips;
    std::vector<Port> ports;
    std::vector<const Slice*> slices;
  };
  // Endpoints packed as address bytes and a byte of flags.
  struct Slice {
    Service* service = nullptr;
    Family family = Family::kIpv4;
    std::vector<Port> ports;
    std::vector<uint8_t> endpoints;
  };
  struct Claim {
    const Service* service = nullptr;
    uint16_t port = 0;  // index
  };
  struct Endpoint {
    Backend backend;
    uint8_t flags = 0;
  };

  static std::vector<Frontend> frontends_of(const Service& service, size_t port);
  static Dirty frontends_of(const Service& service);
  static void touched_by(const Slice& slice, Dirty& dirty);
  Slice pack(const kube::EndpointSlice& slice) const;
  Service& service_entry(const kube::ObjectKey& key);
  void forget_if_unused(Service& service);
  void claim(const Frontend& frontend, Claim claim);
  void release(const Frontend& frontend, const Service& service);
  void detach(Slice& slice);
  std::vector<Endpoint> merged(const Claim& claim, Family family) const;

  const std::string node_name_;
  std::map<kube::ObjectKey, Service> services_;
  std::map<kube::ObjectKey, Slice> slices_;
  std::unordered_map<Frontend, Claim> claims_;
  std::multimap<Frontend, Claim> losing_claims_;
};

// What of a Service this proxy does not honour yet, in the API's words: "sessionAffinity:
// ClientIP".
std::vector<std::string> unsupported_features(const kube::Service& service);

}  // namespace fairlead::proxy
