// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/protobuf.h"

#include <fmt/core.h>

#include <cassert>
#include <chrono>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/protobuf_wire.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr std::string_view kPrefix("k8s\0", 4);
constexpr std::string_view kContentType = "application/vnd.kubernetes.protobuf";
// The times RFC 3339 has: from the start of year 1, which is Go's zero time, to the end of 9999.
constexpr int64_t kZeroTime = -62'135'596'800;
constexpr int64_t kLastTime = 253'402'300'799;
constexpr int64_t kMaxNanos = 999'999'999;

WireType wire_type_of(const Type& type) {
  const bool number =
      type.shape == Shape::kBool || type.shape == Shape::kInt32 || type.shape == Shape::kInt64;
  return number ? WireType::kVarint : WireType::kBytes;
}

Result<void> expect(WireType wanted, const WireField& field) {
  if (field.type == wanted) return ok();
  return Error::invalid(fmt::format("wire type {} instead of {}", static_cast<int>(field.type),
                                    static_cast<int>(wanted)));
}

Result<std::string> read_text(const WireField& field) {
  if (auto wrong = expect(WireType::kBytes, field); !wrong) return wrong.error();
  if (!is_utf8(field.bytes)) return Error::invalid("the text is not UTF-8");
  return std::string(field.bytes);
}

// Calls `visit` with every field of a message until one returns an Error.
template <typename Visit>
Result<void> each_field(std::string_view message, Visit visit) {
  WireReader reader(message);
  while (!reader.done()) {
    const auto field = reader.next();
    if (!field) return field.error();
    if (Result<void> done = visit(*field); !done) return done;
  }
  return ok();
}

// The small messages whose JSON is one value: the numbers of those fields, last one wins.
struct Parts {
  uint64_t integers[4] = {};
  std::string_view texts[4];
};
Result<Parts> read_parts(const WireField& field, std::string_view wire_types) {
  if (auto wrong = expect(WireType::kBytes, field); !wrong) return wrong.error();
  Parts parts;
  auto read = each_field(field.bytes, [&](const WireField& part) -> Result<void> {
    const auto number = static_cast<size_t>(part.number);
    if (number > wire_types.size()) return ok();
    const bool varint = wire_types[number - 1] == 'v';
    if (auto wrong = expect(varint ? WireType::kVarint : WireType::kBytes, part); !wrong)
      return wrong;
    if (varint)
      parts.integers[number] = part.integer;
    else
      parts.texts[number] = part.bytes;
    return ok();
  });
  if (!read) return read.error();
  return parts;
}

// Quantity { string = 1 }
Result<Json> read_quantity(const WireField& field) {
  const auto parts = read_parts(field, "b");
  if (!parts) return parts.error();
  if (!is_utf8(parts->texts[1])) return Error::invalid("the quantity is not UTF-8");
  const bool given = parts->texts[1].data() != nullptr;
  return Json(given ? std::string(parts->texts[1]) : std::string("0"));
}

// IntOrString { type = 1; intVal = 2; strVal = 3 }
Result<Json> read_int_or_string(const WireField& field) {
  const auto parts = read_parts(field, "vvb");
  if (!parts) return parts.error();
  if (parts->integers[1] == 0) return Json(static_cast<int32_t>(parts->integers[2]));
  if (parts->integers[1] != 1)
    return Error::invalid("an IntOrString of type " + std::to_string(parts->integers[1]) +
                          ", which is neither 0 (a number) nor 1 (a string)");
  if (!is_utf8(parts->texts[3])) return Error::invalid("the text is not UTF-8");
  return Json(std::string(parts->texts[3]));
}

