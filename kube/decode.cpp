// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "kube/json_field.h"
#include "kube/json_scan.h"

namespace fairlead::kube {
namespace {

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
constexpr const char* kInitialEventsEnd = "k8s.io/initial-events-end";
constexpr uint32_t kDefaultAffinitySeconds = 10800;

std::map<std::string, std::string> read_map(const Field& field) {
  std::map<std::string, std::string> map;
  field.each_member([&map](std::string_view key, const Field& value) {
    if (key != kLastApplied) map.insert_or_assign(std::string(key), std::string(value.text()));
  });
  return map;
}

ObjectMeta read_meta(const Field& root) {
  const Field meta = root.at("metadata");
  ObjectMeta result;
  result.ns = meta.at("namespace").text();
  result.name = meta.at("name").text();
  result.uid = meta.at("uid").text();
  result.resource_version = meta.at("resourceVersion").text();
  result.labels = read_map(meta.at("labels"));
  result.annotations = read_map(meta.at("annotations"));
  result.deleting = meta.at("deletionTimestamp").present();
  if (result.name.empty()) meta.at("name").report("an object must have a name");
  return result;
}

void add_address(std::vector<IpAddress>& addresses, const Field& field) {
  const Result<IpAddress> address = IpAddress::parse_lenient(field.text());
  if (address.ok()) addresses.push_back(*address);
}

std::vector<IpAddress> read_addresses(const Field& list) {
  std::vector<IpAddress> addresses;
  addresses.reserve(list.size());
  list.each_element([&addresses](const Field& element) { add_address(addresses, element); });
  return addresses;
}

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<Cidr> read_cidrs(const Field& list) {
  std::vector<Cidr> cidrs;
  cidrs.reserve(list.size());
  list.each_element([&cidrs](const Field& element) {
    const Result<Cidr> cidr = Cidr::parse_lenient(trim(element.text()));
    if (cidr.ok()) cidrs.push_back(*cidr);
  });
  return cidrs;
}

// Absent is TCP; a protocol we do not know is none.
std::optional<Protocol> read_protocol(const Field& field) {
  const std::string_view text = field.text();
  if (text.empty() || text == "TCP") return Protocol::kTcp;
  if (text == "UDP") return Protocol::kUdp;
  if (text == "SCTP") return Protocol::kSctp;
  return std::nullopt;
}

uint16_t read_port(const Field& field) {
  return static_cast<uint16_t>(field.number(0, std::numeric_limits<uint16_t>::max(), 0));
}

// Anything but "Local" is "Cluster", as kube-proxy compares.
TrafficPolicy read_policy(const Field& field) {
  return field.text() == "Local" ? TrafficPolicy::kLocal : TrafficPolicy::kCluster;
}

ServiceType read_service_type(const Field& field) {
  const std::string_view text = field.text();
  if (text == "NodePort") return ServiceType::kNodePort;
  if (text == "LoadBalancer") return ServiceType::kLoadBalancer;
  if (text == "ExternalName") return ServiceType::kExternalName;
  return ServiceType::kClusterIp;
}

// clusterIPs, or clusterIP alone from objects older than dual stack.
void read_cluster_ips(const Field& spec, Service& service) {
  const Field first = spec.at("clusterIP");
  const Field all = spec.at("clusterIPs");
  bool none = first.text() == "None";
  all.each_element([&none](const Field& element) { none = none || element.text() == "None"; });
  service.headless = none;
  if (!none) service.cluster_ips = read_addresses(all);
  if (!none && all.size() == 0) add_address(service.cluster_ips, first);

  const Field families = spec.at("ipFamilies");
  families.each_element([&service](const Field& element) {
    const std::string_view text = element.text();
    if (text == "IPv4") service.ip_families.push_back(Family::kIpv4);
    if (text == "IPv6") service.ip_families.push_back(Family::kIpv6);
  });
  if (families.size() == 0) {
    for (const IpAddress& address : service.cluster_ips)
      service.ip_families.push_back(address.family());
  }
}

std::vector<ServicePort> read_service_ports(const Field& list) {
  std::vector<ServicePort> ports;
  ports.reserve(list.size());
  list.each_element([&ports](const Field& element) {
    ServicePort port;
    port.name = element.at("name").text();
    port.port = read_port(element.at("port"));
    port.node_port = read_port(element.at("nodePort"));
    const std::optional<Protocol> protocol = read_protocol(element.at("protocol"));
    if (!protocol) return;
    port.protocol = *protocol;
    ports.push_back(std::move(port));
  });
  return ports;
}

void read_ingress(const Field& root, Service& service) {
  const Field status = root.at("status");
  const Field load_balancer = status.at("loadBalancer");
  load_balancer.at("ingress").each_element([&service](const Field& element) {
    const bool vip = element.at("ipMode").text() != "Proxy";
    const Result<IpAddress> ip = IpAddress::parse_lenient(element.at("ip").text());
    if (ip.ok()) return service.load_balancer_ingress.push_back({*ip, vip});
    const std::string_view host = element.at("hostname").text();
    if (!host.empty()) service.load_balancer_hosts.emplace_back(host);
  });
}

std::optional<uint32_t> read_affinity(const Field& spec) {
  const Field config = spec.at("sessionAffinityConfig");
  const Field client_ip = config.at("clientIP");
  const int64_t seconds =
      client_ip.at("timeoutSeconds")
          .number(0, std::numeric_limits<int32_t>::max(), kDefaultAffinitySeconds);
  if (spec.at("sessionAffinity").text() != "ClientIP") return std::nullopt;
  return static_cast<uint32_t>(seconds);
}

void read(const Field& root, Service& service) {
  const Field spec = root.at("spec");
  service.type = read_service_type(spec.at("type"));
  read_cluster_ips(spec, service);
  service.external_ips = read_addresses(spec.at("externalIPs"));
  read_ingress(root, service);
  const Field ranges = spec.at("loadBalancerSourceRanges");
  service.load_balancer_source_ranges = read_cidrs(ranges);
  if (ranges.size() > 0 && service.load_balancer_source_ranges.empty())
    ranges.report("none of them is a CIDR such as 10.0.0.0/8");
  service.ports = read_service_ports(spec.at("ports"));
  service.external_name = spec.at("externalName").text();
  service.internal_traffic_policy = read_policy(spec.at("internalTrafficPolicy"));
  service.external_traffic_policy = read_policy(spec.at("externalTrafficPolicy"));
  service.health_check_node_port = read_port(spec.at("healthCheckNodePort"));
  service.affinity_timeout_seconds = read_affinity(spec);
  service.publish_not_ready_addresses = spec.at("publishNotReadyAddresses").flag(false);
}

std::vector<std::string> read_hints(const Field& list) {
  std::vector<std::string> names;
  names.reserve(list.size());
  list.each_element([&names](const Field& element) {
    const std::string_view name = element.at("name").text();
    if (!name.empty()) names.emplace_back(name);
  });
  return names;
}

Endpoint read_endpoint(const Field& field, Family family) {
  Endpoint endpoint;
  endpoint.addresses = read_addresses(field.at("addresses"));
  std::erase_if(endpoint.addresses, [family](const IpAddress& a) { return a.family() != family; });
  const Field conditions = field.at("conditions");
  endpoint.ready = conditions.at("ready").flag(true);
  endpoint.serving = conditions.at("serving").flag(true);
  endpoint.terminating = conditions.at("terminating").flag(false);
  endpoint.hostname = field.at("hostname").text();
  endpoint.node_name = field.at("nodeName").text();
  endpoint.zone = field.at("zone").text();
  const Field target = field.at("targetRef");
  endpoint.target_kind = target.at("kind").text();
  endpoint.target_name = target.at("name").text();
  endpoint.target_namespace = target.at("namespace").text();
  const Field hints = field.at("hints");
  endpoint.hint_zones = read_hints(hints.at("forZones"));
  endpoint.hint_nodes = read_hints(hints.at("forNodes"));
  return endpoint;
}

void read(const Field& root, EndpointSlice& slice) {
  const auto label = slice.meta.labels.find(kServiceNameLabel);
  if (label != slice.meta.labels.end()) slice.service_name = label->second;

  const Field type = root.at("addressType");
  const std::string_view address_type = type.text();
  if (address_type == "IPv6") slice.family = Family::kIpv6;
  slice.fqdn = address_type == "FQDN";
  if (address_type != "IPv4" && address_type != "IPv6" && !slice.fqdn)
    type.report("expected IPv4, IPv6 or FQDN");

  const Field endpoints = root.at("endpoints");
  slice.endpoints.reserve(slice.fqdn ? 0 : endpoints.size());
  endpoints.each_element([&slice](const Field& element) {
    Endpoint endpoint = read_endpoint(element, slice.family);
    if (!slice.fqdn && !endpoint.addresses.empty()) slice.endpoints.push_back(std::move(endpoint));
  });
  const Field ports = root.at("ports");
  slice.ports.reserve(ports.size());
  ports.each_element([&slice](const Field& element) {
    EndpointPort port;
    const Field name = element.at("name");
    port.named = name.present();
    port.name = name.text();
    port.port = read_port(element.at("port"));
    const std::optional<Protocol> protocol = read_protocol(element.at("protocol"));
    if (!protocol) return;
    port.protocol = *protocol;
    slice.ports.push_back(std::move(port));
  });
}

void read(const Field& root, Node& node) {
  const Field spec = root.at("spec");
  const Field cidrs = spec.at("podCIDRs");
  node.pod_cidrs = read_cidrs(cidrs);
  const Result<Cidr> only = Cidr::parse_lenient(spec.at("podCIDR").text());
  if (cidrs.size() == 0 && only.ok()) node.pod_cidrs.push_back(*only);
  spec.at("taints").each_element([&node](const Field& element) {
    const std::string_view key = element.at("key").text();
    if (!key.empty()) node.taint_keys.emplace_back(key);
  });
  const Field status = root.at("status");
  status.at("addresses").each_element([&node](const Field& element) {
    const std::string_view type = element.at("type").text();
    const Field address = element.at("address");
    if (type == "InternalIP") add_address(node.internal_ips, address);
    if (type == "ExternalIP") add_address(node.external_ips, address);
  });
}

void read(const Field&, Namespace&) {}

void read(const Field& root, ServiceCidr& range) {
  const Field spec = root.at("spec");
  range.cidrs = read_cidrs(spec.at("cidrs"));
}

void read(const Field& root, Pod& pod) {
  const Field spec = root.at("spec");
  pod.node_name = spec.at("nodeName").text();
  pod.host_network = spec.at("hostNetwork").flag(false);
  const Field status = root.at("status");
  pod.phase = status.at("phase").text();
  const Field ips = status.at("podIPs");
  ips.each_element([&pod](const Field& element) { add_address(pod.pod_ips, element.at("ip")); });
  if (ips.size() == 0) add_address(pod.pod_ips, status.at("podIP"));
}

// The document as a tree in this thread's workspace, valid until the next document.
Result<simdjson::dom::element> parse(std::string_view json, std::string_view what) {
  JsonWorkspace& workspace = JsonWorkspace::mine();
  const std::string_view padded = workspace.copy(json);
  simdjson::dom::element root;
  const simdjson::error_code error =
      workspace.tree().parse(padded.data(), padded.size(), false).get(root);
  if (error == simdjson::SUCCESS) return root;
  return Error(ErrorCode::kInvalid,
               std::string(what) + " is not JSON: " + simdjson::error_message(error));
}

template <typename T>
Result<T> decode_object(std::string_view json) {
  const Result<simdjson::dom::element> tree = parse(json, Kind<T>::kName);
  if (!tree.ok()) return tree.error();
  std::string problem;
  const Field root(*tree, &problem);
  T object;
  object.meta = read_meta(root);
  read(root, object);
  if (problem.empty()) return object;
  const std::string key =
      object.meta.name.empty() ? "without a name" : object.meta.key().to_string();
  return Error(ErrorCode::kInvalid, std::string(Kind<T>::kName) + " " + key + ": " + problem);
}

}  // namespace

template <>
Result<Service> decode<Service>(std::string_view json) {
  return decode_object<Service>(json);
}
template <>
Result<EndpointSlice> decode<EndpointSlice>(std::string_view json) {
  return decode_object<EndpointSlice>(json);
}
template <>
Result<Node> decode<Node>(std::string_view json) {
  return decode_object<Node>(json);
}
template <>
Result<Namespace> decode<Namespace>(std::string_view json) {
  return decode_object<Namespace>(json);
}
template <>
Result<Pod> decode<Pod>(std::string_view json) {
  return decode_object<Pod>(json);
}
template <>
Result<ServiceCidr> decode<ServiceCidr>(std::string_view json) {
  return decode_object<ServiceCidr>(json);
}

Result<ObjectVersion> decode_version(std::string_view json) {
  const Result<simdjson::dom::element> tree = parse(json, "object");
  if (!tree.ok()) return tree.error();
  std::string problem;
  const Field root(*tree, &problem);
  const Field meta = root.at("metadata");
  ObjectVersion version;
  version.key.ns = meta.at("namespace").text();
  version.key.name = meta.at("name").text();
  version.resource_version = meta.at("resourceVersion").text();
  if (!problem.empty()) return Error(ErrorCode::kInvalid, "object: " + problem);
  const Field annotations = meta.at("annotations");
  version.initial_events_end = annotations.at(kInitialEventsEnd).text() == "true";
  return version;
}

Result<ListMeta> decode_list_meta(std::string_view metadata_json) {
  const Result<simdjson::dom::element> tree = parse(metadata_json, "list metadata");
  if (!tree.ok()) return tree.error();
  std::string problem;
  const Field root(*tree, &problem);
  ListMeta meta{std::string(root.at("resourceVersion").text()),
                std::string(root.at("continue").text())};
  if (!problem.empty()) return Error(ErrorCode::kInvalid, "list metadata: " + problem);
  return meta;
}

Result<StatusObject> decode_status(std::string_view json) {
  const Result<simdjson::dom::element> tree = parse(json, "Status");
  if (!tree.ok()) return tree.error();
  std::string problem;
  const Field root(*tree, &problem);
  if (root.at("kind").text() != "Status")
    return Error(ErrorCode::kInvalid, "not an object of kind Status");
  StatusObject status;
  status.code = static_cast<int>(root.at("code").number(0, 999, 0));
  status.reason = root.at("reason").text();
  status.message = root.at("message").text();
  const Field details = root.at("details");
  status.retry_after_seconds = static_cast<int>(
      details.at("retryAfterSeconds").number(0, std::numeric_limits<int32_t>::max(), 0));
  details.at("causes").each_element([&status](const Field& cause) {
    if (cause.at("reason").text() == "ResourceVersionTooLarge")
      status.resource_version_too_large = true;
  });
  if (!problem.empty()) return Error(ErrorCode::kInvalid, "Status: " + problem);
  return status;
}

namespace {

std::optional<WatchEvent::Type> event_type(std::string_view text) {
  if (text == "ADDED") return WatchEvent::Type::kAdded;
  if (text == "MODIFIED") return WatchEvent::Type::kModified;
  if (text == "DELETED") return WatchEvent::Type::kDeleted;
  if (text == "BOOKMARK") return WatchEvent::Type::kBookmark;
  if (text == "ERROR") return WatchEvent::Type::kError;
  return std::nullopt;
}

}  // namespace

// Only cuts the object out: its decoder is the one that reads it.
Result<WatchEvent> decode_event(std::string_view line) {
  std::string_view type_text, object;
  const Result<void> scanned =
      scan_members(line, [&](std::string_view key, std::string_view value) {
        if (key == "type") type_text = value;
        if (key == "object") object = value;
      });
  if (!scanned.ok()) return scanned.error().with_context("watch event");
  const bool quoted = type_text.size() >= 2 && type_text.front() == '"';
  const auto type = quoted ? event_type(type_text.substr(1, type_text.size() - 2)) : std::nullopt;
  if (!type)
    return Error(ErrorCode::kInvalid, "watch event: type is " +
                                          std::string(type_text.substr(0, 32)) +
                                          ", expected ADDED, MODIFIED, DELETED, BOOKMARK or ERROR");
  if (object.empty() || object.front() != '{')
    return Error(ErrorCode::kInvalid, "watch event: object: expected an object");
  return WatchEvent{*type, object};
}

}  // namespace fairlead::kube
