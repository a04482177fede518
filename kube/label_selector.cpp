// SPDX-License-Identifier: Apache-2.0
#include "kube/label_selector.h"

#include <algorithm>
#include <charconv>

#include "kube/names.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxRequirements = 1000;

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool contains(const std::vector<std::string>& values, std::string_view value) {
  return std::ranges::find(values, value) != values.end();
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
    if (auto wrong = check_qualified_name(requirement.key))
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
      if (auto wrong = check_label_value(value))
        return "values[0][" + requirement.key + "]: Invalid value: \"" + value + "\": " + *wrong;
    return std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
};

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  return LabelSelectorParser(text).parse();
}

bool LabelSelector::Requirement::holds(const LookUp& value_of) const {
  const std::optional<std::string_view> value = value_of(key);
  switch (op) {
    case Operator::kIn:
      return value && contains(values, *value);
    case Operator::kNotIn:
      return !value || !contains(values, *value);
    case Operator::kExists:
      return value.has_value();
    case Operator::kNotExists:
      return !value;
    case Operator::kGreater:
    case Operator::kLess: {
      const auto number = to_int(value.value_or(""));
      const auto limit = to_int(values[0]);
      if (!number || !limit) return false;
      return op == Operator::kGreater ? *number > *limit : *number < *limit;
    }
  }
  return false;
}

bool LabelSelector::matches(const LookUp& value_of) const {
  return std::ranges::all_of(requirements_,
                             [&](const Requirement& one) { return one.holds(value_of); });
}

bool LabelSelector::compares_numbers() const {
  return std::ranges::any_of(requirements_, [](const Requirement& one) {
    return one.op == Operator::kGreater || one.op == Operator::kLess;
  });
}

}  // namespace fairlead::kube
