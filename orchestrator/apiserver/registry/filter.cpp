// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/registry/filter.h"

namespace fairlead::orchestrator::apiserver {
namespace {

const schema::Type* type_at(const schema::Type* type, std::string_view path) {
  while (type != nullptr && !path.empty()) {
    const size_t dot = path.find('.');
    const schema::Field* field = type->field(path.substr(0, dot));
    type = field == nullptr ? nullptr : field->type;
    path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  }
  return type;
}

std::string stored_path(const Kind& kind, std::string path) {
  if (path == "source" && kind.plural == "events") return "source.component";
  for (const auto& [stored, served] : kind.renames)
    if (path == served || path.starts_with(served + "."))
      return stored + path.substr(served.size());
  return path;
}

// An absent bool is false, and so it is for a selector.
std::string value_at(const Kind& kind, const Json& stored, const std::string& path) {
  const Json& value = at_path(stored, path);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  const schema::Type* type = type_at(kind.type, path);
  return type != nullptr && type->shape == schema::Shape::kBool ? "false" : "";
}

// Kinds with fields of their own have a conversion that says so in words of its own.
std::string unsupported_field(const Kind& kind, const std::string& path) {
  if (!kind.field_labels.empty()) return "field label not supported: " + path;
  const char* known =
      kind.namespaced ? "\"metadata.name\", \"metadata.namespace\"" : "\"metadata.name\"";
  return go_value(Json(path)) + " is not a known field selector: only " + known;
}

}  // namespace

Outcome<Filter> Filter::make(const Kind& kind, std::string_view labels, std::string_view fields) {
  Filter filter;
  filter.kind_ = &kind;
  auto label_selector = LabelSelector::parse(labels);
  if (!label_selector) return bad_request(label_selector.error().message());
  auto field_selector = FieldSelector::parse(fields);
  if (!field_selector) return bad_request(field_selector.error().message());
  for (const FieldSelector::Requirement& one : field_selector->requirements())
    if (!kind.supports_field(one.path)) return bad_request(unsupported_field(kind, one.path));
  filter.labels_ = std::move(*label_selector);
  filter.fields_ = std::move(*field_selector);
  return filter;
}

bool Filter::matches(const Json& stored) const {
  if (!apiserver::matches(labels_, at_path(stored, "metadata.labels"))) return false;
  for (const FieldSelector::Requirement& one : fields_.requirements()) {
    const bool same = value_at(*kind_, stored, stored_path(*kind_, one.path)) == one.value;
    if (same != one.equal) return false;
  }
  return true;
}

std::string Filter::single_name() const {
  for (const FieldSelector::Requirement& one : fields_.requirements())
    if (one.path == "metadata.name" && one.equal) return one.value;
  return "";
}

Json selectable_part(const Kind& kind, const Json& stored) {
  Json part = {{"metadata", Json::object()}};
  for (const char* name : {"name", "namespace", "labels"})
    if (const Json& value = at(at(stored, "metadata"), name); !value.is_null())
      part["metadata"][name] = value;
  for (const std::string& label : kind.field_labels) {
    const std::string path = stored_path(kind, label);
    const Json& value = at_path(stored, path);
    if (value.is_null() || value.is_structured()) continue;
    Json* slot = &part;
    std::string_view rest = path;
    for (size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
      slot = &(*slot)[std::string(rest.substr(0, dot))];
      rest.remove_prefix(dot + 1);
    }
    (*slot)[std::string(rest)] = value;
  }
  return part;
}

}  // namespace fairlead::orchestrator::apiserver
