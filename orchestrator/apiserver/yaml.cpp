// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/yaml.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <optional>

#include "kube/yaml.h"
#include "orchestrator/apiserver/schema/decode.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using schema::indexed;
using schema::join;

// 17, -0x1f, 0b101, 0o17 or 017, 1_000.
std::optional<Json> as_integer(std::string_view text) {
  if (text.find_first_of("+-0123456789") != 0) return std::nullopt;
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.size() > 1 && rest[0] == '0') {
    base = rest[1] == 'x' || rest[1] == 'X' ? 16 : rest[1] == 'b' || rest[1] == 'B' ? 2 : 8;
    rest.remove_prefix(base != 8 || rest[1] == 'o' || rest[1] == 'O' ? 2 : 1);
  }
  uint64_t value = 0;
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), value, base);
  if (rest.empty() || failure != std::errc() || end != rest.data() + rest.size())
    return std::nullopt;
  if (!negative) return Json(value);
  if (value > uint64_t{1} << 63) return std::nullopt;
  return Json(static_cast<int64_t>(0 - value));
}

std::optional<Json> as_float(std::string_view text) {
  if (text.find_first_not_of("+-.0123456789eE") != text.npos) return std::nullopt;
  if (text.find_first_of("0123456789") == text.npos) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Json(value);
}

Json resolved(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return text;
  if (kube::is_yaml_null(text)) return nullptr;
  if (const auto value = kube::yaml_bool(text)) return *value;
  if (auto value = as_integer(text)) return *value;
  if (auto value = as_float(text)) return *value;
  return text;
}

class Converter {
 public:
  explicit Converter(std::vector<std::string>* duplicates) : duplicates_(duplicates) {}

  Result<Json> convert(const YAML::Node& node, const std::string& path, size_t depth) {
    if (depth > kMaxJsonDepth && (node.IsSequence() || node.IsMap()))
      return wrong(node, "nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
    spent_ += 1 + (node.IsScalar() ? node.Scalar().size() : 0);
    if (spent_ > kMaxYamlExpansion)
      return wrong(
          node, "its aliases make more than " + std::to_string(kMaxYamlExpansion) + " bytes of it");
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return Json(nullptr);
      case YAML::NodeType::Scalar:
        return resolved(node);
      case YAML::NodeType::Sequence:
        return sequence(node, path, depth);
      case YAML::NodeType::Map:
        return map(node, path, depth);
    }
    return wrong(node, "of no known kind");
  }

 private:
  static Error wrong(const YAML::Node& node, const std::string& what) {
    return Error(ErrorCode::kInvalid,
                 "yaml: line " + std::to_string(node.Mark().line + 1) + ": " + what);
  }

  Result<Json> sequence(const YAML::Node& node, const std::string& path, size_t depth) {
    Json list = Json::array();
    for (const YAML::Node& item : node) {
      auto value = convert(item, indexed(path, list.size()), depth + 1);
      if (!value) return value;
      list.push_back(std::move(*value));
    }
    return list;
  }

  Result<Json> map(const YAML::Node& node, const std::string& path, size_t depth) {
    Json object = Json::object(), merged = Json::object();
    for (const auto& member : node) {
      if (!member.first.IsScalar() && !member.first.IsNull())
        return wrong(member.first, "a name must be a scalar");
      const Json key = member.first.IsNull() ? Json("null") : resolved(member.first);
      const std::string name = key.is_string() ? key.get<std::string>() : dump(key);
      auto value = convert(member.second, join(path, name), depth + 1);
      if (!value) return value;
      if (name == "<<" && member.first.Tag() == "?") {
        if (auto done = merge(member.second, *value, merged); !done) return done.error();
        continue;
      }
      if (duplicates_ != nullptr && object.contains(name)) duplicates_->push_back(join(path, name));
      object[name] = std::move(*value);
    }
    for (auto& [name, value] : merged.items())
      if (!object.contains(name)) object[name] = std::move(value);
    return object;
  }

  // What is merged gives way to what is written; of several, the first wins.
  static Result<void> merge(const YAML::Node& node, const Json& value, Json& merged) {
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& one : list) {
      if (!one.is_object()) return wrong(node, "map merge requires map or sequence of maps");
      for (const auto& [name, item] : one.items())
        if (!merged.contains(name)) merged[name] = item;
    }
    return ok();
  }

  std::vector<std::string>* duplicates_;
  size_t spent_ = 0;
};

}  // namespace

Result<Json> parse_yaml(std::string_view text, std::vector<std::string>* duplicates) {
  if (!is_utf8(text)) return Error(ErrorCode::kInvalid, "yaml: the text is not UTF-8");
  try {
    return Converter(duplicates).convert(YAML::Load(std::string(text)), "", 1);
  } catch (const YAML::Exception& e) {
    return Error(ErrorCode::kInvalid,
                 "yaml: line " + std::to_string(e.mark.line + 1) + ": " + e.msg);
  }
}

}  // namespace fairlead::orchestrator::apiserver
