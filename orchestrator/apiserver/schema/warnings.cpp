// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/warnings.h"

#include <map>
#include <set>
#include <span>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/service_spec.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

using Warnings = std::vector<std::string>;

struct Deprecated {
  std::string_view name;
  const char* text;
};
constexpr Deprecated kNodeLabels[] = {
    {"beta.kubernetes.io/arch", R"(deprecated since v1.14; use "kubernetes.io/arch" instead)"},
    {"beta.kubernetes.io/os", R"(deprecated since v1.14; use "kubernetes.io/os" instead)"},
    {"failure-domain.beta.kubernetes.io/region",
     R"(deprecated since v1.17; use "topology.kubernetes.io/region" instead)"},
    {"failure-domain.beta.kubernetes.io/zone",
     R"(deprecated since v1.17; use "topology.kubernetes.io/zone" instead)"},
    {"beta.kubernetes.io/instance-type",
     R"(deprecated since v1.17; use "node.kubernetes.io/instance-type" instead)"},
};
constexpr Deprecated kVolumes[] = {
    {"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
    {"gitRepo", "deprecated in v1.11"},
    {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
    {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
    {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
    {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
    {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
    {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
    {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
};
constexpr const char* kContainers[] = {"initContainers", "containers", "ephemeralContainers"};

const Deprecated* find_deprecated(std::span<const Deprecated> table, std::string_view name) {
  for (const Deprecated& one : table)
    if (one.name == name) return &one;
  return nullptr;
}

void warn_of_node_labels(const Json& spec, const std::string& path, Warnings& warnings) {
  const Json& selector = at(spec, "nodeSelector");
  if (selector.is_object())
    for (const auto& [key, value] : selector.items())
      if (const Deprecated* label = find_deprecated(kNodeLabels, key))
        warnings.push_back(join(path, "nodeSelector") + "[" + key + "]: " + label->text);
  const Json& spreads = at(spec, "topologySpreadConstraints");
  for (size_t i = 0; i < spreads.size(); ++i) {
    const std::string where = indexed(join(path, "topologySpreadConstraints"), i);
    const std::string key = string_at(spreads[i], "topologyKey");
    if (const Deprecated* label = find_deprecated(kNodeLabels, key))
      warnings.push_back(join(where, "topologyKey") + ": " + key + " is " + label->text);
    if (at(spreads[i], "labelSelector").is_null())
      warnings.push_back(join(where, "labelSelector") +
                         ": a null labelSelector results in matching no pod");
  }
}

void warn_of_volumes(const Json& spec, const std::string& path, Warnings& warnings) {
  const Json& volumes = at(spec, "volumes");
  for (size_t i = 0; i < volumes.size(); ++i)
    for (const Deprecated& source : kVolumes)
      if (volumes[i].contains(source.name))
        warnings.push_back(join(indexed(join(path, "volumes"), i), source.name) + ": " +
                           source.text);
}

// Items of a list by a member that should tell them apart.
void warn_of_twins(const Json& spec, const char* list, const char* member, const std::string& path,
                   Warnings& warnings) {
  const Json& items = at(spec, list);
  std::set<std::string> seen;
  for (size_t i = 0; i < items.size(); ++i)
    if (const std::string value = string_at(items[i], member); !seen.insert(value).second)
      warnings.push_back(join(indexed(join(path, list), i), member) + ": duplicate " + member +
                         " " + go_value(value));
}

void warn_of_fractions(const Json& container, const std::string& path, Warnings& warnings) {
  for (const char* side : {"limits", "requests"})
    for (const char* name : {"memory", "ephemeral-storage"}) {
      const Json& amount = at(at(at(container, "resources"), side), name);
      if (!amount.is_string()) continue;
      const auto quantity = Quantity::parse(amount.get<std::string>());
      if (quantity && quantity->milli() % 1000 != 0)
        warnings.push_back(join(join(path, "resources"), side) + "[" + name +
                           "]: fractional byte value " + go_value(amount) +
                           " is invalid, must be an integer");
    }
}

// A variable may build on an earlier one of its name, not replace it.
void warn_of_variables(const Json& container, const std::string& path, Warnings& warnings) {
  const Json& env = at(container, "env");
  std::set<std::string> seen;
  for (size_t i = 0; i < env.size(); ++i) {
    const std::string name = string_at(env[i], "name");
    if (seen.insert(name).second) continue;
    const std::string reference = "$(" + name + ")", value = string_at(env[i], "value");
    if (env[i].contains("valueFrom") || value == reference || value.find(reference) == value.npos)
      warnings.push_back(indexed(join(path, "env"), i) + ": hides previous definition of " +
                         go_value(name) + ", which may be dropped when using apply");
  }
}

struct SeenPort {
  std::string where, ip;
  int64_t host = 0;
};

const char* overlap(const SeenPort& a, const SeenPort& b) {
  if (a.ip == b.ip && a.host == b.host) return ": duplicate port definition with ";
  if (a.host == 0 || b.host == 0) return ": overlapping port definition with ";
  if (a.host == b.host && a.ip.empty() != b.ip.empty())
    return ": dangerously ambiguous port definition with ";
  return nullptr;
}

void warn_of_ports(const Json& container, const std::string& path,
                   std::map<std::string, std::vector<SeenPort>>& seen, Warnings& warnings) {
  const Json& ports = at(container, "ports");
  for (size_t i = 0; i < ports.size(); ++i) {
    const SeenPort port{indexed(join(path, "ports"), i), string_at(ports[i], "hostIP"),
                        int_at(ports[i], "hostPort")};
    auto& others = seen[std::to_string(int_at(ports[i], "containerPort")) + "/" +
                        string_at(ports[i], "protocol")];
    for (const SeenPort& other : others)
      if (const char* how = overlap(port, other))
        warnings.push_back(port.where + how + other.where);
    others.push_back(port);
  }
}

void warn_of_pod(const Json& spec, const std::string& path, Warnings& warnings) {
  warn_of_node_labels(spec, path, warnings);
  warn_of_volumes(spec, path, warnings);
  warn_of_twins(spec, "hostAliases", "ip", path, warnings);
  warn_of_twins(spec, "imagePullSecrets", "name", path, warnings);
  for (const char* list : kContainers)
    for (size_t i = 0; i < at(spec, list).size(); ++i) {
      warn_of_fractions(spec[list][i], indexed(join(path, list), i), warnings);
      warn_of_variables(spec[list][i], indexed(join(path, list), i), warnings);
    }
  std::map<std::string, std::vector<SeenPort>> ports;
  for (const char* list : kContainers)
    for (size_t i = 0; i < at(spec, list).size(); ++i)
      warn_of_ports(spec[list][i], indexed(join(path, list), i), ports, warnings);
}

void warn_of_service(const Json& spec, Warnings& warnings) {
  const auto given = [&](const char* name) { return !is_empty(at(spec, name)); };
  const bool name = string_at(spec, "type") == "ExternalName";
  if (is_headless(spec)) {
    for (const char* field : {"loadBalancerIP", "externalIPs"})
      if (given(field))
        warnings.push_back(std::string("spec.") + field + " is ignored for headless services");
    if (string_at(spec, "sessionAffinity") != "None")
      warnings.push_back("spec.SessionAffinity is ignored for headless services");
  } else if (given("externalIPs") && !name) {
    warnings.push_back(
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters");
  }
  if (name && given("externalIPs"))
    warnings.push_back(R"(spec.externalIPs is ignored when spec.type is "ExternalName")");
  if (!name && given("externalName"))
    warnings.push_back(R"(spec.externalName is ignored when spec.type is not "ExternalName")");
  if (string_at(spec, "trafficDistribution") == "PreferClose")
    warnings.push_back(
        R"(spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone")");
}

}  // namespace

std::vector<std::string> warnings_of(std::string_view kind, const Json& object) {
  Warnings warnings;
  const Json& spec = at(object, "spec");
  if (kind == "Pod") {
    if (auto wrong = check_dns1123_label(string_at(object, "metadata.name")))
      warnings.push_back(
          "metadata.name: this is used in the Pod's hostname, which can result in surprising "
          "behavior; a DNS label is recommended: [" +
          *wrong + "]");
    warn_of_pod(spec, "spec", warnings);
  }
  if (kind == "Deployment" || kind == "ReplicaSet") {
    if (auto wrong = check_dns1123_label(string_at(object, "metadata.name")))
      warnings.push_back(
          "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
          "behavior; a DNS label is recommended: [" +
          *wrong + "]");
    warn_of_pod(at_path(spec, "template.spec"), "spec.template.spec", warnings);
    if (int_at(spec, "template.spec.terminationGracePeriodSeconds") < 0)
      warnings.push_back(
          "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are "
          "invalid and will be treated as 1");
  }
  if (kind == "EndpointSlice" && string_at(object, "addressType") == "FQDN")
    warnings.push_back("spec.addressType: FQDN endpoints are deprecated");
  if (kind == "Service") warn_of_service(spec, warnings);
  return warnings;
}

}  // namespace fairlead::orchestrator::apiserver::schema
