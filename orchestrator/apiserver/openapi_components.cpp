// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/openapi_components.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using schema::Field;
using schema::Shape;
using schema::Type;

// TemplateMeta is ObjectMeta with other defaults: to clients they are one.
std::string component_name(const std::string& type) {
  if (type == "TemplateMeta") return component_name("ObjectMeta");
  if (type == "ObjectMeta" || type == "LabelSelector" || type == "LabelSelectorRequirement" ||
      type == "OwnerReference" || type == "ManagedFieldsEntry")
    return "io.k8s.apimachinery.pkg.apis.meta.v1." + type;
  return "io.k8s.api." + type;
}

std::string component_name(const Kind& kind) {
  if (kind.renames.empty()) return component_name(kind.type->name);
  return "io.k8s.api." + kind.group.substr(0, kind.group.find('.')) + "." + kind.kind;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + (word.empty() ? "\"\"" : word);
  return text;
}

// What the schema knows of a field, as `kubectl explain` shows it.
std::string describe(const Field& field) {
  std::string text;
  const auto say = [&text](const std::string& sentence) {
    text += (text.empty() ? "" : " ") + sentence + ".";
  };
  if (!field.values.empty()) say("One of " + joined(field.values));
  if (field.min && field.max)
    say("From " + std::to_string(*field.min) + " to " + std::to_string(*field.max));
  else if (field.min)
    say("At least " + std::to_string(*field.min));
  else if (field.max)
    say("At most " + std::to_string(*field.max));
  if (field.fallback && !field.fallback->is_structured() && *field.fallback != "")
    say("Default: " +
        (field.fallback->is_string() ? field.fallback->get<std::string>() : dump(*field.fallback)));
  if (field.immutable) say("Cannot be changed");
  if (field.merge_key == ".")
    say("A patch adds to the list");
  else if (!field.merge_key.empty())
    say("A patch merges items by " + field.merge_key);
  return text;
}

void add_list_rules(const Field& field, Json& json) {
  if (field.type->shape != Shape::kList) {
    if (field.retain_keys) json["x-kubernetes-patch-strategy"] = "retainKeys";
    return;
  }
  if (field.merge_key.empty()) {
    json["x-kubernetes-list-type"] = "atomic";
    return;
  }
  json["x-kubernetes-patch-strategy"] = field.retain_keys ? "merge,retainKeys" : "merge";
  if (field.merge_key == ".") {
    json["x-kubernetes-list-type"] = "set";
  } else {
    json["x-kubernetes-patch-merge-key"] = field.merge_key;
    json["x-kubernetes-list-type"] = "map";
    json["x-kubernetes-list-map-keys"] = field.keys;
  }
}

}  // namespace

Json group_version_kind(const Kind& kind) {
  return {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
}

Json Components::add(const Kind& kind) {
  const std::string name = component_name(kind);
  if (seen_.insert(name).second) schemas_[name] = structure(*kind.type);
  Json& component = schemas_[name];
  for (const auto& [stored, served] : kind.renames) {
    Json& properties = component["properties"];
    if (!properties.contains(stored)) continue;
    properties[served] = std::move(properties[stored]);
    properties.erase(stored);
  }
  component["description"] = kind.kind + " of " + kind.api_version() + ".";
  component["x-kubernetes-group-version-kind"] = Json::array({group_version_kind(kind)});
  return reference(name);
}

Json Components::reference(const std::string& name) const {
  return {{"$ref", (dialect_ == Dialect::kV2 ? "#/definitions/" : "#/components/schemas/") + name}};
}

Json Components::schema_of(const Type& type) {
  const bool v2 = dialect_ == Dialect::kV2;
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
    case Shape::kQuantity:  // version 2 has no oneOf; its clients let numbers pass for strings
      if (v2) return {{"type", "string"}};
      return alternatives("io.k8s.apimachinery.pkg.api.resource.Quantity", "string", "number");
    case Shape::kIntOrString:
      if (v2) return {{"type", "string"}, {"format", "int-or-string"}};
      return alternatives("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "integer", "string");
    case Shape::kTime:
    case Shape::kMicroTime:
      return {{"type", "string"}, {"format", "date-time"}};
    case Shape::kBytes:
      return {{"type", "string"}, {"format", "byte"}};
    case Shape::kAny:
      if (v2) return Json::object();  // without a type: any value
      return {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
    case Shape::kMap:
      return {{"type", "object"}, {"additionalProperties", schema_of(*type.element)}};
    case Shape::kList:
      return {{"type", "array"}, {"items", schema_of(*type.element)}};
    case Shape::kStruct:
      break;
  }
  const std::string name = component_name(type.name);
  if (seen_.insert(name).second) schemas_[name] = structure(type);
  if (v2) return reference(name);
  return {{"allOf", Json::array({reference(name)})}};
}

// A named component of either type: kubectl explain shows the name.
Json Components::alternatives(const std::string& name, const char* one, const char* other) {
  if (seen_.insert(name).second)
    schemas_[name] = {{"oneOf", Json::array({{{"type", one}}, {{"type", other}}})}};
  return {{"allOf", Json::array({reference(name)})}};
}

Json Components::structure(const Type& type) {
  Json properties = Json::object(), needed = Json::array();
  for (const Field& field : type.fields) {
    properties[field.name] = property(field);
    if (field.required) needed.push_back(field.name);
  }
  Json component = {{"type", "object"}};
  if (!properties.empty()) component["properties"] = std::move(properties);
  if (!needed.empty()) component["required"] = std::move(needed);
  return component;
}

Json Components::property(const Field& field) {
  Json json = schema_of(*field.type);
  if (std::string text = describe(field); !text.empty()) json["description"] = std::move(text);
  if (field.fallback && !field.type->element && field.type->shape != Shape::kStruct)
    json["default"] = *field.fallback;
  const bool list = field.type->shape == Shape::kList;
  if (!field.values.empty()) (list ? json["items"] : json)["enum"] = field.values;
  add_list_rules(field, json);
  return json;
}

}  // namespace fairlead::orchestrator::apiserver
