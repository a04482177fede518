// SPDX-License-Identifier: Apache-2.0
// Reading fields of API objects that the server has validated: a field that is absent, null or of
// another type is its default. Pure, never throws; references live as long as the document. For
// .cpp files: it brings nlohmann's header with it.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fairlead::orchestrator::json {

using Json = nlohmann::json;

inline const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(name);
  return it == object.end() ? kNull : *it;
}

inline std::string text(const Json& object, const char* name, const std::string& otherwise = "") {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : otherwise;
}

inline std::optional<int64_t> number(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<int64_t>();
}

inline int64_t number_or(const Json& object, const char* name, int64_t otherwise) {
  return number(object, name).value_or(otherwise);
}

inline bool flag(const Json& object, const char* name, bool otherwise = false) {
  const Json& value = member(object, name);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

inline std::vector<std::string> texts(const Json& object, const char* name) {
  std::vector<std::string> list;
  const Json& value = member(object, name);
  if (value.is_array())
    for (const Json& item : value)
      if (item.is_string()) list.push_back(item.get<std::string>());
  return list;
}

inline std::vector<int64_t> numbers(const Json& object, const char* name) {
  std::vector<int64_t> list;
  const Json& value = member(object, name);
  if (value.is_array())
    for (const Json& item : value)
      if (item.is_number_integer()) list.push_back(item.get<int64_t>());
  return list;
}

// The array of that name, or an empty one.
inline const Json& items(const Json& object, const char* name) {
  static const Json kEmpty = Json::array();
  const Json& value = member(object, name);
  return value.is_array() ? value : kEmpty;
}

inline std::map<std::string, std::string> text_map(const Json& object, const char* name) {
  std::map<std::string, std::string> map;
  const Json& value = member(object, name);
  if (value.is_object())
    for (const auto& [key, item] : value.items())
      if (item.is_string()) map[key] = item.get<std::string>();
  return map;
}

}  // namespace fairlead::orchestrator::json
