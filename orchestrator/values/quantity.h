// SPDX-License-Identifier: Apache-2.0
// Resource quantities, "100m", "1Gi", "1e3": the grammar, rounding, limits and canonical form of
// resource.Quantity (k8s.io/apimachinery pkg/api/resource/quantity.go). Pure values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead::orchestrator {

// Exact: no digit is lost but those below a nano, which round away from zero.
class Quantity {
 public:
  // Which family of suffixes it was written with, and is written with again.
  enum class Format { kDecimal, kBinary, kExponent };

  // Ours, Kubernetes has none: it bounds the work that a text can cause.
  static constexpr size_t kMaxLength = 256;

  Quantity() = default;

  // quantity := [+-] number suffix
  // number   := digits | digits "." | digits "." digits | "." digits
  // suffix   := "" n u m k M G T P E | Ki Mi Gi Ti Pi Ei | (e|E) [+-] digits
  // Quantities with a binary suffix end at 2^63-1, silently; decimal ones have no end. Kubernetes'
  // parser also takes texts without a digit ("m", "-") for 0, against its own grammar: refused.
  // kInvalid has Kubernetes' words.
  static Result<Quantity> parse(std::string_view text);

  // No digit after the point, the largest suffix that loses nothing: "0.5" -> "500m", "1024Mi" ->
  // "1Gi", "1.5Gi" -> "1536Mi". Parses to the same quantity.
  std::string canonical() const;

  // In whole units and in thousandths, rounded away from zero; what int64 cannot hold is its limit.
  int64_t value() const { return scaled(0); }
  int64_t milli() const { return scaled(-3); }

  // By what they amount to: "1" equals "1000m".
  std::strong_ordering operator<=>(const Quantity& other) const;
  bool operator==(const Quantity& other) const { return (*this <=> other) == 0; }

 private:
  int64_t scaled(int64_t power) const;
  void drop_zeros();
  void round_up(int64_t power);
  void cap_binary();
  std::string canonical_binary() const;

  // digits_ * 10^exponent_. No zeros lead or trail the digits; none are zero itself.
  std::string digits_;
  int64_t exponent_ = 0;
  bool negative_ = false;
  Format format_ = Format::kDecimal;
};

}  // namespace fairlead::orchestrator
