// SPDX-License-Identifier: Apache-2.0
// Label selectors as they stand in a URL, in the words of k8s.io/apimachinery pkg/labels. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::kube {

class LabelSelector {
 public:
  // "app=web,tier!=db,env in (a,b),zone notin (c),owner,!legacy,size>3". Empty matches everything.
  // kInvalid: what is wrong, in kubectl's words.
  static Result<LabelSelector> parse(std::string_view text);
  // The value of a label; nullopt: it is not there. What it refers to lives as long as the call.
  using LookUp = std::function<std::optional<std::string_view>(const std::string& key)>;
  bool matches(const LookUp& value_of) const;
  bool empty() const { return requirements_.empty(); }
  bool compares_numbers() const;  // has a '<' or '>', which metav1.LabelSelector has not

 private:
  enum class Operator { kIn, kNotIn, kExists, kNotExists, kGreater, kLess };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
    bool holds(const LookUp& value_of) const;
  };
  friend class LabelSelectorParser;
  std::vector<Requirement> requirements_;
};

}  // namespace fairlead::kube
