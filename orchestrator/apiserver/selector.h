// SPDX-License-Identifier: Apache-2.0
// Field selectors as they stand in a URL, LabelSelector objects, and what labels in JSON match.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/label_selector.h"
#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {

using kube::LabelSelector;

bool matches(const LabelSelector& selector, const Json& labels);  // an object of strings, or null

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
