// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/decode.h"

#include <limits>
#include <optional>

#include "base/rfc3339.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

// encoding/json's name for what was found.
std::string found_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return "object";
    case Json::value_t::array:
      return "array";
    case Json::value_t::string:
      return "string";
    case Json::value_t::boolean:
      return "bool";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return "number";
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return "null";
  }
  return "value";
}

// Go's name for the wanted type.
std::string go_type(const Type& type) {
  switch (type.shape) {
    case Shape::kString:
      return "string";
    case Shape::kBool:
      return "bool";
    case Shape::kInt32:
      return "int32";
    case Shape::kInt64:
      return "int64";
    case Shape::kNumber:
      return "float64";
    case Shape::kQuantity:
      return "resource.Quantity";
    case Shape::kIntOrString:
      return "intstr.IntOrString";
    case Shape::kTime:
      return "v1.Time";
    case Shape::kMicroTime:
      return "v1.MicroTime";
    case Shape::kBytes:
      return "[]uint8";
    case Shape::kAny:
      return "interface {}";
    case Shape::kStruct:
      return "v1." + type.name;
    case Shape::kMap:
      return "map[string]" + go_type(*type.element);
    case Shape::kList:
      return "[]" + go_type(*type.element);
  }
  return "";
}

// The converter's words; nothing for what has a decoder of its own, which speaks as JSON's.
std::optional<std::string> converter_text(const Type& type, const Json& json) {
  const std::string found = json.is_object()           ? "map"
                            : json.is_array()          ? "slice"
                            : json.is_number_float()   ? "float64"
                            : json.is_number_integer() ? "int64"
                                                       : found_name(json);
  switch (type.shape) {
    case Shape::kStruct:
      return "cannot restore struct from: " + found;
    case Shape::kMap:
      return "cannot restore map from " + found;
    case Shape::kList:
      return "cannot restore slice from " + found;
    case Shape::kString:
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kNumber:
      if (json.is_number()) return "cannot convert " + found + " to " + go_type(type);
      return "unrecognized type: " + go_type(type);
    case Shape::kBool:
      return "unrecognized type: bool";
    case Shape::kQuantity:
    case Shape::kIntOrString:
    case Shape::kTime:
    case Shape::kMicroTime:
    case Shape::kBytes:
    case Shape::kAny:
      break;
  }
  return std::nullopt;
}

class Decoder {
 public:
  Decoder(std::vector<std::string>& unknown, Words words) : unknown_(unknown), words_(words) {}

  // `indexed_path` has list indexes, `go_path` has none; `owner` is the innermost struct.
  Result<void> value(const Type& type, Json& json, const std::string& path,
                     const std::string& go_path, const std::string& owner) {
    switch (type.shape) {
      case Shape::kStruct:
        return structure(type, json, path, go_path, owner);
      case Shape::kMap:
        return map(type, json, path, go_path, owner);
      case Shape::kList:
        return list(type, json, path, go_path, owner);
      case Shape::kAny:
        return ok();
      case Shape::kString:
      case Shape::kBool:
      case Shape::kInt32:
      case Shape::kInt64:
      case Shape::kNumber:
      case Shape::kQuantity:
      case Shape::kIntOrString:
      case Shape::kTime:
      case Shape::kMicroTime:
      case Shape::kBytes:
        return scalar(type, json, go_path, owner);
    }
    return ok();
  }

 private:
  Error wrong(const Type& type, const Json& json, const std::string& go_path,
              const std::string& owner) const {
    if (words_ == Words::kConverter)
      if (const auto text = converter_text(type, json)) return Error(ErrorCode::kInvalid, *text);
    std::string what = found_name(json);
    if (json.is_number() && type.shape != Shape::kString && type.shape != Shape::kBool)
      what += " " + json.dump();
    const std::string where = go_path.empty() ? "value" : "struct field " + owner + "." + go_path;
    return Error(ErrorCode::kInvalid, "json: cannot unmarshal " + what + " into Go " + where +
                                          " of type " + go_type(type));
  }

  Result<void> structure(const Type& type, Json& json, const std::string& path,
                         const std::string& go_path, const std::string& owner) {
    if (!json.is_object()) return wrong(type, json, go_path, owner);
    for (auto it = json.begin(); it != json.end();) {
      const Field* field = type.field(it.key());
      if (field == nullptr) unknown_.push_back(join(path, it.key()));
      if (field == nullptr || it->is_null()) {
        it = json.erase(it);
        continue;
      }
      auto done =
          value(*field->type, *it, join(path, it.key()), join(go_path, it.key()), type.name);
      if (!done) return done;
      it = it->is_null() ? json.erase(it) : std::next(it);
    }
    return ok();
  }

