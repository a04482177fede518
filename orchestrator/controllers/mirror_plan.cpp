// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/mirror_plan.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "orchestrator/controllers/endpointslice_plan.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Json = nlohmann::json;

struct Address {
  Json endpoint;
  std::set<Json> ports;
};
// By IP and the uid of what it is of: those of one host's pods may be alike.
using Addresses = std::map<std::pair<IpAddress, std::string>, Address>;

Json port_of(const Json& given) {
  Json port = {{"name", json::text(given, "name")},
               {"protocol", json::text(given, "protocol", "TCP")},
               {"port", json::number_or(given, "port", 0)}};
  if (const Json& protocol = json::member(given, "appProtocol"); !protocol.is_null())
    port["appProtocol"] = protocol;
  return port;
}

void add(const Json& list, bool ready, const std::set<Json>& ports, Addresses& addresses) {
  for (const Json& given : list) {
    const auto ip = IpAddress::parse(json::text(given, "ip"));
    if (!ip) continue;
    Address& address = addresses[{*ip, json::text(json::member(given, "targetRef"), "uid")}];
    address.ports.insert(ports.begin(), ports.end());
    address.endpoint["addresses"] = Json::array({ip->to_string()});
    address.endpoint["conditions"]["ready"] = ready;
    for (const char* name : {"hostname", "nodeName", "targetRef"})
      if (const Json& value = json::member(given, name); !value.is_null())
        address.endpoint[name] = value;
  }
}

Addresses read_subsets(const Json& document) {
  Addresses addresses;
  for (const Json& subset : json::items(document, "subsets")) {
    std::set<Json> ports;
    for (const Json& port : json::items(subset, "ports")) ports.insert(port_of(port));
    add(json::items(subset, "addresses"), true, ports, addresses);
    add(json::items(subset, "notReadyAddresses"), false, ports, addresses);
  }
  return addresses;
}

Json metadata_of(const Json& document) {
  const Json& meta = json::member(document, "metadata");
  Json labels = json::text_map(meta, "labels");
  labels[kServiceNameLabel] = json::text(meta, "name");
  labels[kManagedByLabel] = kManagedByMirror;
  Json annotations = json::text_map(meta, "annotations");
  annotations.erase(kTriggerTimeAnnotation);
  annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  return {{"labels", std::move(labels)}, {"annotations", std::move(annotations)}};
}

// What a merge patch says to make one map of texts another.
Json map_patch(const Json& now, const Json& wanted) {
  Json patch = Json::object();
  for (const auto& [name, value] : wanted.items())
    if (json::member(now, name.c_str()) != value) patch[name] = value;
  if (now.is_object())
    for (const auto& [name, value] : now.items())
      if (!wanted.contains(name)) patch[name] = nullptr;
  return patch;
}

}  // namespace

bool is_mirrored(const Endpoints& endpoints) {
  const auto skip = endpoints.meta.labels.find(kSkipMirrorLabel);
  return !endpoints.meta.deleting &&
         (skip == endpoints.meta.labels.end() || skip->second != "true") &&
         !endpoints.meta.annotations.contains(kLeaderAnnotation);
}

std::vector<Json> mirrored_slices(const Json& document) {
  std::map<std::pair<std::string, std::set<Json>>, Json> groups;
  for (auto& [key, address] : read_subsets(document)) {
    const char* family = key.first.is_v4() ? "IPv4" : "IPv6";
    Json& list = groups[{family, address.ports}];
    if (list.size() < kMaxMirroredAddresses) list.push_back(std::move(address.endpoint));
  }
  std::vector<Json> slices;
  for (auto& [key, list] : groups)
    slices.push_back({{"metadata", metadata_of(document)},
                      {"addressType", key.first},
                      {"ports", Json(key.second)},
                      {"endpoints", std::move(list)}});
  return slices;
}

Json mirror_patch(const Json& slice, const Json& wanted) {
  Json patch = Json::object();
  for (const char* list : {"ports", "endpoints"})
    if (json::items(slice, list) != wanted.at(list)) patch[list] = wanted.at(list);
  const Json& now = json::member(slice, "metadata");
  for (const char* name : {"labels", "annotations"})
    if (Json changes = map_patch(json::member(now, name), wanted.at("metadata").at(name));
        !changes.empty())
      patch["metadata"][name] = std::move(changes);
  return patch.empty() ? Json() : patch;
}

}  // namespace fairlead::orchestrator::controllers
