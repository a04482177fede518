// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "orchestrator/apiserver/selector.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::string or_text(std::string text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

size_t members(const Json& json) {
  return json.is_object() ? json.size() : 0;
}

// --- Namespace, ConfigMap, Secret, Lease

Json phase_cell(const Json& object, WallTime) {
  return string_at(object, "status.phase");
}
Json data_cell(const Json& object, WallTime) {
  return static_cast<int64_t>(members(at(object, "data")) + members(at(object, "binaryData")));
}
Json type_cell(const Json& object, WallTime) {
  return string_at(object, "type");
}
Json holder_cell(const Json& object, WallTime) {
  return string_at(object, "spec.holderIdentity");
}

constexpr Column kNamespace[] = {
    kNameColumn,
    {"Status", "string", "", 0, "The status of the namespace", phase_cell},
    kAgeColumn,
};
constexpr Column kConfigMap[] = {
    kNameColumn, {"Data", "string", "", 0, "Number of keys in the map.", data_cell}, kAgeColumn};
constexpr Column kSecret[] = {
    kNameColumn,
    {"Type", "string", "", 0, "Used to facilitate programmatic handling of secret data.",
     type_cell},
    {"Data", "string", "", 0, "Number of keys in the secret.", data_cell},
    kAgeColumn,
};
constexpr Column kLease[] = {
    kNameColumn, {"Holder", "string", "", 0, "Who holds the lease.", holder_cell}, kAgeColumn};

// --- Node

Json node_status_cell(const Json& node, WallTime) {
  std::vector<std::string> parts;
  const Json& conditions = at_path(node, "status.conditions");
  if (conditions.is_array())
    for (const Json& one : conditions)
      if (string_at(one, "type") == "Ready")
        parts.push_back(string_at(one, "status") == "True" ? "Ready" : "NotReady");
  if (parts.empty()) parts.push_back("Unknown");
  if (bool_at(node, "spec.unschedulable")) parts.push_back("SchedulingDisabled");
  return comma_joined(parts);
}

Json node_roles_cell(const Json& node, WallTime) {
  std::vector<std::string> roles;
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  const Json& labels = at_path(node, "metadata.labels");
  if (labels.is_object())
    for (const auto& [key, value] : labels.items()) {
      if (key.starts_with(kPrefix) && key.size() > kPrefix.size())
        roles.push_back(key.substr(kPrefix.size()));
      else if (key == "kubernetes.io/role" && value != "")
        roles.push_back(value.get<std::string>());
    }
  std::sort(roles.begin(), roles.end());
  return or_text(comma_joined(roles), "<none>");
}

std::string node_address(const Json& node, std::string_view type) {
  const Json& addresses = at_path(node, "status.addresses");
  if (addresses.is_array())
    for (const Json& one : addresses)
      if (string_at(one, "type") == type) return string_at(one, "address");
  return "<none>";
}

Json node_version_cell(const Json& node, WallTime) {
  return string_at(node, "status.nodeInfo.kubeletVersion");
}
Json internal_ip_cell(const Json& node, WallTime) {
  return node_address(node, "InternalIP");
}
Json node_external_ip_cell(const Json& node, WallTime) {
  return node_address(node, "ExternalIP");
}
Json os_image_cell(const Json& node, WallTime) {
  return or_text(string_at(node, "status.nodeInfo.osImage"), "<unknown>");
}
Json kernel_cell(const Json& node, WallTime) {
  return or_text(string_at(node, "status.nodeInfo.kernelVersion"), "<unknown>");
}
Json runtime_cell(const Json& node, WallTime) {
  return or_text(string_at(node, "status.nodeInfo.containerRuntimeVersion"), "<unknown>");
}

constexpr Column kNode[] = {
    kNameColumn,
    {"Status", "string", "", 0, "The status of the node", node_status_cell},
    {"Roles", "string", "", 0, "The roles of the node", node_roles_cell},
    kAgeColumn,
    {"Version", "string", "", 0, "Version reported by the node.", node_version_cell},
    {"Internal-IP", "string", "", 1, "Address reachable inside the cluster.", internal_ip_cell},
    {"External-IP", "string", "", 1, "Address reachable from outside.", node_external_ip_cell},
    {"OS-Image", "string", "", 1, "OS image reported by the node.", os_image_cell},
    {"Kernel-Version", "string", "", 1, "Kernel version reported by the node.", kernel_cell},
    {"Container-Runtime", "string", "", 1, "Container runtime reported by the node.", runtime_cell},
};

// --- Event

// An event seen often has its count in the series or, from older writers, beside the times.
Json last_seen_cell(const Json& event, WallTime now) {
  for (const char* path : {"series.lastObservedTime", "lastTimestamp", "eventTime"}) {
    const Json& value = at_path(event, path);
    if (value.is_string()) return age_of(value, now);
  }
  return "<unknown>";
}
Json first_seen_cell(const Json& event, WallTime now) {
  const Json& first = at(event, "firstTimestamp");
  return age_of(first.is_string() ? first : at(event, "eventTime"), now);
}
Json reason_cell(const Json& event, WallTime) {
  return string_at(event, "reason");
}
Json event_object_cell(const Json& event, WallTime) {
  std::string kind = string_at(event, "involvedObject.kind");
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  const std::string name = string_at(event, "involvedObject.name");
  return name.empty() ? kind : kind + "/" + name;
}
Json subobject_cell(const Json& event, WallTime) {
  return string_at(event, "involvedObject.fieldPath");
}
Json source_cell(const Json& event, WallTime) {
  std::string component = string_at(event, "source.component");
  const std::string host = string_at(event, "source.host");
  if (component.empty()) component = string_at(event, "reportingComponent");
  return host.empty() ? component : component + ", " + host;
}
Json message_cell(const Json& event, WallTime) {
  std::string text = string_at(event, "message");
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}
Json count_cell(const Json& event, WallTime) {
  return std::max<int64_t>(1, int_at(event, "series.count", int_at(event, "count")));
}

constexpr Column kEvent[] = {
    {"Last Seen", "string", "", 0, "When the event was seen last.", last_seen_cell},
    {"Type", "string", "", 0, "Normal or Warning.", type_cell},
    {"Reason", "string", "", 0, "Why it happened.", reason_cell},
    {"Object", "string", "", 0, "What it is about.", event_object_cell},
    {"Subobject", "string", "", 1, "Which part of it.", subobject_cell},
    {"Source", "string", "", 1, "Who reported it.", source_cell},
    {"Message", "string", "", 0, "What happened.", message_cell},
    {"First Seen", "string", "", 1, "When the event was seen first.", first_seen_cell},
    {"Count", "string", "", 1, "How often it was seen.", count_cell},
    {"Name", "string", "name", 1, kNameColumn.description, name_cell},
};

}  // namespace

const std::span<const Column> kNamespaceColumns = kNamespace;
const std::span<const Column> kConfigMapColumns = kConfigMap;
const std::span<const Column> kSecretColumns = kSecret;
const std::span<const Column> kLeaseColumns = kLease;
const std::span<const Column> kNodeColumns = kNode;
const std::span<const Column> kEventColumns = kEvent;

}  // namespace fairlead::orchestrator::apiserver
