// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxRequirements = 1000;

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

std::string field_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  return "";
}

}  // namespace

class LabelSelectorParser {
 public:
  explicit LabelSelectorParser(std::string_view text) : text_(text) {}

  Result<LabelSelector> parse() {
    LabelSelector selector;
    skip_space();
    while (at_ < text_.size()) {
      LabelSelector::Requirement requirement;
      if (auto wrong = parse_requirement(requirement)) return error(*wrong);
      selector.requirements_.push_back(std::move(requirement));
      if (selector.requirements_.size() > kMaxRequirements) return error("too many requirements");
      skip_space();
      if (at_ == text_.size()) break;
      if (text_[at_++] != ',') return error("found '" + rest(at_ - 1) + "', expected: ',' or end");
      skip_space();
      if (at_ == text_.size()) return error("found '', expected: identifier after ','");
    }
    return selector;
  }

 private:
  using Operator = LabelSelector::Operator;
  using Wrong = std::optional<std::string>;

  Error error(const std::string& why) const {
    return Error(ErrorCode::kInvalid, "unable to parse requirement: " + why);
  }
  std::string rest(size_t from) const { return std::string(text_.substr(from, 40)); }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  std::string word() {
    skip_space();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           std::string_view(" \t,()=!<>").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  bool take(std::string_view token) {
    skip_space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Wrong parse_requirement(LabelSelector::Requirement& requirement) {
    const bool negated = take("!");
    requirement.key = word();
    if (requirement.key.empty()) return "found '" + rest(at_) + "', expected: identifier";
    if (auto wrong = schema::check_qualified_name(requirement.key))
      return "key: Invalid value: \"" + requirement.key + "\": " + *wrong;
    skip_space();
    if (negated || at_ == text_.size() || text_[at_] == ',') {
      requirement.op = negated ? Operator::kNotExists : Operator::kExists;
      return std::nullopt;
    }
    if (take("==") || take("=")) return single(requirement, Operator::kIn);
    if (take("!=")) return single(requirement, Operator::kNotIn);
    if (take(">")) return number(requirement, Operator::kGreater);
    if (take("<")) return number(requirement, Operator::kLess);
    const std::string name = word();
    if (name == "in") return set(requirement, Operator::kIn);
    if (name == "notin") return set(requirement, Operator::kNotIn);
    return "found '" + name + rest(at_) + "', expected: in, notin, =, ==, !=, gt, lt";
  }

  Wrong single(LabelSelector::Requirement& requirement, Operator op) {
    requirement.op = op;
    requirement.values = {word()};
    return check_values(requirement);
  }
  Wrong number(LabelSelector::Requirement& requirement, Operator op) {
    requirement.op = op;
    requirement.values = {word()};
    if (!to_int(requirement.values[0]))
      return "values[0]: Invalid value: \"" + requirement.values[0] +
             "\": for 'Gt', 'Lt' operators, the value must be an integer";
    return std::nullopt;
  }
  Wrong set(LabelSelector::Requirement& requirement, Operator op) {
    requirement.op = op;
    if (!take("(")) return "found '" + rest(at_) + "', expected: '('";
    do {
      requirement.values.push_back(word());
      if (requirement.values.size() > kMaxRequirements) return "too many values";
    } while (take(","));
    if (!take(")")) return "found '" + rest(at_) + "', expected: ',', ')'";
    return check_values(requirement);
  }
  static Wrong check_values(const LabelSelector::Requirement& requirement) {
    for (const std::string& value : requirement.values)
      if (auto wrong = schema::check_label_value(value))
        return "values[0][" + requirement.key + "]: Invalid value: \"" + value + "\": " + *wrong;
    return std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
};

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  return LabelSelectorParser(text).parse();
}

bool LabelSelector::Requirement::holds(const Json& labels) const {
  const Json& value = at(labels, key);
  const bool there = value.is_string();
  const std::string text = there ? value.get<std::string>() : std::string();
  switch (op) {
    case Operator::kIn:
      return there && contains(values, text);
    case Operator::kNotIn:
      return !there || !contains(values, text);
    case Operator::kExists:
      return there;
    case Operator::kNotExists:
      return !there;
    case Operator::kGreater:
    case Operator::kLess: {
      const auto number = to_int(text);
      const auto limit = to_int(values[0]);
      if (!there || !number || !limit) return false;
      return op == Operator::kGreater ? *number > *limit : *number < *limit;
    }
  }
  return false;
}

bool LabelSelector::matches(const Json& labels) const {
  return std::all_of(requirements_.begin(), requirements_.end(),
                     [&](const Requirement& one) { return one.holds(labels); });
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
