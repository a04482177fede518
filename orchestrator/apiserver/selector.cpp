// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/selector.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxRequirements = 1000;

std::string field_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  return "";
}

}  // namespace

bool matches(const LabelSelector& selector, const Json& labels) {
  return selector.matches([&](const std::string& key) -> std::optional<std::string_view> {
    const Json& value = at(labels, key);
    if (!value.is_string()) return std::nullopt;
    return value.get_ref<const std::string&>();
  });
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  if (text.empty()) return selector;
  std::vector<std::string> terms(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      terms.back() += text[i];
      terms.back() += text[++i];
    } else if (text[i] == ',') {
      terms.emplace_back();
    } else {
      terms.back() += text[i];
    }
  }
  for (const std::string& term : terms) {
    if (term.empty()) continue;
    const size_t equals = term.find('=');
    if (equals == term.npos || equals == 0)
      return Error(ErrorCode::kInvalid, "invalid selector: '" + std::string(text) +
                                            "'; can't understand '" + term + "'");
    Requirement requirement;
    requirement.equal = term[equals - 1] != '!';
    requirement.path = term.substr(0, requirement.equal ? equals : equals - 1);
    size_t from = equals + 1;
    if (requirement.equal && from < term.size() && term[from] == '=') ++from;
    for (; from < term.size(); ++from) {
      if (term[from] == '\\' && from + 1 < term.size()) ++from;
      requirement.value += term[from];
    }
    selector.requirements_.push_back(std::move(requirement));
    if (selector.requirements_.size() > kMaxRequirements)
      return Error(ErrorCode::kInvalid, "invalid selector: too many terms");
  }
  return selector;
}

bool FieldSelector::matches(const Json& object) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& one) {
    return (field_text(at_path(object, one.path)) == one.value) == one.equal;
  });
}

bool matches_label_selector(const Json& selector, const Json& labels) {
  if (!selector.is_object()) return false;
  const Json& exact = at(selector, "matchLabels");
  if (exact.is_object())
    for (const auto& [key, value] : exact.items())
      if (at(labels, key) != value) return false;
  const Json& expressions = at(selector, "matchExpressions");
  if (!expressions.is_array()) return true;
  return std::all_of(expressions.begin(), expressions.end(), [&](const Json& one) {
    const std::string op = string_at(one, "operator");
    const Json& value = at(labels, string_at(one, "key"));
    const Json& values = at(one, "values");
    const bool listed =
        values.is_array() && std::find(values.begin(), values.end(), value) != values.end();
    if (op == "In") return value.is_string() && listed;
    if (op == "NotIn") return !value.is_string() || !listed;
    if (op == "Exists") return value.is_string();
    return op == "DoesNotExist" && !value.is_string();
  });
}

std::string label_selector_text(const Json& selector) {
  std::vector<std::string> parts;
  const Json& exact = at(selector, "matchLabels");
  if (exact.is_object())
    for (const auto& [key, value] : exact.items())
      parts.push_back(key + "=" + value.get<std::string>());
  const Json& expressions = at(selector, "matchExpressions");
  if (expressions.is_array()) {
    for (const Json& one : expressions) {
      const std::string key = string_at(one, "key");
      const std::string op = string_at(one, "operator");
      std::string list;
      if (at(one, "values").is_array())
        for (const Json& value : at(one, "values"))
          list += (list.empty() ? "" : ",") + value.get<std::string>();
      if (op == "In") parts.push_back(key + " in (" + list + ")");
      if (op == "NotIn") parts.push_back(key + " notin (" + list + ")");
      if (op == "Exists") parts.push_back(key);
      if (op == "DoesNotExist") parts.push_back("!" + key);
    }
  }
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

}  // namespace fairlead::orchestrator::apiserver
