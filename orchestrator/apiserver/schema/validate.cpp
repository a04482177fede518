// SPDX-License-Identifier: Apache-2.0
// Validation from the schema's data, and the rules between fields of one type.
#include <algorithm>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

using Causes = std::vector<Cause>;

// Ranges that Kubernetes tells in words of their own: percentages, modes of files, a day.
struct Wording {
  int64_t min, max;
  const char* text;
};
constexpr Wording kWordings[] = {
    {1, 100, "must be in the range 1-100"},
    {0, 0777, "must be a number between 0 and 0777 (octal), both inclusive"},
    {1, 86400, "must be greater than 0 and less than 86400"},
};

std::string range_text(const Field& field) {
  const int64_t min = field.min.value_or(0);
  if (!field.max)
    return min == 1 ? "must be greater than 0"
                    : "must be greater than or equal to " + std::to_string(min);
  for (const Wording& one : kWordings)
    if (one.min == min && one.max == *field.max) return one.text;
  return "must be between " + std::to_string(min) + " and " + std::to_string(*field.max) +
         ", inclusive";
}

void check_range(const Field& field, const Json& value, const std::string& path, Causes& causes) {
  if (!value.is_number_integer()) return;
  const int64_t number = value.get<int64_t>();
  if ((field.min && number < *field.min) || (field.max && number > *field.max))
    causes.push_back(invalid_value(path, go_value(value), range_text(field)));
}

void check_enum(const Field& field, const Json& value, const std::string& path, Causes& causes) {
  if (field.values.empty()) return;
  for (size_t i = 0; value.is_array() && i < value.size(); ++i)
    check_enum(field, value[i], indexed(path, i), causes);
  if (!value.is_string()) return;
  const std::string& text = value.get_ref<const std::string&>();
  if (text.empty() && !field.required) return;
  if (std::find(field.values.begin(), field.values.end(), text) == field.values.end())
    causes.push_back(unsupported_value(path, go_value(value), field.values));
}

// A label may be wrong twice; a key of data has a path of its own.
void check_entry(const Field& field, const std::string& key, const Json& text,
                 const std::string& path, Causes& causes) {
  if (field.format == "labels") {
    if (auto wrong = check_qualified_name(key))
      causes.push_back(invalid_value(path, go_value(key), *wrong));
    if (auto wrong = check_label_value(text.get_ref<const std::string&>()))
      causes.push_back(invalid_value(path, go_value(text), *wrong));
  } else if (auto wrong = check_format(field.format, Json({{key, text}}))) {
    const std::string where = field.format == "configkeys" ? path + "[" + key + "]" : path;
    causes.push_back(invalid_value(where, go_value(key), *wrong));
  }
}

// Maps are complained about with the key, lists with the value, as Kubernetes does.
void check_field_format(const Field& field, const Json& value, const std::string& path,
                        Causes& causes) {
  if (field.format.empty() || is_empty(value)) return;
  // A port of 0 stands for none unless the field is required.
  if (field.format == "port" && !field.required && value == 0) return;
  if (value.is_object()) {
    for (const auto& [key, text] : value.items()) check_entry(field, key, text, path, causes);
    return;
  }
  if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i)
      if (auto wrong = check_format(field.format, Json::array({value[i]})))
        causes.push_back(invalid_value(indexed(path, i), go_value(value[i]), *wrong));
    return;
  }
  if (auto wrong = check_format(field.format, value))
    causes.push_back(invalid_value(path, go_value(value), *wrong));
}

void check_unique(const Field& field, const Json& value, const std::string& path, Causes& causes) {
  if (field.unique.empty() || !value.is_array()) return;
  std::set<std::string> seen;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string key = string_at(value[i], field.unique);
    if (!key.empty() && !seen.insert(key).second)
      causes.push_back(duplicate(join(indexed(path, i), field.unique), go_value(key)));
  }
}

// A number that is not there is 0, as in Go: out of range where there is one, else missing.
void check_missing(const Field& field, const Json& value, const std::string& path, Causes& causes) {
  const bool number = field.type->shape == Shape::kInt32 || field.type->shape == Shape::kInt64;
  if (field.format == "port" || field.format == "portnumberorname")
    causes.push_back(invalid_value(path, "0", "must be between 1 and 65535, inclusive"));
  else if (number && field.min)
    check_range(field, Json(0), path, causes);
  // An empty object of a type with required fields says more below.
  else if (field.type->shape == Shape::kStruct && (value.is_null() || value.is_object()))
    validate(*field.type, Json::object(), path, causes);
  else
    causes.push_back(required(path));
}

void check_field(const Field& field, const Json& owner, const std::string& owner_path,
                 Causes& causes) {
  const Json& value = at(owner, field.name);
  const std::string path = join(owner_path, field.name);
  if (field.required && (is_empty(value) || value == 0))
    return check_missing(field, value, path, causes);
  if (value.is_null()) return;
  check_range(field, value, path, causes);
  check_enum(field, value, path, causes);
  check_field_format(field, value, path, causes);
  check_unique(field, value, path, causes);
  validate(*field.type, value, path, causes);
}

}  // namespace

void validate(const Type& type, const Json& value, const std::string& path, Causes& causes) {
  if (causes.size() > 200) return;  // enough to say
  if (type.shape == Shape::kList && value.is_array())
    for (size_t i = 0; i < value.size(); ++i)
      validate(*type.element, value[i], indexed(path, i), causes);
  if (type.shape == Shape::kMap && value.is_object() && type.element->shape == Shape::kStruct)
    for (const auto& [key, item] : value.items())
      validate(*type.element, item, path + "[" + key + "]", causes);
  if (type.shape != Shape::kStruct || !value.is_object()) return;
  for (const Field& field : type.fields) check_field(field, value, path, causes);
  if (const ValidateRule rule = find_validate_rule(type.name)) rule(value, path, causes);
}

void validate_update(const Type& type, const Json& value, const Json& before,
                     const std::string& path, Causes& causes) {
  if (type.shape != Shape::kStruct) return;
  for (const Field& field : type.fields) {
    const Json& now = at(value, field.name);
    const Json& then = at(before, field.name);
    if (field.immutable && now != then)
      causes.push_back(invalid_value(join(path, field.name), go_value(now), "field is immutable"));
    else if (now.is_object() && then.is_object())
      validate_update(*field.type, now, then, join(path, field.name), causes);
  }
}

}  // namespace fairlead::orchestrator::apiserver::schema
