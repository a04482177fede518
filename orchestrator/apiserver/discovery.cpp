// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/discovery.h"

#include <algorithm>
#include <vector>

#include "orchestrator/apiserver/kind.h"

namespace fairlead::orchestrator::apiserver {
namespace {

struct Subresource {
  std::string name;
  std::string group, version, kind;  // of what goes over the wire; kind "" is the resource's own
  std::vector<std::string> verbs;
};

std::vector<std::string> verbs_of(const Kind& kind) {
  std::vector<std::string> verbs = {"create", "delete", "deletecollection", "get",
                                    "list",   "patch",  "update",           "watch"};
  if (kind.behaviour == Behaviour::kNamespace) std::erase(verbs, "deletecollection");
  return verbs;
}

std::vector<Subresource> subresources_of(const Kind& kind) {
  std::vector<Subresource> result;
  const std::vector<std::string> usual = {"get", "patch", "update"};
  if (kind.behaviour == Behaviour::kPod) {
    result.push_back({"binding", "", "v1", "Binding", {"create"}});
    result.push_back({"eviction", "policy", "v1", "Eviction", {"create"}});
    result.push_back({"log", "", "v1", "Pod", {"get"}});
  }
  if (kind.behaviour == Behaviour::kNamespace)
    result.push_back({"finalize", "", "v1", "Namespace", {"update"}});
  if (kind.has_scale) result.push_back({"scale", "autoscaling", "v1", "Scale", usual});
  if (kind.has_status) result.push_back({"status", kind.group, kind.version, kind.kind, usual});
  return result;
}

Json resource_list(const std::string& group, const std::string& version) {
  Json resources = Json::array();
  for (const Kind& kind : Kinds::builtin().all()) {
    if (kind.group != group || kind.version != version) continue;
    Json entry = {{"name", kind.plural},
                  {"singularName", kind.singular},
                  {"namespaced", kind.namespaced},
                  {"kind", kind.kind},
                  {"verbs", verbs_of(kind)}};
    if (!kind.short_names.empty()) entry["shortNames"] = kind.short_names;
    if (!kind.categories.empty()) entry["categories"] = kind.categories;
    resources.push_back(std::move(entry));
    for (const Subresource& sub : subresources_of(kind)) {
      Json one = {{"name", kind.plural + "/" + sub.name},
                  {"singularName", ""},
                  {"namespaced", kind.namespaced},
                  {"kind", sub.kind},
                  {"verbs", sub.verbs}};
      if (sub.group != group) {
        one["group"] = sub.group;
        one["version"] = sub.version;
      }
      resources.push_back(std::move(one));
    }
  }
  const std::string gv = group.empty() ? version : group + "/" + version;
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion", gv},
          {"resources", resources}};
}

Json group_entry(const std::string& group, const std::string& version) {
  const Json gv = {{"groupVersion", group + "/" + version}, {"version", version}};
  return {{"name", group}, {"versions", Json::array({gv})}, {"preferredVersion", gv}};
}

Json aggregated_resource(const Kind& kind) {
  Json entry = {
      {"resource", kind.plural},
      {"responseKind", {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}}},
      {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
      {"singularResource", kind.singular},
      {"verbs", verbs_of(kind)}};
  if (!kind.short_names.empty()) entry["shortNames"] = kind.short_names;
  if (!kind.categories.empty()) entry["categories"] = kind.categories;
  for (const Subresource& sub : subresources_of(kind))
    entry["subresources"].push_back(
        {{"subresource", sub.name},
         {"responseKind", {{"group", sub.group}, {"version", sub.version}, {"kind", sub.kind}}},
         {"verbs", sub.verbs}});
  return entry;
}

// What there is to ask for, as a browser or a curl begins.
Json path_index() {
  Json paths = {"/api",        "/apis",       "/healthz", "/livez",
                "/openapi/v2", "/openapi/v3", "/readyz",  "/version"};
  for (const auto& [group, version] : Kinds::builtin().group_versions()) {
    if (group.empty()) {
      paths.push_back("/api/" + version);
    } else {
      paths.push_back("/apis/" + group);
      paths.push_back("/apis/" + group + "/" + version);
    }
  }
  std::sort(paths.begin(), paths.end());
  return {{"paths", paths}};
}

}  // namespace

Json version_info() {
  return {{"major", "1"},        {"minor", "36"},           {"gitVersion", kGitVersion},
          {"gitCommit", ""},     {"gitTreeState", "clean"}, {"buildDate", "1970-01-01T00:00:00Z"},
          {"goVersion", "none"}, {"compiler", "g++"},       {"platform", "linux/amd64"}};
}

std::optional<Json> legacy_discovery(std::string_view path, const std::string& server_address) {
  if (path == "/") return path_index();
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path == "/api")
    return Json(
        {{"kind", "APIVersions"},
         {"versions", {"v1"}},
         {"serverAddressByClientCIDRs",
          Json::array({{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}}})}});
  Json groups = Json::array();
  for (const auto& [group, version] : Kinds::builtin().group_versions()) {
    const std::string at_path =
        group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
    if (path == at_path) return resource_list(group, version);
    if (group.empty()) continue;
    if (path == "/apis/" + group) {
      Json entry = group_entry(group, version);
      entry["kind"] = "APIGroup";
      entry["apiVersion"] = "v1";
      return entry;
    }
    groups.push_back(group_entry(group, version));
  }
  if (path != "/apis") return std::nullopt;
  return Json({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}});
}

Json aggregated_discovery(std::string_view path, const std::string& version) {
  Json items = Json::array();
  for (const auto& [group, group_version] : Kinds::builtin().group_versions()) {
    if (group.empty() != (path == "/api")) continue;
    Json resources = Json::array();
    for (const Kind& kind : Kinds::builtin().all())
      if (kind.group == group && kind.version == group_version)
        resources.push_back(aggregated_resource(kind));
    Json metadata = {{"creationTimestamp", nullptr}};
    if (!group.empty()) metadata["name"] = group;
    items.push_back({{"metadata", metadata},
                     {"versions", Json::array({{{"version", group_version},
                                                {"resources", resources},
                                                {"freshness", "Current"}}})}});
  }
  return {{"kind", "APIGroupDiscoveryList"},
          {"apiVersion", "apidiscovery.k8s.io/" + version},
          {"metadata", Json::object()},
          {"items", items}};
}

}  // namespace fairlead::orchestrator::apiserver
