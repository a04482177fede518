// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/type.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr std::pair<std::string_view, Shape> kScalars[] = {
    {"string", Shape::kString},      {"bool", Shape::kBool},     {"int32", Shape::kInt32},
    {"int64", Shape::kInt64},        {"number", Shape::kNumber}, {"quantity", Shape::kQuantity},
    {"intstr", Shape::kIntOrString}, {"time", Shape::kTime},     {"microtime", Shape::kMicroTime},
    {"bytes", Shape::kBytes},        {"any", Shape::kAny},
};

constexpr int64_t kMaxWireNumber = (1 << 29) - 1;

std::string_view next_word(std::string_view& line) {
  const size_t begin = line.find_first_not_of(' ');
  if (begin == line.npos) return line = {};
  const size_t end = std::min(line.find(' ', begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool set_fallback(Field& field, std::string_view text) {
  if (field.type->shape == Shape::kString) {
    field.fallback = std::string(text);
    return true;
  }
  auto value = parse_json(text);
  if (!value) return false;
  field.fallback = std::move(*value);
  return true;
}

// "7", "7*", "2.1", "-".
bool set_number(Field& field, std::string_view text) {
  if (text == "-") return field.unsent = true;
  field.zero_is_value = text.ends_with('*');
  if (field.zero_is_value) text.remove_suffix(1);
  const size_t dot = text.find('.');
  const auto embedding = dot == text.npos ? 0 : to_int(text.substr(0, dot));
  const auto number = to_int(text.substr(dot == text.npos ? 0 : dot + 1));
  const bool good = embedding && number && *number > 0 && *number <= kMaxWireNumber &&
                    (dot == text.npos || (*embedding > 0 && *embedding <= kMaxWireNumber));
  if (good) field.number = {static_cast<int>(*embedding), static_cast<int>(*number)};
  return good;
}

bool set_attribute(Field& field, std::string_view word) {
  if (word == "required") return field.required = true;
  if (word == "immutable") return field.immutable = true;
  if (word == "retainkeys") return field.retain_keys = true;
  if (word.front() == '=') return set_fallback(field, word.substr(1));
  if (word.front() == '~')
    return set_fallback(field, word.substr(1)) && (field.fallback_for_zero = true);
  if (word.front() == '#') return set_number(field, word.substr(1));
  const size_t equals = word.find('=');
  if (equals == word.npos) return false;
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = word.substr(equals + 1);
  if (name == "enum") return field.values = split(value, '|'), true;
  if (name == "min") return (field.min = to_int(value)).has_value();
  if (name == "max") return (field.max = to_int(value)).has_value();
  if (name == "format") return field.format = value, true;
  if (name == "merge") return field.merge_key = value, true;
  if (name == "keys") return field.keys = split(value, ','), true;
  if (name == "unique") return field.unique = value, true;
  return false;
}

std::string number_text(const WireNumber& number) {
  return (number.embedding == 0 ? "" : std::to_string(number.embedding) + ".") +
         std::to_string(number.number);
}

// Lists of lists, lists in maps and fractions are in no message of Kubernetes.
bool has_wire_form(const Type& type) {
  if (type.shape == Shape::kNumber) return false;
  if (type.element == nullptr) return true;
  return type.element->element == nullptr && has_wire_form(*type.element);
}

// What protobuf.h relies on.
Result<void> check_numbers(const Type& type) {
  if (type.by_number.empty()) return ok();
  for (const Field& field : type.fields) {
    const std::string name = type.name + "." + field.name;
    if (field.unsent) continue;
    if (!field.number) return Error(ErrorCode::kInvalid, name + " has no number");
    if (field.number->embedding == 0 && type.embeds(field.number->number))
      return Error(ErrorCode::kInvalid,
                   name + ": number " + number_text(*field.number) + " is that of a message too");
    if (field.zero_is_value && !field.can_be_zero())
      return Error(ErrorCode::kInvalid, name + ": '*' says nothing of this type");
    if (!has_wire_form(*field.type))
      return Error(ErrorCode::kInvalid, name + ": " + field.type->name + " is not for protobuf");
    const Type& inner = field.type->element ? *field.type->element : *field.type;
    if (inner.shape == Shape::kStruct && inner.by_number.empty())
      return Error(ErrorCode::kInvalid, name + ": " + inner.name + " has no numbers");
  }
  return ok();
}

}  // namespace

const Field* Type::field(std::string_view field_name) const {
  const auto it = by_name.find(field_name);
  return it == by_name.end() ? nullptr : &fields[it->second];
}

const Field* Type::field(WireNumber number) const {
  const auto it = by_number.find(number);
  return it == by_number.end() ? nullptr : &fields[it->second];
}

bool Type::embeds(int number) const {
  const auto it = by_number.lower_bound({number, 0});
  return it != by_number.end() && it->first.embedding == number;
}

bool Field::can_be_zero() const {
  return type->shape == Shape::kString || type->shape == Shape::kBool ||
         type->shape == Shape::kInt32 || type->shape == Shape::kInt64;
}

const Type* Types::find(std::string_view name) const {
  const auto it = types_.find(name);
  return it == types_.end() ? nullptr : it->second.get();
}

Type* Types::get(std::string_view name) {
  const auto it = types_.find(name);
  if (it != types_.end()) return it->second.get();
  auto type = std::make_unique<Type>();
  type->name = name;
  type->shape = Shape::kStruct;
  for (const auto& [scalar, shape] : kScalars)
    if (scalar == name) type->shape = shape;
  Type* result = types_.emplace(name, std::move(type)).first->second.get();
  if (name.starts_with("[]")) {
    result->shape = Shape::kList;
    result->element = get(name.substr(2));
  } else if (name.starts_with("map[string]")) {
    result->shape = Shape::kMap;
    result->element = get(name.substr(11));
  }
  return result;
}

Result<void> Types::parse_field(Type& owner, std::string_view line) {
  const std::string whole(line);
  Field field;
  field.name = next_word(line);
  const std::string_view type = next_word(line);
  if (type.empty()) return Error(ErrorCode::kInvalid, owner.name + ": no type in '" + whole + "'");
  field.type = get(type);
  for (std::string_view word = next_word(line); !word.empty(); word = next_word(line))
    if (!set_attribute(field, word))
      return Error(ErrorCode::kInvalid,
                   owner.name + "." + field.name + ": cannot read '" + std::string(word) + "'");
  if (field.keys.empty() && !field.merge_key.empty() && field.merge_key != ".")
    field.keys = {field.merge_key};
  if (!owner.by_name.emplace(field.name, owner.fields.size()).second)
    return Error(ErrorCode::kInvalid, owner.name + "." + field.name + " is given twice");
  if (field.number && !owner.by_number.emplace(*field.number, owner.fields.size()).second)
    return Error(ErrorCode::kInvalid, owner.name + "." + field.name + ": number " +
                                          number_text(*field.number) + " is given twice");
  owner.fields.push_back(std::move(field));
  return ok();
}

Result<void> Types::parse_text(std::string_view text) {
  Type* owner = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t begin = line.find_first_not_of(' ');
    if (begin == line.npos || line[begin] == '#') continue;
    if (begin == 0) {
      owner = get(next_word(line));
      if (!owner->fields.empty())
        return Error(ErrorCode::kInvalid, "type " + owner->name + " is given twice");
      continue;
    }
    if (owner == nullptr) return Error(ErrorCode::kInvalid, "a field before the first type");
    if (auto parsed = parse_field(*owner, line); !parsed) return parsed;
  }
  return ok();
}

Result<void> Types::check() const {
  for (const auto& [name, type] : types_) {
    if (type->shape == Shape::kStruct && type->fields.empty() && name != "Empty")
      return Error(ErrorCode::kInvalid, "type " + name + " is used but has no fields");
    for (const Field& field : type->fields) {
      for (const std::string& key : field.keys)
        if (field.type->element == nullptr || field.type->element->field(key) == nullptr)
          return Error(ErrorCode::kInvalid, name + "." + field.name + ": no field " + key);
    }
    if (auto checked = check_numbers(*type); !checked) return checked;
  }
  return ok();
}

Result<std::unique_ptr<Types>> Types::parse(const std::vector<std::string_view>& texts) {
  auto types = std::make_unique<Types>();
  for (const std::string_view text : texts)
    if (auto parsed = types->parse_text(text); !parsed) return parsed.error();
  if (auto checked = types->check(); !checked) return checked.error();
  return types;
}

const Types& Types::builtin() {
  static const std::unique_ptr<Types> kTypes = [] {
    auto types = parse({kMetaTypes, kPodTypes, kContainerTypes, kVolumeTypes, kVolumeSourceTypes,
                        kStatusTypes, kNetworkTypes, kCoreTypes, kWorkloadTypes, kStorageTypes});
    if (!types) {
      std::fprintf(stderr, "schema: %s\n", types.error().message().c_str());
      std::abort();
    }
    return std::move(*types);
  }();
  return *kTypes;
}

}  // namespace fairlead::orchestrator::apiserver::schema
