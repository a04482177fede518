// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/kind.h"

#include <algorithm>

#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::vector<Kind> core_kinds() {
  std::vector<Kind> kinds;
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "ConfigMap",
                   .plural = "configmaps",
                   .singular = "configmap",
                   .short_names = {"cm"},
                   .categories = {},
                   .name_format = "dns1123subdomain",
                   .field_labels = {},
                   .columns = kConfigMapColumns,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back(
      {.group = "",
       .version = "v1",
       .kind = "Endpoints",
       .plural = "endpoints",
       .singular = "endpoints",
       .short_names = {"ep"},
       .categories = {},
       .created_by_update = true,
       .name_format = "dns1123subdomain",
       .field_labels = {},
       .columns = kEndpointsColumns,
       .deprecation = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
       .stored_group = {},
       .renames = {}});
  kinds.push_back(
      {.group = "",
       .version = "v1",
       .kind = "Event",
       .plural = "events",
       .singular = "event",
       .short_names = {"ev"},
       .categories = {},
       .created_by_update = true,
       .name_format = "dns1123subdomain",
       .field_labels = {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
                        "involvedObject.uid", "involvedObject.apiVersion",
                        "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
                        "reportingComponent", "source", "source.component", "type"},
       .columns = kEventColumns,
       .behaviour = Behaviour::kEvent,
       .stored_group = {},
       .renames = {}});
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "Namespace",
                   .plural = "namespaces",
                   .singular = "namespace",
                   .short_names = {"ns"},
                   .categories = {},
                   .namespaced = false,
                   .has_status = true,
                   .name_format = "dns1123label",
                   .field_labels = {"status.phase"},
                   .columns = kNamespaceColumns,
                   .behaviour = Behaviour::kNamespace,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "Node",
                   .plural = "nodes",
                   .singular = "node",
                   .short_names = {"no"},
                   .categories = {},
                   .namespaced = false,
                   .has_status = true,
                   .keeps_status_on_create = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {"spec.unschedulable"},
                   .columns = kNodeColumns,
                   .behaviour = Behaviour::kNode,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "Pod",
                   .plural = "pods",
                   .singular = "pod",
                   .short_names = {"po"},
                   .categories = {"all"},
                   .has_status = true,
                   .has_generation = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
                                    "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
                                    "status.podIP", "status.podIPs", "status.nominatedNodeName"},
                   .columns = kPodColumns,
                   .behaviour = Behaviour::kPod,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "Secret",
                   .plural = "secrets",
                   .singular = "secret",
                   .short_names = {},
                   .categories = {},
                   .name_format = "dns1123subdomain",
                   .field_labels = {"type"},
                   .columns = kSecretColumns,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "",
                   .version = "v1",
                   .kind = "Service",
                   .plural = "services",
                   .singular = "service",
                   .short_names = {"svc"},
                   .categories = {"all"},
                   .has_status = true,
                   .created_by_update = true,
                   .name_format = "dns1123label",
                   .field_labels = {"spec.clusterIP", "spec.type"},
                   .columns = kServiceColumns,
                   .behaviour = Behaviour::kService,
                   .stored_group = {},
                   .renames = {}});
  return kinds;
}

std::vector<Kind> group_kinds() {
  std::vector<Kind> kinds;
  kinds.push_back({.group = "apps",
                   .version = "v1",
                   .kind = "Deployment",
                   .plural = "deployments",
                   .singular = "deployment",
                   .short_names = {"deploy"},
                   .categories = {"all"},
                   .has_status = true,
                   .has_scale = true,
                   .has_generation = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {},
                   .columns = kDeploymentColumns,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "apps",
                   .version = "v1",
                   .kind = "ReplicaSet",
                   .plural = "replicasets",
                   .singular = "replicaset",
                   .short_names = {"rs"},
                   .categories = {"all"},
                   .has_status = true,
                   .has_scale = true,
                   .has_generation = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {},
                   .columns = kReplicaSetColumns,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "coordination.k8s.io",
                   .version = "v1",
                   .kind = "Lease",
                   .plural = "leases",
                   .singular = "lease",
                   .short_names = {},
                   .categories = {},
                   .created_by_update = true,
                   .updated_by_version_only = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {},
                   .columns = kLeaseColumns,
                   .stored_group = {},
                   .renames = {}});
  kinds.push_back({.group = "discovery.k8s.io",
                   .version = "v1",
                   .kind = "EndpointSlice",
                   .plural = "endpointslices",
                   .singular = "endpointslice",
                   .short_names = {},
                   .categories = {},
                   .has_generation = true,
                   .name_format = "dns1123subdomain",
                   .field_labels = {},
                   .columns = kEndpointSliceColumns,
                   .stored_group = {},
                   .renames = {}});
  return kinds;
}

