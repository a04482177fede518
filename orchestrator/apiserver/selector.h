// SPDX-License-Identifier: Apache-2.0
// Label and field selectors as they stand in a URL, and LabelSelector objects. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {

class LabelSelector {
 public:
  // "app=web,tier!=db,env in (a,b),zone notin (c),owner,!legacy,size>3". Empty matches everything.
  static Result<LabelSelector> parse(std::string_view text);
  bool matches(const Json& labels) const;  // labels: an object of strings, or null
  bool empty() const { return requirements_.empty(); }

 private:
  enum class Operator { kIn, kNotIn, kExists, kNotExists, kGreater, kLess };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
    bool holds(const Json& labels) const;
  };
  friend class LabelSelectorParser;
  std::vector<Requirement> requirements_;
};

// Equality over dotted paths: "status.phase!=Running,spec.nodeName=n1". "\," and "\=" are literal.
class FieldSelector {
 public:
  struct Requirement {
    std::string path;
    std::string value;
    bool equal = true;
  };
  static Result<FieldSelector> parse(std::string_view text);
  // Absent fields are ""; booleans are "true" and "false".
  bool matches(const Json& object) const;
  bool empty() const { return requirements_.empty(); }
  const std::vector<Requirement>& requirements() const { return requirements_; }

 private:
  std::vector<Requirement> requirements_;
};

// metav1.LabelSelector: null matches nothing, an empty one everything.
bool matches_label_selector(const Json& selector, const Json& labels);
// The same as URL text: "app=web,tier in (a,b)".
std::string label_selector_text(const Json& selector);

}  // namespace fairlead::orchestrator::apiserver