// Timestamp { seconds = 1; nanos = 2 }. An empty one is none, and so is Go's zero. Of a Time the
// fraction does not count, of a MicroTime six digits do (meta/v1 time_proto.go).
Result<Json> read_time(const WireField& field, bool micro) {
  const auto parts = read_parts(field, "vv");
  if (!parts) return parts.error();
  const auto seconds = static_cast<int64_t>(parts->integers[1]);
  const auto nanos = micro ? static_cast<int32_t>(parts->integers[2]) : 0;
  if (field.bytes.empty() || (seconds == kZeroTime && nanos == 0)) return Json();
  if (seconds < kZeroTime || seconds > kLastTime || nanos < 0 || nanos > kMaxNanos)
    return Error::invalid(fmt::format(
        "{} seconds and {} ns from 1970 are no time from year 1 to 9999", seconds, nanos));
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (micro) text += fmt::format(".{:06}", nanos / 1000);
  return Json(text + "Z");
}

// FieldsV1 and RawExtension { raw = 1 } hold JSON text.
Result<Json> read_raw(const WireField& field) {
  const auto parts = read_parts(field, "b");
  if (!parts) return parts.error();
  if (parts->texts[1].empty()) return Json();
  return parse_json(parts->texts[1]);
}

Result<Json> read_scalar(const Type& type, const WireField& field) {
  switch (type.shape) {
    case Shape::kString: {
      auto text = read_text(field);
      if (!text) return text.error();
      return Json(std::move(*text));
    }
    case Shape::kQuantity:
      return read_quantity(field);
    case Shape::kIntOrString:
      return read_int_or_string(field);
    case Shape::kTime:
    case Shape::kMicroTime:
      return read_time(field, type.shape == Shape::kMicroTime);
    case Shape::kAny:
      return read_raw(field);
    case Shape::kBool:
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kBytes:
      break;
    case Shape::kNumber:
    case Shape::kStruct:
    case Shape::kMap:
    case Shape::kList:
      assert(false && "no scalar of a type with numbers");
      break;
  }
  if (auto wrong = expect(wire_type_of(type), field); !wrong) return wrong.error();
  if (type.shape == Shape::kBytes) return Json(base64_encode(field.bytes));
  if (type.shape == Shape::kBool) return Json(field.integer != 0);
  // A negative int32 comes as ten bytes; of more bits than it has the low ones count.
  if (type.shape == Shape::kInt32) return Json(static_cast<int32_t>(field.integer));
  return Json(static_cast<int64_t>(field.integer));
}

