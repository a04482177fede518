// SPDX-License-Identifier: Apache-2.0
// resource.Quantity: "1.5Gi", "250m", "1e3" (k8s.io/apimachinery pkg/api/resource).
#include <array>
#include <charconv>
#include <limits>

#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

using Wide = __int128;

struct Suffix {
  std::string_view text;
  bool binary;
  int power;  // of 1024, or of 10
};

constexpr Suffix kSuffixes[] = {
    {"Ki", true, 1},  {"Mi", true, 2},  {"Gi", true, 3},  {"Ti", true, 4},
    {"Pi", true, 5},  {"Ei", true, 6},  {"n", false, -9}, {"u", false, -6},
    {"m", false, -3}, {"", false, 0},   {"k", false, 3},  {"M", false, 6},
    {"G", false, 9},  {"T", false, 12}, {"P", false, 15}, {"E", false, 18},
};

// value * 10^-9, and which family of suffixes it was written with.
struct Parsed {
  Wide nano = 0;
  bool negative = false;
  bool binary = false;
  bool exponent = false;
};

constexpr Wide kNano = 1'000'000'000;
constexpr Wide kMax = Wide{1} << 100;

std::optional<Parsed> apply_suffix(Parsed parsed, std::string_view suffix, int fraction_digits) {
  int power = -fraction_digits;
  if (!suffix.empty() &&
      (suffix[0] == 'e' || (suffix[0] == 'E' && suffix.size() > 1 && suffix != "Ei"))) {
    int exponent = 0;
    suffix.remove_prefix(1);
    if (!suffix.empty() && suffix[0] == '+') suffix.remove_prefix(1);
    const auto [end, failure] =
        std::from_chars(suffix.data(), suffix.data() + suffix.size(), exponent);
    if (failure != std::errc() || end != suffix.data() + suffix.size()) return std::nullopt;
    if (exponent > 18 || exponent < -18) return std::nullopt;
    power += exponent;
    parsed.exponent = true;
  } else {
    const Suffix* found = nullptr;
    for (const Suffix& one : kSuffixes)
      if (one.text == suffix) found = &one;
    if (found == nullptr) return std::nullopt;
    parsed.binary = found->binary;
    if (found->binary)
      for (int i = 0; i < found->power && parsed.nano < kMax; ++i) parsed.nano *= 1024;
    else
      power += found->power;
  }
  power += 9;  // to nano
  for (; power > 0 && parsed.nano < kMax; --power) parsed.nano *= 10;
  for (; power < 0; ++power) parsed.nano = (parsed.nano + 9) / 10;  // rounds up, as Quantity does
  if (parsed.nano >= kMax) return std::nullopt;
  return parsed;
}

std::optional<Parsed> parse(std::string_view text) {
  Parsed parsed;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    parsed.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  size_t i = 0;
  int fraction = 0, digits = 0;
  bool point = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (text[i] < '0' || text[i] > '9') break;
    if (++digits > 28) return std::nullopt;
    parsed.nano = parsed.nano * 10 + (text[i] - '0');
    fraction += point ? 1 : 0;
  }
  if (digits == 0) return std::nullopt;
  return apply_suffix(parsed, text.substr(i), fraction);
}

std::string to_text(Wide value) {
  std::string text;
  do text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
  while ((value /= 10) != 0);
  return text;
}

}  // namespace

std::optional<std::string> canonical_quantity(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return std::nullopt;
  if (parsed->nano == 0) return "0";
  if (parsed->exponent) return std::string(text);
  const std::string sign = parsed->negative ? "-" : "";
  const bool whole = parsed->nano % kNano == 0;
  if (parsed->binary && whole && parsed->nano / kNano >= 1024) {
    Wide value = parsed->nano / kNano;
    int power = 0;
    while (power < 6 && value % 1024 == 0) value /= 1024, ++power;
    return sign + to_text(value) + std::string(power == 0 ? "" : kSuffixes[power - 1].text);
  }
  static constexpr std::array<std::string_view, 10> kDecimal = {"n", "u", "m", "",  "k",
                                                                "M", "G", "T", "P", "E"};
  Wide value = parsed->nano;
  size_t suffix = 0;
  while (suffix + 1 < kDecimal.size() && value % 1000 == 0) value /= 1000, ++suffix;
  return sign + to_text(value) + std::string(kDecimal[suffix]);
}

std::optional<int64_t> quantity_milli(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return std::nullopt;
  const Wide milli = (parsed->nano + 999'999) / 1'000'000;
  if (milli > std::numeric_limits<int64_t>::max())
    return parsed->negative ? std::numeric_limits<int64_t>::min()
                            : std::numeric_limits<int64_t>::max();
  const auto value = static_cast<int64_t>(milli);
  return parsed->negative ? -value : value;
}

}  // namespace fairlead::orchestrator::apiserver::schema
