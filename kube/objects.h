// SPDX-License-Identifier: Apache-2.0
// The Kubernetes objects the proxy and the DNS server need, trimmed at the door to the fields they
// read. Values: equality is by content. Pure; decoding is in kube/decode.h. Addresses are kept as
// parsed values; what does not parse is left out by the decoder, as kube-proxy does.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace fairlead::kube {

// "namespace/name", or "name" for cluster-scoped kinds.
struct ObjectKey {
  std::string ns;
  std::string name;
  std::string to_string() const { return ns.empty() ? name : ns + "/" + name; }
  auto operator<=>(const ObjectKey&) const = default;
};

struct ObjectMeta {
  std::string ns;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool deleting = false;  // deletionTimestamp is set
  ObjectKey key() const { return {ns, name}; }
  // Without resource_version: a write that changes nothing we keep is no change to a Store.
  bool operator==(const ObjectMeta& other) const;
};

enum class Protocol : uint8_t { kTcp, kUdp, kSctp };
const char* to_string(Protocol protocol);  // "TCP", "UDP", "SCTP"

enum class ServiceType : uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalName };
enum class TrafficPolicy : uint8_t { kCluster, kLocal };

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
  uint16_t node_port = 0;  // 0: none
  bool operator==(const ServicePort&) const = default;
};

struct LoadBalancerIngress {
  IpAddress ip;
  bool vip = true;  // ipMode "VIP" or absent; false: "Proxy", no rules for it (KEP-1860)
  bool operator==(const LoadBalancerIngress&) const = default;
};

struct Service {
  ObjectMeta meta;
  ServiceType type = ServiceType::kClusterIp;
  bool headless = false;               // clusterIP: None
  std::vector<IpAddress> cluster_ips;  // in the order of ipFamilies; empty when headless
  std::vector<Family> ip_families;
  std::vector<IpAddress> external_ips;
  std::vector<LoadBalancerIngress> load_balancer_ingress;
  std::vector<std::string> load_balancer_hosts;  // ingress that has a host name alone
  std::vector<Cidr> load_balancer_source_ranges;
  std::vector<ServicePort> ports;
  std::string external_name;
  TrafficPolicy internal_traffic_policy = TrafficPolicy::kCluster;
  TrafficPolicy external_traffic_policy = TrafficPolicy::kCluster;
  uint16_t health_check_node_port = 0;
  std::optional<uint32_t> affinity_timeout_seconds;  // sessionAffinity ClientIP; default 10800
  bool publish_not_ready_addresses = false;
  bool operator==(const Service&) const = default;
};

struct Endpoint {
  std::vector<IpAddress> addresses;
  // Absent in JSON: ready and serving true, terminating false.
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  std::string hostname;
  std::string node_name;
  std::string zone;
  std::string target_kind;  // targetRef
  std::string target_name;
  std::string target_namespace;
  std::vector<std::string> hint_zones;
  std::vector<std::string> hint_nodes;
  bool operator==(const Endpoint&) const = default;
};

struct EndpointPort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;  // 0: nil in JSON, "all ports"; the proxy skips it
  bool named = true;  // false: nil in JSON, which the API server fills in; the proxy skips it
  bool operator==(const EndpointPort&) const = default;
};

struct EndpointSlice {
  ObjectMeta meta;
  std::string service_name;  // label kubernetes.io/service-name
  Family family = Family::kIpv4;
  bool fqdn = false;  // addressType FQDN: addresses left out
  std::vector<Endpoint> endpoints;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSlice&) const = default;
};

struct Node {
  ObjectMeta meta;  // the zone is label topology.kubernetes.io/zone
  std::vector<Cidr> pod_cidrs;
  std::vector<IpAddress> internal_ips;
  std::vector<IpAddress> external_ips;
  std::vector<std::string> taint_keys;
  bool operator==(const Node&) const = default;
};

struct Namespace {
  ObjectMeta meta;
  bool operator==(const Namespace&) const = default;
};

// A range cluster IPs are given from (KEP-1880).
struct ServiceCidr {
  ObjectMeta meta;
  std::vector<Cidr> cidrs;
  bool operator==(const ServiceCidr&) const = default;
};

struct Pod {
  ObjectMeta meta;
  std::string node_name;
  std::string phase;
  std::vector<IpAddress> pod_ips;
  bool host_network = false;
  bool operator==(const Pod&) const = default;
};

}  // namespace fairlead::kube