  Result<void> map(const Type& type, Json& json, const std::string& path,
                   const std::string& go_path, const std::string& owner) {
    if (!json.is_object()) return wrong(type, json, go_path, owner);
    for (auto it = json.begin(); it != json.end(); ++it) {
      const Shape shape = type.element->shape;
      if (it->is_null() && (shape == Shape::kString || shape == Shape::kBytes)) *it = "";
      auto done = value(*type.element, *it, join(path, it.key()), go_path, owner);
      if (!done) return done;
    }
    return ok();
  }

  Result<void> list(const Type& type, Json& json, const std::string& path,
                    const std::string& go_path, const std::string& owner) {
    if (!json.is_array()) return wrong(type, json, go_path, owner);
    for (size_t i = 0; i < json.size(); ++i) {
      if (json[i].is_null() && type.element->shape == Shape::kStruct) json[i] = Json::object();
      auto done = value(*type.element, json[i], indexed(path, i), go_path, owner);
      if (!done) return done;
    }
    return ok();
  }

  static bool fits_int(const Type& type, const Json& json) {
    if (!json.is_number_integer()) return false;
    if (json.is_number_unsigned() &&
        json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return false;
    const int64_t number = json.get<int64_t>();
    return type.shape == Shape::kInt64 || (number >= std::numeric_limits<int32_t>::min() &&
                                           number <= std::numeric_limits<int32_t>::max());
  }

  static Result<void> quantity(Json& json) {
    const std::string text = json.is_string() ? json.get<std::string>() : json.dump();
    const auto parsed = Quantity::parse(text);
    if (!parsed) return parsed.error();
    json = parsed->canonical();
    return ok();
  }

  // As Go writes it again: UTC, in whole seconds or in six digits of one. Go's zero is none.
  static Result<void> time(const Type& type, Json& json) {
    const std::string text = json.get<std::string>();
    if (!is_rfc3339(text))
      return Error(ErrorCode::kInvalid, "parsing time " + go_value(json) +
                                            " as \"2006-01-02T15:04:05Z07:00\": cannot parse " +
                                            go_value(json) + " as a time");
    if (const auto time = parse_rfc3339(text))
      json = type.shape == Shape::kTime ? to_rfc3339(*time) : to_rfc3339_micro(*time);
    else if (text.starts_with("0001-01-01T00:00:00") && text.ends_with('Z'))
      json = nullptr;
    return ok();
  }

  static Result<void> base64(const Json& json) {
    const auto bad = base64_error(json.get_ref<const std::string&>());
    if (!bad) return ok();
    return Error(ErrorCode::kInvalid, "illegal base64 data at input byte " + std::to_string(*bad));
  }

  Result<void> scalar(const Type& type, Json& json, const std::string& go_path,
                      const std::string& owner) const {
    const Error mismatch = wrong(type, json, go_path, owner);
    switch (type.shape) {
      case Shape::kString:
        return json.is_string() ? ok() : mismatch;
      case Shape::kBool:
        return json.is_boolean() ? ok() : mismatch;
      case Shape::kInt32:
      case Shape::kInt64:
        return fits_int(type, json) ? ok() : mismatch;
      case Shape::kNumber:
        return json.is_number() ? ok() : mismatch;
      case Shape::kIntOrString:
        return json.is_string() || fits_int(type, json) ? ok() : mismatch;
      case Shape::kQuantity:
        return json.is_string() || json.is_number() ? quantity(json) : mismatch;
      case Shape::kTime:
      case Shape::kMicroTime:
        return json.is_string() ? time(type, json) : mismatch;
      case Shape::kBytes:
        return json.is_string() ? base64(json) : mismatch;
      case Shape::kAny:
      case Shape::kStruct:
      case Shape::kMap:
      case Shape::kList:
        break;
    }
    return ok();
  }

  std::vector<std::string>& unknown_;
  const Words words_;
};

bool is_zero(const Json& value) {
  return value == "" || value == false || (value.is_number() && value == 0);
}

bool is_none(const Field& field, const Json& value) {
  if (field.required || !field.number) return false;
  const bool many = field.type->shape == Shape::kList || field.type->shape == Shape::kMap;
  return many ? value.empty() : field.zero_is_none() && is_zero(value);
}

}  // namespace

void drop_zeros(const Type& type, Json& value) {
  if ((type.shape == Shape::kList && value.is_array()) ||
      (type.shape == Shape::kMap && value.is_object()))
    for (Json& item : value) drop_zeros(*type.element, item);
  if (type.shape != Shape::kStruct || !value.is_object()) return;
  for (auto it = value.begin(); it != value.end();) {
    const Field* field = type.field(it.key());
    if (field != nullptr) drop_zeros(*field->type, *it);
    it = field != nullptr && is_none(*field, *it) ? value.erase(it) : std::next(it);
  }
}

std::string join(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

std::string indexed(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

Result<void> decode(const Type& type, Json& value, std::vector<std::string>& unknown, Words words) {
  if (auto done = Decoder(unknown, words).value(type, value, "", "", type.name); !done) return done;
  drop_zeros(type, value);
  return ok();
}

}  // namespace fairlead::orchestrator::apiserver::schema
