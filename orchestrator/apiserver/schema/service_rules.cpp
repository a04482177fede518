// SPDX-License-Identifier: Apache-2.0
// Services and their endpoints.
#include <algorithm>
#include <set>

#include "base/address.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"
#include "orchestrator/apiserver/schema/service_spec.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr const char* kOnlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'";
constexpr const char* kOnlyHealthCheck =
    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
constexpr size_t kMaxEndpoints = 1000;
constexpr size_t kMaxAddresses = 100;
constexpr size_t kMaxPorts = 20'000;
constexpr size_t kMaxHints = 8;
constexpr size_t kMaxTopologyLabels = 16;

bool is_link_local_multicast(const IpAddress& ip) {
  const auto bytes = ip.bytes();
  if (ip.is_v4()) return bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0;
  return bytes[0] == 0xff && (bytes[1] & 0x0f) == 2;
}

// Endpoints and external addresses that would lead into the node itself or nowhere
// (ValidateNonSpecialIP).
void check_reachable(const IpAddress& ip, const Json& text, const std::string& path,
                     Causes& causes) {
  const auto refuse = [&](const std::string& why) {
    causes.push_back(invalid_value(path, go_value(text), why));
  };
  if (ip.is_unspecified()) refuse("may not be unspecified (" + text.get<std::string>() + ")");
  if (ip.is_loopback()) refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (ip.is_link_local()) refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (is_link_local_multicast(ip))
    refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

void too_many(const Json& list, size_t limit, const std::string& path, Causes& causes) {
  if (list.size() > limit)
    causes.push_back({"FieldValueTooMany",
                      "Too many: " + std::to_string(list.size()) + ": must have at most " +
                          std::to_string(limit) + " items",
                      path});
}

void check_ports(const Json& value, const std::string& path, Causes& causes) {
  const Json& ports = at(value, "ports");
  const std::string type = string_at(value, "type");
  if (is_empty(ports)) {
    if (has_cluster_ip(value) && !is_headless(value))
      causes.push_back(required(join(path, "ports")));
    return;
  }
  std::set<std::string> names;
  std::set<std::pair<std::string, int64_t>> numbers, node_ports;
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string where = indexed(join(path, "ports"), i);
    const std::string name = string_at(ports[i], "name");
    const std::string protocol = string_at(ports[i], "protocol");
    const int64_t node_port = int_at(ports[i], "nodePort");
    if (name.empty() && ports.size() > 1)
      causes.push_back(required(join(where, "name")));
    else if (!name.empty() && !names.insert(name).second)
      causes.push_back(duplicate(join(where, "name"), go_value(name)));
    if (!numbers.emplace(protocol, int_at(ports[i], "port")).second)
      causes.push_back(duplicate(where, "{\"port\":" + std::to_string(int_at(ports[i], "port")) +
                                            ",\"protocol\":\"" + protocol + "\"}"));
    if (node_port != 0 && !has_node_ports(value))
      causes.push_back(forbidden_field(join(where, "nodePort"),
                                       "may not be used when `type` is '" + type + "'"));
    else if (node_port != 0 && !node_ports.emplace(protocol, node_port).second)
      causes.push_back(duplicate(join(where, "nodePort"), std::to_string(node_port)));
  }
}

void check_external_name(const Json& value, const std::string& path, Causes& causes) {
  std::string name = string_at(value, "externalName");
  if (name.ends_with('.')) name.pop_back();
  if (name.empty())
    causes.push_back(required(join(path, "externalName")));
  else if (auto wrong = check_dns1123_subdomain(name))
    causes.push_back(invalid_value(join(path, "externalName"), go_value(name), *wrong));
  for (const char* field : {"clusterIPs", "ipFamilies", "ipFamilyPolicy"})
    if (!is_empty(at(value, field)))
      causes.push_back(
          forbidden_field(join(path, field), "may not be set for ExternalName services"));
}

