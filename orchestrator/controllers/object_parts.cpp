// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/object_parts.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/rfc3339.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

uint64_t fnv1a(std::string_view bytes, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

Result<Json> parse_object(const Bytes& bytes) {
  if (!bytes) return Error(ErrorCode::kInternal, "decode object: no bytes");
  Json document = Json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object())
    return Error(ErrorCode::kInvalid, "decode object: the document is no JSON object");
  return document;
}

Labels labels(const Json& object, const char* name) {
  Labels result;
  const Json& map = json::member(object, name);
  if (!map.is_object()) return result;
  for (const auto& [key, value] : map.items())
    if (value.is_string() && key != kLastApplied) result.emplace(key, value.get<std::string>());
  return result;
}

WallTime timestamp(const Json& object, const char* name) {
  return parse_rfc3339(json::text(object, name)).value_or(WallTime{});
}

Result<Meta> read_meta(const Json& object) {
  const Json& json = json::member(object, "metadata");
  Meta meta;
  meta.name = json::text(json, "name");
  if (meta.name.empty())
    return Error(ErrorCode::kInvalid, "decode object: metadata.name is missing");
  meta.ns = json::text(json, "namespace");
  meta.uid = json::text(json, "uid");
  const std::string& revision = json::text(json, "resourceVersion");
  std::from_chars(revision.data(), revision.data() + revision.size(), meta.revision);
  meta.generation = json::number_or(json, "generation", 0);
  meta.labels = labels(json, "labels");
  meta.annotations = labels(json, "annotations");
  meta.finalizers = json::texts(json, "finalizers");
  meta.created = timestamp(json, "creationTimestamp");
  meta.deleting = json::member(json, "deletionTimestamp").is_string();
  for (const Json& owner : json::items(json, "ownerReferences"))
    meta.owners.push_back({json::text(owner, "apiVersion"), json::text(owner, "kind"),
                           json::text(owner, "name"), json::text(owner, "uid"),
                           json::flag(owner, "controller"),
                           json::flag(owner, "blockOwnerDeletion")});
  return meta;
}

std::vector<Requirement> read_requirements(const Json& object, const char* name) {
  std::vector<Requirement> result;
  for (const Json& item : json::items(object, name))
    result.push_back({json::text(item, "key"), parse_selector_op(json::text(item, "operator")),
                      json::texts(item, "values")});
  return result;
}

LabelSelector read_selector(const Json& selector) {
  return {labels(selector, "matchLabels"), read_requirements(selector, "matchExpressions")};
}

std::vector<Condition> read_conditions(const Json& status) {
  std::vector<Condition> result;
  for (const Json& item : json::items(status, "conditions"))
    result.push_back({json::text(item, "type"), json::text(item, "status"),
                      json::text(item, "reason"), json::text(item, "message"),
                      timestamp(item, "lastUpdateTime"), timestamp(item, "lastTransitionTime")});
  return result;
}

std::vector<Taint> read_taints(const Json& node_spec) {
  std::vector<Taint> result;
  for (const Json& item : json::items(node_spec, "taints"))
    result.push_back({json::text(item, "key"), json::text(item, "value"),
                      json::text(item, "effect"), timestamp(item, "timeAdded")});
  return result;
}

std::vector<Toleration> read_tolerations(const Json& pod_spec) {
  std::vector<Toleration> result;
  for (const Json& item : json::items(pod_spec, "tolerations")) {
    Toleration toleration{json::text(item, "key"), json::text(item, "operator"),
                          json::text(item, "value"), json::text(item, "effect"), std::nullopt};
    if (json::member(item, "tolerationSeconds").is_number_integer())
      toleration.seconds = json::number_or(item, "tolerationSeconds", 0);
    result.push_back(std::move(toleration));
  }
  return result;
}

std::string template_print(const Json& pod_template) {
  Json canonical = pod_template;  // object keys are sorted
  if (canonical.is_object() && canonical.contains("metadata")) {
    Json& meta = canonical["metadata"];
    if (meta.is_object()) {
      meta.erase("creationTimestamp");
      if (meta.contains("labels") && meta["labels"].is_object())
        meta["labels"].erase("pod-template-hash");
      if (meta.contains("labels") && meta["labels"].empty()) meta.erase("labels");
    }
    if (meta.empty()) canonical.erase("metadata");
  }
  return fingerprint(canonical);
}

std::string fingerprint(const Json& json) {
  const std::string bytes = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return fmt::format("{:016x}{:016x}", fnv1a(bytes, 0), fnv1a(bytes, 0x9e3779b97f4a7c15ULL));
}

}  // namespace fairlead::orchestrator::controllers
