// SPDX-License-Identifier: Apache-2.0
// JSON to Kubernetes' protobuf as Go's clients write it, by the schema: for tests of the reader.
// Takes only JSON in normal form, which schema::decode() leaves.
#pragma once

#include <set>
#include <string>

#include "base/rfc3339.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::protobuf {

using schema::Field;
using schema::Shape;
using schema::Type;

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  return out += static_cast<char>(value);
}
inline std::string number(int field, int64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(static_cast<uint64_t>(value));
}
inline std::string bytes(int field, const std::string& content) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(content.size()) + content;
}
inline std::string body(const std::string& api_version, const std::string& kind,
                        const std::string& message) {
  return std::string("k8s\0", 4) + bytes(1, bytes(1, api_version) + bytes(2, kind)) +
         bytes(2, message) + bytes(3, "") + bytes(4, "");
}

inline std::string message(const Type& type, const Json& json);

inline std::string timestamp(const std::string& text) {
  const auto time = *parse_rfc3339(text);
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  return number(1, whole.time_since_epoch().count()) +
         number(2, std::chrono::nanoseconds(time - whole).count());
}

// One field with one value.
inline std::string value(const Type& type, int field, const Json& json) {
  switch (type.shape) {
    case Shape::kBool:
      return number(field, json.get<bool>() ? 1 : 0);
    case Shape::kInt32:
    case Shape::kInt64:
      return number(field, json.get<int64_t>());
    case Shape::kString:
      return bytes(field, json.get<std::string>());
    case Shape::kBytes:
      return bytes(field, schema::base64_decode(json.get<std::string>()));
    case Shape::kQuantity:
      return bytes(field, bytes(1, json.get<std::string>()));
    case Shape::kIntOrString:
      if (json.is_string())
        return bytes(field, number(1, 1) + number(2, 0) + bytes(3, json.get<std::string>()));
      return bytes(field, number(1, 0) + number(2, json.get<int64_t>()) + bytes(3, ""));
    case Shape::kTime:
    case Shape::kMicroTime:
      return bytes(field, timestamp(json.get<std::string>()));
    case Shape::kAny:
      return bytes(field, bytes(1, dump(json)));
    case Shape::kStruct:
      return bytes(field, message(type, json));
    case Shape::kNumber:
    case Shape::kMap:
    case Shape::kList:
      break;
  }
  return "";
}

inline std::string member(const Field& field, const Json& json) {
  const int number_of_field = field.number->number;
  const Json& given = at(json, field.name);
  const Type& type = *field.type;
  std::string out;
  if (type.shape == Shape::kList)
    for (const Json& item : given) out += value(*type.element, number_of_field, item);
  else if (type.shape == Shape::kMap)
    for (const auto& [key, item] : given.items())
      out += bytes(number_of_field, bytes(1, key) + value(*type.element, 2, item));
  else if (!given.is_null())
    out += value(type, number_of_field, given);
  else if (field.zero_is_none())  // gogo-proto writes the zeros of what is no pointer
    out += type.shape == Shape::kString ? bytes(number_of_field, "") : number(number_of_field, 0);
  else if (type.shape == Shape::kTime || type.shape == Shape::kMicroTime)
    out += bytes(number_of_field, "");
  return out;
}

inline std::string message(const Type& type, const Json& json) {
  std::string out;
  std::map<int, std::string> embedded;
  for (const Field& field : type.fields) {
    if (!field.number) continue;
    if (field.number->embedding == 0)
      out += member(field, json);
    else
      embedded[field.number->embedding] += member(field, json);
  }
  for (const auto& [number_of_message, content] : embedded)
    out += bytes(number_of_message, content);
  return out;
}

}  // namespace fairlead::orchestrator::apiserver::protobuf