// Each address for itself; false: one is none, and nothing can be said of them together.
bool check_addresses(const Json& ips, const std::string& path, Causes& causes) {
  const size_t before = causes.size();
  for (size_t i = 0; i < ips.size(); ++i) {
    if (i == 0 && ips[i] == "None") {
      if (ips.size() > 1)
        causes.push_back(invalid_value(path, dump(ips), "'None' must be the first and only value"));
    } else if (!IpAddress::parse(ips[i].get<std::string>()).ok()) {
      causes.push_back(
          invalid_value(indexed(path, i), go_value(ips[i]),
                        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    }
  }
  return causes.size() == before;
}

// clusterIP, clusterIPs and ipFamilies agree (ValidateServiceClusterIPsRelatedFields).
void check_cluster_ips(const Json& value, const std::string& path, Causes& causes) {
  const Json ips = at(value, "clusterIPs").is_array() ? at(value, "clusterIPs") : Json::array();
  const Json& families = at(value, "ipFamilies");
  const std::string at_ips = join(path, "clusterIPs");
  if (!ips.empty() && ips[0] != string_at(value, "clusterIP"))
    causes.push_back(invalid_value(at_ips, dump(ips), "first value must match `clusterIP`"));
  for (size_t i = 1; i < families.size(); ++i)
    if (std::find(families.begin(), families.begin() + static_cast<ptrdiff_t>(i), families[i]) !=
        families.begin() + static_cast<ptrdiff_t>(i))
      causes.push_back(duplicate(indexed(join(path, "ipFamilies"), i), go_value(families[i])));
  if (!check_addresses(ips, at_ips, causes)) return;
  if (ips.size() > 2)
    causes.push_back(invalid_value(at_ips, dump(ips), "may only hold up to 2 values"));
  std::set<Family> seen;
  for (size_t i = 0; i < ips.size() && !is_headless(value); ++i) {
    const Family family = IpAddress::parse(ips[i].get<std::string>())->family();
    const char* name = family == Family::kIpv4 ? "IPv4" : "IPv6";
    if (!seen.insert(family).second && ips.size() == 2)
      causes.push_back(
          invalid_value(at_ips, dump(ips), "may specify no more than one IP for each IP family"));
    if (i < families.size() && families[i] != name &&
        (families[i] == "IPv4" || families[i] == "IPv6"))
      causes.push_back(invalid_value(indexed(at_ips, i), go_value(ips[i]),
                                     "expected an " + families[i].get<std::string>() +
                                         " value as indicated by `ipFamilies[" + std::to_string(i) +
                                         "]`"));
  }
}

void check_load_balancer(const Json& value, const std::string& path, Causes& causes) {
  const bool balancer = is_load_balancer(value);
  for (const char* field :
       {"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"})
    if (!balancer && !at(value, field).is_null() && !(at(value, field) == Json::array()))
      causes.push_back(forbidden_field(join(path, field), kOnlyLoadBalancer));
  if (!balancer) return;
  if (at(value, "loadBalancerClass").is_string())
    if (auto wrong = check_qualified_name(string_at(value, "loadBalancerClass")))
      causes.push_back(invalid_value(join(path, "loadBalancerClass"),
                                     go_value(at(value, "loadBalancerClass")), *wrong));
  const Json& ranges = at(value, "loadBalancerSourceRanges");
  for (size_t i = 0; i < ranges.size(); ++i) {
    // Spaces around them have always been allowed: they came from an annotation once.
    const std::string text = ranges[i].get<std::string>();
    const size_t begin = text.find_first_not_of(" \t\n\r");
    const size_t end = text.find_last_not_of(" \t\n\r");
    if (begin == text.npos || !Cidr::parse(text.substr(begin, end - begin + 1)).ok())
      causes.push_back(
          invalid_value(indexed(join(path, "loadBalancerSourceRanges"), i), go_value(text),
                        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
  }
}

void check_external_traffic(const Json& value, const std::string& path, Causes& causes) {
  const Json& ips = at(value, "externalIPs");
  for (size_t i = 0; i < ips.size(); ++i)
    if (const auto ip = IpAddress::parse(ips[i].get<std::string>()))
      check_reachable(*ip, ips[i], indexed(join(path, "externalIPs"), i), causes);
  if (!string_at(value, "externalTrafficPolicy").empty() && !is_externally_accessible(value))
    causes.push_back(invalid_value(join(path, "externalTrafficPolicy"),
                                   go_value(at(value, "externalTrafficPolicy")),
                                   "may only be set for externally-accessible services"));
  const int64_t health = int_at(value, "healthCheckNodePort");
  if (health != 0 && !has_health_check_port(value))
    causes.push_back(
        invalid_value(join(path, "healthCheckNodePort"), std::to_string(health), kOnlyHealthCheck));
}

// A name of two labels or more, with or without the dot of the root.
void check_domain(const Json& text, const std::string& path, Causes& causes) {
  std::string name = text.get<std::string>();
  if (name.ends_with('.')) name.pop_back();
  if (name.empty())
    causes.push_back(required(path));
  else if (auto wrong = check_dns1123_subdomain(name))
    causes.push_back(invalid_value(path, go_value(text), *wrong));
  else if (name.find('.') == name.npos)
    causes.push_back(invalid_value(
        path, go_value(text), "should be a domain with at least two segments separated by dots"));
}

// Zones or nodes that an endpoint is meant for.
void check_hints(const Json& hints, const char* list, const std::string& path, Causes& causes) {
  const Json& entries = at(hints, list);
  const std::string where = join(path, list);
  if (entries.size() > kMaxHints) return too_many(entries, kMaxHints, where, causes);
  std::set<std::string> seen;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string name = string_at(entries[i], "name");
    const std::string at_name = join(indexed(where, i), "name");
    if (!seen.insert(name).second) causes.push_back(duplicate(at_name, go_value(name)));
    if (auto wrong = check_label_value(name))
      causes.push_back(invalid_value(at_name, go_value(name), *wrong));
  }
}

void check_endpoint_address(const std::string& type, const Json& text, const std::string& path,
                            Causes& causes) {
  if (type == "FQDN") return check_domain(text, path, causes);
  if (type != "IPv4" && type != "IPv6") return;  // refused as such
  const auto ip = IpAddress::parse(text.get<std::string>());
  if (!ip)
    causes.push_back(invalid_value(
        path, go_value(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  else if (type != (ip->is_v6() ? "IPv6" : "IPv4"))
    causes.push_back(invalid_value(path, go_value(text), "must be an " + type + " address"));
  else
    check_reachable(*ip, text, path, causes);
}

}  // namespace

void check_service_spec(const Json& value, const std::string& path, Causes& causes) {
  const std::string type = string_at(value, "type");
  check_ports(value, path, causes);
  check_load_balancer(value, path, causes);
  check_external_traffic(value, path, causes);
  if (!has_cluster_ip(value)) return check_external_name(value, path, causes);
  check_cluster_ips(value, path, causes);
  if (is_headless(value) && has_node_ports(value))
    causes.push_back(invalid_value(indexed(join(path, "clusterIPs"), 0), "\"None\"",
                                   "may not be set to 'None' for " + type + " services"));
}

void check_endpoint_subset(const Json& value, const std::string& path, Causes& causes) {
  if (is_empty(at(value, "addresses")) && is_empty(at(value, "notReadyAddresses")))
    causes.push_back(required(path, "must specify `addresses` or `notReadyAddresses`"));
  for (const char* list : {"addresses", "notReadyAddresses"})
    for (size_t i = 0; i < at(value, list).size(); ++i) {
      const Json& text = at(value[list][i], "ip");
      if (const auto ip = IpAddress::parse(string_at(value[list][i], "ip")))
        check_reachable(*ip, text, join(indexed(join(path, list), i), "ip"), causes);
    }
  const Json& ports = at(value, "ports");
  for (size_t i = 0; i < ports.size() && ports.size() > 1; ++i)
    if (string_at(ports[i], "name").empty())
      causes.push_back(required(join(indexed(join(path, "ports"), i), "name")));
}

void check_endpoint_slice(const Json& value, const std::string& path, Causes& causes) {
  const std::string type = string_at(value, "addressType");
  const Json& endpoints = at(value, "endpoints");
  too_many(endpoints, kMaxEndpoints, join(path, "endpoints"), causes);
  for (size_t i = 0; i < endpoints.size() && causes.size() < 50; ++i) {
    const Json& addresses = at(endpoints[i], "addresses");
    const std::string where = join(indexed(join(path, "endpoints"), i), "addresses");
    too_many(addresses, kMaxAddresses, where, causes);
    for (size_t k = 0; k < addresses.size(); ++k)
      check_endpoint_address(type, addresses[k], indexed(where, k), causes);
    too_many(at(endpoints[i], "deprecatedTopology"), kMaxTopologyLabels,
             join(indexed(join(path, "endpoints"), i), "deprecatedTopology"), causes);
    for (const char* list : {"forZones", "forNodes"})
      check_hints(at(endpoints[i], "hints"), list,
                  join(indexed(join(path, "endpoints"), i), "hints"), causes);
  }
  const Json& ports = at(value, "ports");
  too_many(ports, kMaxPorts, join(path, "ports"), causes);
  std::set<std::string> names;
  for (size_t i = 0; i < ports.size() && causes.size() < 50; ++i)
    if (const std::string name = string_at(ports[i], "name"); !names.insert(name).second)
      causes.push_back(
          duplicate(join(indexed(join(path, "ports"), i), "name"), go_value(Json(name))));
}

}  // namespace fairlead::orchestrator::apiserver::schema
