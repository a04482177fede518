// SPDX-License-Identifier: Apache-2.0
// The shape of every object, as data: one description drives decoding, validation, defaults,
// merging, OpenAPI, protobuf. Pure; built once from the texts in schema/*_types.cpp and read-only
// after.
//
// The text: a line at the margin names a type, the indented lines below are its fields:
//     name TYPE [=DEFAULT] [~DEFAULT] [attribute]...
//   TYPE       string bool int32 int64 number quantity intstr time microtime bytes any, a type's
//              name, []TYPE, map[string]TYPE
//   =VALUE     taken when the field is absent (a string also when it is ""); JSON, strings bare
//   ~VALUE     the same, and when the field is zero (Go fields that are not pointers)
//   required   must be there and not be empty
//   enum=A|B   min=N max=N   format=NAME (schema/formats.h); of a list: each item's
//   merge=KEY  patches merge the list's items by KEY; "." for a list of plain values
//   keys=A,B   what tells items apart for OpenAPI (default: the merge key)
//   unique=KEY no two items may share it
//   retainkeys patches honour $retainKeys here
//   immutable  an update must not change it
//   #N         its number in protobuf; a zero stands for none, as where Go's JSON has omitempty
//   #N*        the same, but a zero is a value: in Go a pointer, or without omitempty
//   #N.M       field M of the message in field N: Go embeds that struct, its JSON is the owner's
//   #-         not in protobuf's message
// A struct gives all of its fields a number, or none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver::schema {

enum class Shape {
  kString,
  kBool,
  kInt32,
  kInt64,
  kNumber,
  kQuantity,
  kIntOrString,
  kTime,
  kMicroTime,
  kBytes,
  kAny,
  kStruct,
  kMap,
  kList,
};

struct Field;

// Where a field stands in a message; `embedding` is 0 for one that stands there itself.
struct WireNumber {
  int embedding = 0;
  int number = 0;
  auto operator<=>(const WireNumber&) const = default;
};

struct Type {
  Shape shape = Shape::kAny;
  std::string name;           // "PodSpec", "[]Container", "string"
  std::vector<Field> fields;  // of a struct, in the order of the text
  std::map<std::string, size_t, std::less<>> by_name;
  std::map<WireNumber, size_t> by_number;
  const Type* element = nullptr;  // of a map or list

  const Field* field(std::string_view field_name) const;
  const Field* field(WireNumber number) const;
  bool embeds(int number) const;  // a message whose fields are the struct's own
};

struct Field {
  std::string name;
  const Type* type = nullptr;
  std::optional<Json> fallback;
  bool fallback_for_zero = false;
  bool required = false;
  bool immutable = false;
  bool retain_keys = false;
  std::vector<std::string> values;  // enum
  std::optional<int64_t> min;
  std::optional<int64_t> max;
  std::string format;
  std::string merge_key;          // "." merges plain values; empty: a patch replaces the list
  std::vector<std::string> keys;  // x-kubernetes-list-map-keys
  std::string unique;
  std::optional<WireNumber> number;
  bool unsent = false;  // #-
  bool zero_is_value = false;

  bool can_be_zero() const;
  bool zero_is_none() const { return can_be_zero() && !zero_is_value; }
};

class Types {
 public:
  // The built-in types. Aborts on a malformed text: that is a bug no input can cause.
  static const Types& builtin();

  // Parses texts; an Error names the line.
  static Result<std::unique_ptr<Types>> parse(const std::vector<std::string_view>& texts);

  const Type* find(std::string_view name) const;
  const std::map<std::string, std::unique_ptr<Type>, std::less<>>& all() const { return types_; }

 private:
  Type* get(std::string_view name);
  Result<void> parse_text(std::string_view text);
  Result<void> parse_field(Type& owner, std::string_view line);
  Result<void> check() const;

  std::map<std::string, std::unique_ptr<Type>, std::less<>> types_;
};

// The texts, by idea.
extern const char* const kMetaTypes;
extern const char* const kPodTypes;
extern const char* const kContainerTypes;
extern const char* const kVolumeTypes;
extern const char* const kVolumeSourceTypes;
extern const char* const kStatusTypes;
extern const char* const kNetworkTypes;
extern const char* const kCoreTypes;
extern const char* const kWorkloadTypes;
extern const char* const kStorageTypes;

}  // namespace fairlead::orchestrator::apiserver::schema
