// SPDX-License-Identifier: Apache-2.0
// Resource quantities: "100m", "1Gi", "1e3", "0.5" (k8s.io/apimachinery resource.Quantity). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace fairlead::orchestrator::scheduling {

// Exact to 1e-9, finer digits are rounded away from zero; what is larger than int64 saturates.
class Quantity {
 public:
  // Sign, decimal digits with an optional point, then one of: nothing; n u m k M G T P E; Ki Mi Gi
  // Ti Pi Ei; e or E with an exponent.
  static Result<Quantity> parse(std::string_view text);

  int64_t value() const;  // whole units, rounded up
  int64_t milli() const;  // thousandths, rounded up
  auto operator<=>(const Quantity&) const = default;

 private:
  __extension__ using Wide = __int128;
  Wide nanos_ = 0;
};

}  // namespace fairlead::orchestrator::scheduling
