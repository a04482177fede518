// SPDX-License-Identifier: Apache-2.0
// Which objects a list or a watch wants: label and field selectors checked against the kind. Pure.
#pragma once

#include "orchestrator/apiserver/kind.h"
#include "orchestrator/apiserver/selector.h"

namespace fairlead::orchestrator::apiserver {

class Filter {
 public:
  static Outcome<Filter> make(const Kind& kind, std::string_view labels, std::string_view fields);
  bool matches(const Json& stored) const;
  bool empty() const { return labels_.empty() && fields_.empty(); }
  // The object's name when the filter fixes it; empty otherwise.
  std::string single_name() const;

 private:
  const Kind* kind_ = nullptr;
  LabelSelector labels_;
  FieldSelector fields_;
};

// What filters look at, and no more: what is kept of an object beside its bytes.
Json selectable_part(const Kind& kind, const Json& stored);

}  // namespace fairlead::orchestrator::apiserver
