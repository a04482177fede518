// SPDX-License-Identifier: Apache-2.0
// Decimal numbers in text. Pure.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace fairlead::dns {

// Nothing unless the whole text is a number that fits.
template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

}  // namespace fairlead::dns
