// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/openapi.h"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <mutex>
#include <set>

namespace fairlead::orchestrator::apiserver {
namespace {

using schema::Field;
using schema::Shape;
using schema::Type;

std::string sha256_hex(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += kHex[digest[i] >> 4];
    hex += kHex[digest[i] & 15];
  }
  return hex;
}

// Where Kubernetes' Go types live: clients know top-level kinds by x-kubernetes-group-version-kind.
std::string component_name(const std::string& type) {
  if (type == "ObjectMeta" || type == "LabelSelector" || type == "LabelSelectorRequirement" ||
      type == "OwnerReference")
    return "io.k8s.apimachinery.pkg.apis.meta.v1." + type;
  return type == "TemplateMeta" ? component_name("ObjectMeta") : "io.k8s.api." + type;
}

class Components {
 public:
  Json schema_of(const Type& type) {
    switch (type.shape) {
      case Shape::kString:
        return {{"type", "string"}};
      case Shape::kBool:
        return {{"type", "boolean"}};
      case Shape::kInt32:
        return {{"type", "integer"}, {"format", "int32"}};
      case Shape::kInt64:
        return {{"type", "integer"}, {"format", "int64"}};
      case Shape::kNumber:
        return {{"type", "number"}, {"format", "double"}};
      case Shape::kQuantity:
        return {{"oneOf", Json::array({{{"type", "string"}}, {{"type", "number"}}})}};
      case Shape::kIntOrString:
        return {{"oneOf", Json::array({{{"type", "integer"}}, {{"type", "string"}}})},
                {"format", "int-or-string"}};
      case Shape::kTime:
      case Shape::kMicroTime:
        return {{"type", "string"}, {"format", "date-time"}};
      case Shape::kBytes:
        return {{"type", "string"}, {"format", "byte"}};
      case Shape::kAny:
        return {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
      case Shape::kMap:
        return {{"type", "object"}, {"additionalProperties", schema_of(*type.element)}};
      case Shape::kList:
        return {{"type", "array"}, {"items", schema_of(*type.element)}};
      case Shape::kStruct:
        break;
    }
    add(type);
    return {
        {"allOf", Json::array({{{"$ref", "#/components/schemas/" + component_name(type.name)}}})},
        {"default", Json::object()}};
  }

  void add(const Type& type) {
    const std::string name = component_name(type.name);
    if (!seen_.insert(name).second) return;
    Json properties = Json::object(), needed = Json::array();
    for (const Field& field : type.fields) {
      properties[field.name] = property(field);
      if (field.required) needed.push_back(field.name);
    }
    Json component = {
        {"type", "object"}, {"description", type.name}, {"properties", std::move(properties)}};
    if (!needed.empty()) component["required"] = std::move(needed);
    schemas[name] = std::move(component);
  }

  Json schemas = Json::object();

 private:
  Json property(const Field& field) {
    Json json = schema_of(*field.type);
    json["description"] = field.name;
    if (field.fallback && !field.type->element) json["default"] = *field.fallback;
    if (!field.values.empty()) json["enum"] = field.values;
    if (field.type->shape != Shape::kList) {
      if (field.retain_keys) json["x-kubernetes-patch-strategy"] = "retainKeys";
      return json;
    }
    if (field.merge_key.empty()) {
      json["x-kubernetes-list-type"] = "atomic";
      return json;
    }
    json["x-kubernetes-patch-strategy"] = field.retain_keys ? "merge,retainKeys" : "merge";
    if (field.merge_key == ".") {
      json["x-kubernetes-list-type"] = "set";
    } else {
      json["x-kubernetes-patch-merge-key"] = field.merge_key;
      json["x-kubernetes-list-type"] = "map";
      json["x-kubernetes-list-map-keys"] = field.keys;
    }
    return json;
  }

  std::set<std::string> seen_;
};

Json gvk_of(const Kind& kind) {
  return {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
}

Json query_parameter(const char* name) {
  return {{"name", name}, {"in", "query"}, {"schema", {{"type", "string"}, {"uniqueItems", true}}}};
}

// kubectl looks here for what a write understands: dryRun, fieldManager, fieldValidation.
Json operation(const Kind& kind, const char* action) {
  const Json body = {{"$ref", "#/components/schemas/" + component_name(kind.type->name)}};
  Json parameters = Json::array({query_parameter("dryRun"), query_parameter("fieldManager"),
                                 query_parameter("fieldValidation")});
  if (std::string_view(action) == "patch") parameters.push_back(query_parameter("force"));
  return {
      {"parameters", std::move(parameters)},
      {"responses",
       {{"200", {{"description", "OK"}, {"content", {{"application/json", {{"schema", body}}}}}}}}},
      {"x-kubernetes-action", action},
      {"x-kubernetes-group-version-kind", gvk_of(kind)}};
}

Json reading(const Kind& kind, const char* action) {
  Json result = operation(kind, action);
  result["parameters"] = Json::array();
  return result;
}

Json make_document(const std::string& group, const std::string& version) {
  Components components;
  Json paths = Json::object();
  for (const Kind& kind : Kinds::builtin().all()) {
    if (kind.group != group || kind.version != version) continue;
    components.add(*kind.type);
    Json& component = components.schemas[component_name(kind.type->name)];
    component["x-kubernetes-group-version-kind"] = Json::array({gvk_of(kind)});
    std::string base = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
    if (kind.namespaced) base += "/namespaces/{namespace}";
    base += "/" + kind.plural;
    paths[base] = {{"get", reading(kind, "list")}, {"post", operation(kind, "post")}};
    paths[base + "/{name}"] = {{"get", reading(kind, "get")},
                               {"put", operation(kind, "put")},
                               {"patch", operation(kind, "patch")},
                               {"delete", operation(kind, "delete")}};
  }
  return {{"openapi", "3.0.0"},
          {"info", {{"title", "Kubernetes"}, {"version", "unversioned"}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", std::move(components.schemas)}}}};
}

std::string relative_path(const std::string& group, const std::string& version) {
  return group.empty() ? "api/" + version : "apis/" + group + "/" + version;
}

}  // namespace

std::optional<OpenApiDocument> openapi_v3(std::string_view path) {
  static std::mutex mutex;
  static std::map<std::string, OpenApiDocument, std::less<>> made;
  std::lock_guard lock(mutex);
  if (const auto it = made.find(path); it != made.end()) return it->second;
  Json index = Json::object();
  for (const auto& [group, version] : Kinds::builtin().group_versions()) {
    const std::string relative = relative_path(group, version);
    const std::string full = "/openapi/v3/" + relative;
    if (path != full && path != "/openapi/v3") continue;
    auto it = made.find(full);
    if (it == made.end()) {
      auto body = std::make_shared<const std::string>(dump(make_document(group, version)));
      it = made.emplace(full, OpenApiDocument{body, sha256_hex(*body)}).first;
    }
    if (path == full) return it->second;
    index["paths"][relative] = {{"serverRelativeURL", full + "?hash=" + it->second.hash}};
  }
  if (path != "/openapi/v3") return std::nullopt;
  OpenApiDocument document{std::make_shared<const std::string>(dump(index)), ""};
  return made.emplace(std::string(path), document).first->second;
}

// message Document { string swagger = 1; Info info = 2; } Info { string title = 1; string version =
// 2; } (gnostic openapi_v2.proto).
std::string openapi_v2_protobuf() {
  const auto field = [](char tag, const std::string& text) {
    return std::string{tag, static_cast<char>(text.size())} + text;
  };
  return field(0x0a, "2.0") + field(0x12, field(0x0a, "Kubernetes") + field(0x12, "unversioned"));
}

}  // namespace fairlead::orchestrator::apiserver
