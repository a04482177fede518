// SPDX-License-Identifier: Apache-2.0
// metav1.LabelSelector. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fairlead::orchestrator::controllers {

using Labels = std::map<std::string, std::string>;

enum class SelectorOp { kIn, kNotIn, kExists, kDoesNotExist, kGt, kLt, kInvalid };
SelectorOp parse_selector_op(const std::string& text);

// Gt and Lt are for node affinity only: both sides must be integers.
struct Requirement {
  std::string key;
  SelectorOp op = SelectorOp::kInvalid;
  std::vector<std::string> values;
  bool operator==(const Requirement&) const = default;
};

// A requirement with an unknown operator matches nothing.
bool matches(const Requirement& requirement, const Labels& labels);

struct LabelSelector {
  Labels match_labels;
  std::vector<Requirement> expressions;
  // Kubernetes: an empty selector matches everything; controllers refuse to act on one.
  bool empty() const { return match_labels.empty() && expressions.empty(); }
  bool operator==(const LabelSelector&) const = default;
};

bool matches(const LabelSelector& selector, const Labels& labels);
bool contains_all(const Labels& labels, const Labels& wanted);

}  // namespace fairlead::orchestrator::controllers
