// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/value.h"

#include <fmt/format.h>

namespace fairlead::dns {
namespace {

constexpr size_t kElementWeight = 64;

}  // namespace

Value::Value(ValueList value) : kind_(Kind::kList), list_(std::move(value)) {}
Value::Value(ValueMap value) : kind_(Kind::kMap), map_(std::move(value)) {}

bool Value::truth() const {
  switch (kind_) {
    case Kind::kNothing:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return number_ != 0;
    case Kind::kString:
      return !text_.empty();
    case Kind::kList:
      return !list_.empty();
    case Kind::kMap:
      return !map_.empty();
    case Kind::kQuery:
      break;
  }
  return true;
}

std::string Value::text() const {
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() ? "" : " ") + part; };
  switch (kind_) {
    case Kind::kBool:
      return number_ != 0 ? "true" : "false";
    case Kind::kInt:
      return fmt::format("{}", number_);
    case Kind::kString:
      return text_;
    case Kind::kList:
      for (const Value& each : list_) add(each.text());
      return "[" + out + "]";
    case Kind::kMap:
      for (const auto& [key, each] : map_) add(key + ":" + each.text());
      return "map[" + out + "]";
    case Kind::kNothing:
    case Kind::kQuery:
      break;
  }
  return "<no value>";
}

size_t Value::weight() const {
  size_t sum = text_.size();
  for (const Value& each : list_) sum += kElementWeight + each.weight();
  for (const auto& [key, each] : map_) sum += kElementWeight + key.size() + each.weight();
  return sum;
}

const char* Value::kind_name() const {
  static constexpr const char* kNames[] = {"nothing", "bool", "int",  "string",
                                           "list",    "map",  "query"};
  return kNames[static_cast<size_t>(kind_)];
}

Result<int> compare(const Value& a, const Value& b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (a.kind_ == b.kind_) {
    if (a.string() != nullptr) return order(a.text_, b.text_);
    if (a.number() != nullptr || a.kind_ == Value::Kind::kBool) return order(a.number_, b.number_);
  }
  return Error(ErrorCode::kInvalid,
               fmt::format("a {} cannot be compared with a {}", a.kind_name(), b.kind_name()));
}

Result<void> Work::steps(size_t count) {
  if (count > left_) return Error(ErrorCode::kInvalid, "it takes too many steps");
  left_ -= count;
  return ok();
}

Result<void> Work::made(const Value& value) {
  if (value.string() != nullptr && value.string()->size() > kMaxText)
    return Error(ErrorCode::kInvalid, fmt::format("a text is over {} bytes", kMaxText));
  return steps(1 + value.weight() / kElementWeight);
}

}  // namespace fairlead::dns
