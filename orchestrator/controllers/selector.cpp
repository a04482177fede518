// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/selector.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace fairlead::orchestrator::controllers {
namespace {

std::optional<int64_t> to_integer(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

SelectorOp parse_selector_op(const std::string& text) {
  if (text == "In") return SelectorOp::kIn;
  if (text == "NotIn") return SelectorOp::kNotIn;
  if (text == "Exists") return SelectorOp::kExists;
  if (text == "DoesNotExist") return SelectorOp::kDoesNotExist;
  if (text == "Gt") return SelectorOp::kGt;
  if (text == "Lt") return SelectorOp::kLt;
  return SelectorOp::kInvalid;
}

bool matches(const Requirement& requirement, const Labels& labels) {
  const auto it = labels.find(requirement.key);
  const bool present = it != labels.end();
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), it->second) !=
           requirement.values.end();
  };
  switch (requirement.op) {
    case SelectorOp::kIn:
      return present && listed();
    case SelectorOp::kNotIn:
      return !present || !listed();
    case SelectorOp::kExists:
      return present;
    case SelectorOp::kDoesNotExist:
      return !present;
    case SelectorOp::kGt:
    case SelectorOp::kLt: {
      if (!present || requirement.values.size() != 1) return false;
      const auto have = to_integer(it->second);
      const auto bound = to_integer(requirement.values.front());
      if (!have || !bound) return false;
      return requirement.op == SelectorOp::kGt ? *have > *bound : *have < *bound;
    }
    case SelectorOp::kInvalid:
      return false;
  }
  return false;
}

bool contains_all(const Labels& labels, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto it = labels.find(pair.first);
    return it != labels.end() && it->second == pair.second;
  });
}

bool matches(const LabelSelector& selector, const Labels& labels) {
  return contains_all(labels, selector.match_labels) &&
         std::all_of(selector.expressions.begin(), selector.expressions.end(),
                     [&](const Requirement& requirement) { return matches(requirement, labels); });
}

}  // namespace fairlead::orchestrator::controllers