// What a kubelet of Kubernetes needs to be a node here. (None of it is namespaced.)
std::vector<Kind> kubelet_kinds() {
  struct Row {
    const char *group, *kind, *plural, *singular;
    bool generation;
    std::span<const Column> columns;
  };
  const Row rows[] = {
      {"node.k8s.io", "RuntimeClass", "runtimeclasses", "runtimeclass", false,
       kRuntimeClassColumns},
      {"storage.k8s.io", "CSIDriver", "csidrivers", "csidriver", true, kCsiDriverColumns},
      {"storage.k8s.io", "CSINode", "csinodes", "csinode", false, kCsiNodeColumns},
  };
  std::vector<Kind> kinds;
  for (const Row& row : rows)
    kinds.push_back({.group = row.group,
                     .version = "v1",
                     .kind = row.kind,
                     .plural = row.plural,
                     .singular = row.singular,
                     .short_names = {},
                     .categories = {},
                     .namespaced = false,
                     .has_generation = row.generation,
                     .name_format = "dns1123subdomain",
                     .field_labels = {},
                     .columns = row.columns,
                     .stored_group = {},
                     .renames = {}});
  return kinds;
}

// The events of events.k8s.io are those of the core group under newer names.
Kind event_kind() {
  Kind kind = {.group = "events.k8s.io",
               .version = "v1",
               .kind = "Event",
               .plural = "events",
               .singular = "event",
               .short_names = {"ev"},
               .categories = {},
               .created_by_update = true,
               .name_format = "dns1123subdomain",
               .field_labels = {"reason", "reportingController", "regarding.kind",
                                "regarding.namespace", "regarding.name", "regarding.uid", "type"},
               .columns = kEventColumns,
               .behaviour = Behaviour::kEvent,
               .stored_group = "core",
               .renames = {{"involvedObject", "regarding"},
                           {"message", "note"},
                           {"reportingComponent", "reportingController"},
                           {"source", "deprecatedSource"},
                           {"firstTimestamp", "deprecatedFirstTimestamp"},
                           {"lastTimestamp", "deprecatedLastTimestamp"},
                           {"count", "deprecatedCount"}}};
  return kind;
}

std::vector<Kind> make_builtin() {
  std::vector<Kind> kinds = core_kinds();
  for (Kind& kind : group_kinds()) kinds.push_back(std::move(kind));
  kinds.push_back(event_kind());
  for (Kind& kind : kubelet_kinds()) kinds.push_back(std::move(kind));
  const schema::Types& types = schema::Types::builtin();
  for (Kind& kind : kinds) {
    kind.type = types.find(kind.kind);
    kind.served_type = kind.renames.empty() ? kind.type : types.find("EventsEvent");
  }
  return kinds;
}

void rename_members(Json& object, const std::string& from, const std::string& to) {
  const auto it = object.find(from);
  if (it == object.end()) return;
  Json value = std::move(*it);
  object.erase(it);
  object[to] = std::move(value);
}

}  // namespace

bool Kind::supports_field(std::string_view path) const {
  return path == "metadata.name" || (path == "metadata.namespace" && namespaced) ||
         std::find(field_labels.begin(), field_labels.end(), path) != field_labels.end();
}

std::string Kind::prefix() const {
  const std::string& stored = stored_group.empty() ? group : stored_group;
  return (stored.empty() ? "core" : stored) + "/" + plural + "/";
}

std::string Kind::prefix(std::string_view ns) const {
  return ns.empty() || !namespaced ? prefix() : prefix() + std::string(ns) + "/";
}

std::string Kind::key(std::string_view ns, std::string_view name) const {
  return prefix(ns) + std::string(name);
}

const Kinds& Kinds::builtin() {
  static const Kinds kKinds = [] {
    Kinds kinds;
    kinds.kinds_ = make_builtin();
    return kinds;
  }();
  return kKinds;
}

const Kind* Kinds::find(const Resource& resource) const {
  for (const Kind& kind : kinds_)
    if (kind.group == resource.group && kind.plural == resource.plural) return &kind;
  return nullptr;
}

const Kind* Kinds::find(std::string_view group, std::string_view version,
                        std::string_view plural) const {
  for (const Kind& kind : kinds_)
    if (kind.group == group && kind.version == version && kind.plural == plural) return &kind;
  return nullptr;
}

const Kind* Kinds::of_key(std::string_view store_key) const {
  for (const Kind& kind : kinds_)
    if (kind.stored_group.empty() && store_key.starts_with(kind.prefix())) return &kind;
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> Kinds::group_versions() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (const Kind& kind : kinds_) {
    const std::pair gv(kind.group, kind.version);
    if (std::find(result.begin(), result.end(), gv) == result.end()) result.push_back(gv);
  }
  return result;
}

kube::ObjectKey object_key_of(std::string_view store_key) {
  for (int slashes = 0; slashes < 2; ++slashes) store_key.remove_prefix(store_key.find('/') + 1);
  const size_t slash = store_key.find('/');
  if (slash == store_key.npos) return {"", std::string(store_key)};
  return {std::string(store_key.substr(0, slash)), std::string(store_key.substr(slash + 1))};
}

Json to_served(const Kind& kind, Json stored) {
  if (kind.renames.empty()) return stored;
  for (const auto& [from, to] : kind.renames) rename_members(stored, from, to);
  stored["apiVersion"] = kind.api_version();
  return stored;
}

Json to_stored(const Kind& kind, Json served) {
  if (kind.renames.empty() || !served.is_object()) return served;
  for (const auto& [to, from] : kind.renames) rename_members(served, from, to);
  served["apiVersion"] = "v1";
  return served;
}

}  // namespace fairlead::orchestrator::apiserver
