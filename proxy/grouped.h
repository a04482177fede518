// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace fairlead::proxy {

// "48,213"
inline std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

// "1 service", "12,311 services"
inline std::string counted(uint64_t number, const std::string& what) {
  return grouped(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace fairlead::proxy
