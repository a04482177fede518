// SPDX-License-Identifier: Apache-2.0
// Rules between the fields of one type, which data cannot say
// (Kubernetes: pkg/apis/core/validation, pkg/apis/apps/validation).
#include <algorithm>
#include <set>

#include "base/address.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/selector.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

using Causes = std::vector<Cause>;

void selector_requirement(const Json& value, const std::string& path, Causes& causes) {
  const std::string op = string_at(value, "operator");
  const bool has_values = !is_empty(at(value, "values"));
  if ((op == "In" || op == "NotIn") && !has_values)
    causes.push_back(
        required(join(path, "values"), "must be specified when `operator` is 'In' or 'NotIn'"));
  if ((op == "Exists" || op == "DoesNotExist") && has_values)
    causes.push_back(
        forbidden_field(join(path, "values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
}

void env_var(const Json& value, const std::string& path, Causes& causes) {
  const Json& from = at(value, "valueFrom");
  if (!from.is_object()) return;
  if (!string_at(value, "value").empty())
    causes.push_back(invalid_value(join(path, "valueFrom"), "\"\"",
                                   "may not be specified when `value` is not empty"));
  if (from.empty())
    causes.push_back(invalid_value(join(path, "valueFrom"), "\"\"",
                                   "must specify one of: `fieldRef`, `resourceFieldRef`, "
                                   "`configMapKeyRef` or `secretKeyRef`"));
  if (from.size() > 1)
    causes.push_back(invalid_value(join(path, "valueFrom"), "\"\"",
                                   "may not have more than one field specified at a time"));
}

size_t count_members(const Json& value, std::initializer_list<const char*> names) {
  return static_cast<size_t>(std::count_if(names.begin(), names.end(),
                                           [&](const char* name) { return value.contains(name); }));
}

void one_handler(const Json& value, const std::string& path, Causes& causes) {
  const size_t count = count_members(value, {"exec", "httpGet", "tcpSocket", "grpc", "sleep"});
  if (count == 0) causes.push_back(required(path, "must specify a handler type"));
  if (count > 1)
    causes.push_back(forbidden_field(path, "may not specify more than 1 handler type"));
}

void volume(const Json& value, const std::string& path, Causes& causes) {
  const size_t sources = value.size() - (value.contains("name") ? 1 : 0);
  if (sources == 0) causes.push_back(required(path, "must specify a volume type"));
  if (sources > 1)
    causes.push_back(forbidden_field(path, "may not specify more than 1 volume type"));
}

// What decode() let in is a quantity.
Quantity quantity_of(const Json& amount) {
  const auto quantity = Quantity::parse(amount.get<std::string>());
  return quantity ? *quantity : Quantity();
}

void resources(const Json& value, const std::string& path, Causes& causes) {
  for (const char* side : {"limits", "requests"}) {
    if (!at(value, side).is_object()) continue;
    for (const auto& [name, amount] : at(value, side).items()) {
      const std::string where = join(path, side) + "[" + name + "]";
      if (quantity_of(amount) < Quantity())
        causes.push_back(
            invalid_value(where, go_value(amount), "must be greater than or equal to 0"));
      const Json& limit = at(at(value, "limits"), name);
      if (std::string_view(side) == "requests" && limit.is_string() &&
          quantity_of(amount) > quantity_of(limit))
        causes.push_back(invalid_value(
            where, go_value(amount),
            "must be less than or equal to " + name + " limit of " + limit.get<std::string>()));
    }
  }
}

void container(const Json& value, const std::string& path, Causes& causes) {
  if (string_at(value, "image").empty()) causes.push_back(required(join(path, "image")));
  if (!at(value, "volumeMounts").is_array()) return;
  for (size_t i = 0; i < value["volumeMounts"].size(); ++i) {
    const std::string sub_path = string_at(value["volumeMounts"][i], "subPath");
    if (sub_path == ".." || sub_path.starts_with("../") || sub_path.find("/../") != sub_path.npos ||
        sub_path.ends_with("/.."))
      causes.push_back(invalid_value(indexed(join(path, "volumeMounts"), i) + ".subPath",
                                     go_value(sub_path), "must not contain '..'"));
  }
}

std::set<std::string> names_of(const Json& list) {
  std::set<std::string> names;
  if (list.is_array())
    for (const Json& item : list) names.insert(string_at(item, "name"));
  return names;
}

void pod_spec(const Json& value, const std::string& path, Causes& causes) {
  const std::set<std::string> volumes = names_of(at(value, "volumes"));
  const std::set<std::string> containers = names_of(at(value, "containers"));
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    if (!at(value, list).is_array()) continue;
    const Json& items = value[list];
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string at_item = indexed(join(path, list), i);
      if (std::string_view(list) != "containers" &&
          containers.contains(string_at(items[i], "name")))
        causes.push_back(duplicate(join(at_item, "name"), go_value(at(items[i], "name"))));
      const Json& mounts = at(items[i], "volumeMounts");
      if (!mounts.is_array()) continue;
      for (size_t k = 0; k < mounts.size(); ++k)
        if (!volumes.contains(string_at(mounts[k], "name")))
          causes.push_back(not_found_value(indexed(join(at_item, "volumeMounts"), k) + ".name",
                                           go_value(at(mounts[k], "name"))));
    }
  }
  if (string_at(value, "dnsPolicy") == "None" && is_empty(at_path(value, "dnsConfig.nameservers")))
    causes.push_back(required(join(path, "dnsConfig.nameservers"),
                              "must provide at least one DNS nameserver when `dnsPolicy` is None"));
}

void service_ports(const Json& value, const std::string& path, Causes& causes) {
  const Json& ports = at(value, "ports");
  const std::string type = string_at(value, "type");
  const bool headless = string_at(value, "clusterIP") == "None";
  if (is_empty(ports)) {
    if (type != "ExternalName" && !headless) causes.push_back(required(join(path, "ports")));
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
    if (node_port != 0 && (type == "ClusterIP" || type == "ExternalName"))
      causes.push_back(forbidden_field(join(where, "nodePort"),
                                       "may not be used when `type` is '" + type + "'"));
    else if (node_port != 0 && !node_ports.emplace(protocol, node_port).second)
      causes.push_back(duplicate(join(where, "nodePort"), std::to_string(node_port)));
  }
}

void service_spec(const Json& value, const std::string& path, Causes& causes) {
  const std::string type = string_at(value, "type");
  const std::string cluster_ip = string_at(value, "clusterIP");
  service_ports(value, path, causes);
  if (type == "ExternalName") {
    std::string name = string_at(value, "externalName");
    if (name.ends_with('.')) name.pop_back();
    if (name.empty())
      causes.push_back(required(join(path, "externalName")));
    else if (auto wrong = check_dns1123_subdomain(name))
      causes.push_back(invalid_value(join(path, "externalName"), go_value(name), *wrong));
    if (!cluster_ip.empty())
      causes.push_back(
          forbidden_field(join(path, "clusterIP"), "may not be set when `type` is 'ExternalName'"));
    return;
  }
  if (cluster_ip == "None" && (type == "NodePort" || type == "LoadBalancer"))
    causes.push_back(invalid_value(join(path, "clusterIPs[0]"), "\"None\"",
                                   "may not be set to 'None' for " + type + " services"));
  if (!cluster_ip.empty() && cluster_ip != "None" && !IpAddress::parse(cluster_ip).ok())
    causes.push_back(
        invalid_value(join(path, "clusterIPs[0]"), go_value(cluster_ip),
                      "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  if (!string_at(value, "externalTrafficPolicy").empty() && type == "ClusterIP" &&
      is_empty(at(value, "externalIPs")))
    causes.push_back(invalid_value(join(path, "externalTrafficPolicy"),
                                   go_value(at(value, "externalTrafficPolicy")),
                                   "may only be set for externally-accessible services"));
}

void endpoint_slice(const Json& value, const std::string& path, Causes& causes) {
  const std::string type = string_at(value, "addressType");
  const Json& endpoints = at(value, "endpoints");
  if (!endpoints.is_array()) return;
  if (endpoints.size() > 1000)
    causes.push_back(
        {"FieldValueTooMany",
         "Too many: " + std::to_string(endpoints.size()) + ": must have at most 1000 items",
         join(path, "endpoints")});
  for (size_t i = 0; i < endpoints.size() && causes.size() < 50; ++i) {
    const Json& addresses = at(endpoints[i], "addresses");
    for (size_t k = 0; addresses.is_array() && k < addresses.size(); ++k) {
      const auto address = IpAddress::parse(addresses[k].get<std::string>());
      const std::string where = indexed(join(indexed(join(path, "endpoints"), i), "addresses"), k);
      if (type == "IPv4" && (!address || !address->is_v4()))
        causes.push_back(invalid_value(where, go_value(addresses[k]), "must be an IPv4 address"));
      if (type == "IPv6" && (!address || !address->is_v6()))
        causes.push_back(invalid_value(where, go_value(addresses[k]), "must be an IPv6 address"));
    }
  }
}

void endpoint_subset(const Json& value, const std::string& path, Causes& causes) {
  if (is_empty(at(value, "addresses")) && is_empty(at(value, "notReadyAddresses")))
    causes.push_back(required(path, "must specify `addresses` or `notReadyAddresses`"));
}

void workload(const Json& value, const std::string& path, Causes& causes) {
  const Json& spec = at(value, "spec");
  const std::string at_spec = join(path, "spec");
  const Json& selector = at(spec, "selector");
  const Json labels = at_path(spec, "template.metadata.labels");
  if (is_empty(selector) ||
      (is_empty(at(selector, "matchLabels")) && is_empty(at(selector, "matchExpressions"))))
    causes.push_back(invalid_value(
        join(at_spec, "selector"), dump(selector.is_null() ? Json::object() : selector),
        "empty selector is invalid for " +
            std::string(string_at(value, "kind") == "Deployment" ? "deployment" : "replica set")));
  else if (!matches_label_selector(selector, labels))
    causes.push_back(invalid_value(at_spec + ".template.metadata.labels",
                                   dump(labels.is_null() ? Json::object() : labels),
                                   "`selector` does not match template `labels`"));
  const std::string policy = string_at(spec, "template.spec.restartPolicy");
  if (!policy.empty() && policy != "Always")
    causes.push_back(
        unsupported_value(at_spec + ".template.spec.restartPolicy", go_value(policy), {"Always"}));
}

void strategy(const Json& value, const std::string& path, Causes& causes) {
  const Json& rolling = at(value, "rollingUpdate");
  if (string_at(value, "type") == "Recreate") {
    if (rolling.is_object())
      causes.push_back(forbidden_field(join(path, "rollingUpdate"),
                                       "may not be specified when strategy `type` is 'Recreate'"));
    return;
  }
  const auto zero = [](const Json& amount) { return amount == 0 || amount == "0%"; };
  if (zero(at(rolling, "maxUnavailable")) && zero(at(rolling, "maxSurge")))
    causes.push_back(invalid_value(join(path, "rollingUpdate.maxUnavailable"),
                                   go_value(at(rolling, "maxUnavailable")),
                                   "may not be 0 when `maxSurge` is 0"));
}

void config_map(const Json& value, const std::string& path, Causes& causes) {
  size_t size = 0;
  for (const char* side : {"data", "binaryData"})
    if (at(value, side).is_object())
      for (const auto& [key, text] : at(value, side).items())
        size += key.size() + text.get_ref<const std::string&>().size();
  if (size > 1024 * 1024)
    causes.push_back({"FieldValueTooLong", "Too long: may not be more than 1048576 bytes", path});
}

constexpr std::pair<std::string_view, ValidateRule> kRules[] = {
    {"LabelSelectorRequirement", selector_requirement},
    {"EnvVar", env_var},
    {"Probe", one_handler},
    {"LifecycleHandler", one_handler},
    {"Volume", volume},
    {"ResourceRequirements", resources},
    {"Container", container},
    {"PodSpec", pod_spec},
    {"ServiceSpec", service_spec},
    {"EndpointSlice", endpoint_slice},
    {"EndpointSubset", endpoint_subset},
    {"Deployment", workload},
    {"ReplicaSet", workload},
    {"DeploymentStrategy", strategy},
    {"ConfigMap", config_map},
    {"Secret", config_map},
};

}  // namespace

ValidateRule find_validate_rule(std::string_view type_name) {
  for (const auto& [name, rule] : kRules)
    if (name == type_name) return rule;
  return nullptr;
}

}  // namespace fairlead::orchestrator::apiserver::schema