class MessageReader {
 public:
  // The fields of a struct, or those of the message `embedding` of it.
  Result<void> message(const Type& type, int embedding, std::string_view bytes, Json& out) {
    if (path_.size() >= kMaxJsonDepth)
      return Error::invalid(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    return each_field(bytes, [&](const WireField& wire) -> Result<void> {
      if (const Field* field = type.field({embedding, wire.number})) {
        path_.emplace_back(field->name);
        if (auto done = member(*field, wire, out); !done) return done;
        path_.pop_back();
        return ok();
      }
      if (embedding != 0 || !type.embeds(wire.number)) return ok();
      if (auto wrong = expect(WireType::kBytes, wire); !wrong) return wrong;
      return message(type, wire.number, wire.bytes, out);
    });
  }

  // Of the field that was being read when an Error came.
  std::string path() const {
    std::string text;
    for (const std::string& step : path_)
      text += (text.empty() || step.front() == '[' ? "" : ".") + step;
    return text;
  }

 private:
  Result<void> member(const Field& field, const WireField& wire, Json& out) {
    const Type& type = *field.type;
    if (type.shape == Shape::kList) return items(*type.element, wire, out[field.name]);
    if (type.shape == Shape::kMap) return entry(*type.element, wire, out[field.name]);
    if (type.shape == Shape::kStruct) return value(type, wire, out[field.name]);
    auto scalar = read_scalar(type, wire);
    if (!scalar) return scalar.error();
    const bool zero = *scalar == false || *scalar == 0 || *scalar == "";
    if (scalar->is_null() || (zero && field.zero_is_none()))
      out.erase(field.name);
    else
      out[field.name] = std::move(*scalar);
    return ok();
  }

  // A struct that is there already is merged with.
  Result<void> value(const Type& type, const WireField& wire, Json& out) {
    if (type.shape == Shape::kStruct) {
      if (auto wrong = expect(WireType::kBytes, wire); !wrong) return wrong;
      if (!out.is_object()) out = Json::object();
      return message(type, 0, wire.bytes, out);
    }
    auto scalar = read_scalar(type, wire);
    if (!scalar) return scalar.error();
    out = std::move(*scalar);
    return ok();
  }

  Result<void> items(const Type& element, const WireField& wire, Json& list) {
    if (!list.is_array()) list = Json::array();
    path_.push_back(indexed("", list.size()));
    const bool packed = wire.type == WireType::kBytes && wire_type_of(element) == WireType::kVarint;
    WireReader reader(packed ? wire.bytes : std::string_view());
    while (!reader.done()) {
      const auto number = reader.varint();
      if (!number) return number.error();
      auto item = read_scalar(element, {wire.number, WireType::kVarint, *number, {}});
      if (!item) return item.error();
      list.push_back(std::move(*item));
    }
    if (!packed) {
      Json item;
      if (auto done = value(element, wire, item); !done) return done;
      list.push_back(std::move(item));
    }
    path_.pop_back();
    return ok();
  }

  // Entry { key = 1; value = 2 }; what is not there is zero.
  Result<void> entry(const Type& element, const WireField& wire, Json& map) {
    if (auto wrong = expect(WireType::kBytes, wire); !wrong) return wrong;
    std::string key;
    Json item;
    if (auto zero = value(element, {2, wire_type_of(element), 0, {}}, item); !zero) return zero;
    auto read = each_field(wire.bytes, [&](const WireField& part) -> Result<void> {
      if (part.number == 2) return value(element, part, item);
      if (part.number != 1) return ok();
      auto text = read_text(part);
      if (!text) return text.error();
      key = std::move(*text);
      return ok();
    });
    if (!read) return read;
    if (!map.is_object()) map = Json::object();
    map[key] = std::move(item);
    return ok();
  }

  std::vector<std::string> path_;
};

// TypeMeta { apiVersion = 1; kind = 2 }
Result<void> read_type_meta(const WireField& field, ProtobufBody& body) {
  if (auto wrong = expect(WireType::kBytes, field); !wrong) return wrong;
  return each_field(field.bytes, [&](const WireField& part) -> Result<void> {
    if (part.number != 1 && part.number != 2) return ok();
    auto text = read_text(part);
    if (!text) return text.error();
    (part.number == 1 ? body.api_version : body.kind) = std::move(*text);
    return ok();
  });
}

}  // namespace

// Unknown { typeMeta = 1; raw = 2; contentEncoding = 3; contentType = 4 }
Result<ProtobufBody> open_protobuf(std::string_view body) {
  if (!body.starts_with(kPrefix))
    return Error::invalid(
        "protobuf: the body does not begin with the four bytes \"k8s\\0\" of Kubernetes' protobuf");
  ProtobufBody result;
  std::string encoding, type;
  auto read = each_field(body.substr(kPrefix.size()), [&](const WireField& field) -> Result<void> {
    if (field.number == 1) return read_type_meta(field, result);
    if (field.number > 4) return ok();
    if (auto wrong = expect(WireType::kBytes, field); !wrong) return wrong;
    if (field.number == 2) result.message = field.bytes;
    if (field.number == 3) encoding = field.bytes;
    if (field.number == 4) type = field.bytes;
    return ok();
  });
  if (!read) return read.error().with_context("protobuf: runtime.Unknown");
  if (!encoding.empty())
    return Error::invalid(
        "protobuf: the object inside is encoded (contentEncoding); send it plain");
  if (!type.empty() && type != kContentType)
    return Error::invalid("protobuf: the object inside is of another contentType; send protobuf");
  return result;
}

Result<Json> decode_protobuf(const Type& type, std::string_view message) {
  Json result = Json::object();
  MessageReader reader;
  auto read = reader.message(type, 0, message, result);
  if (read) return result;
  const std::string path = reader.path();
  return read.error().with_context(path.empty() ? "protobuf" : "protobuf: " + path);
}

}  // namespace fairlead::orchestrator::apiserver::schema
