// SPDX-License-Identifier: Apache-2.0
#include "dns/loc_text.h"

#include <array>
#include <charconv>

namespace fairlead::dns {
namespace {

constexpr uint32_t kEquator = 1u << 31;  // in thousandths of an arc second
constexpr int64_t kLowest = 10'000'000;  // centimetres below the reference spheroid
constexpr int64_t kHighest = 4'284'967'295;
constexpr uint64_t kMaxPrecision = 9'000'000'000;  // centimetres

// "12.5" with so many digits behind the point is 12500 for three; nothing when it is no number.
std::optional<uint64_t> fixed_of(std::string_view text, size_t decimals) {
  const size_t point = text.find('.');
  std::string digits(text.substr(0, point));
  const std::string_view behind = point == std::string_view::npos ? "" : text.substr(point + 1);
  if (digits.empty() || digits.size() > 10 || behind.size() > decimals) return std::nullopt;
  digits += behind;
  digits.append(decimals - behind.size(), '0');
  uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

// Degrees, maybe minutes and seconds, and a hemisphere; they go from `tokens`.
Result<uint32_t> angle_of(std::span<const Token>& tokens, uint64_t most, char plus, char minus) {
  static constexpr uint64_t kUnits[] = {3'600'000, 60'000, 1};
  uint64_t sum = 0;
  for (size_t i = 0; i < 4 && !tokens.empty(); ++i, tokens = tokens.subspan(1)) {
    const std::string& text = tokens.front().text;
    if (i > 0 && text.size() == 1 && (text[0] == plus || text[0] == minus)) {
      if (sum > most * kUnits[0]) return Error::invalid("an angle is too large");
      tokens = tokens.subspan(1);
      const auto angle = static_cast<uint32_t>(sum);
      return text[0] == plus ? kEquator + angle : kEquator - angle;
    }
    const auto number = i < 3 ? fixed_of(text, i == 2 ? 3 : 0) : std::nullopt;
    const uint64_t below = i == 0 ? most + 1 : i == 1 ? 60 : 60'000;
    if (!number || *number >= below) return Error::invalid("'" + text + "' is no part of an angle");
    sum += *number * kUnits[i];
  }
  return Error::invalid("a hemisphere is missing");
}

// Metres as centimetres.
std::optional<uint64_t> metres_of(std::string_view text) {
  if (text.ends_with('m')) text.remove_suffix(1);
  return fixed_of(text, 2);
}

// RFC 1876 section 2: a digit and a power of ten, four bits each.
uint8_t power_of(uint64_t centimetres) {
  uint8_t exponent = 0;
  for (; centimetres > 9; centimetres /= 10) ++exponent;
  return static_cast<uint8_t>(centimetres << 4 | exponent);
}

void put_u32(std::vector<uint8_t>& out, uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<uint8_t>(value >> shift));
}

}  // namespace

Result<std::vector<uint8_t>> loc_from_text(std::span<const Token> tokens) {
  const auto latitude = angle_of(tokens, 90, 'N', 'S');
  if (!latitude.ok()) return latitude.error();
  const auto longitude = angle_of(tokens, 180, 'E', 'W');
  if (!longitude.ok()) return longitude.error();
  if (tokens.empty()) return Error::invalid("the altitude is missing");
  std::string_view text = tokens.front().text;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto height = metres_of(text);
  const int64_t altitude = !height    ? 0
                           : negative ? -static_cast<int64_t>(*height)
                                      : static_cast<int64_t>(*height);
  if (!height || altitude < -kLowest || altitude > kHighest)
    return Error::invalid("'" + tokens.front().text + "' is no altitude");
  // Size, horizontal and vertical precision; the defaults are RFC 1876 section 3's.
  std::array<uint8_t, 3> precisions = {power_of(100), power_of(1'000'000), power_of(1'000)};
  tokens = tokens.subspan(1);
  if (tokens.size() > precisions.size())
    return Error::invalid("'" + tokens[3].text + "' is too much");
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto metres = metres_of(tokens[i].text);
    if (!metres || *metres > kMaxPrecision)
      return Error::invalid("'" + tokens[i].text + "' is no precision");
    precisions[i] = power_of(*metres);
  }
  std::vector<uint8_t> out = {0, precisions[0], precisions[1], precisions[2]};
  put_u32(out, *latitude);
  put_u32(out, *longitude);
  put_u32(out, static_cast<uint32_t>(altitude + kLowest));
  return out;
}

}  // namespace fairlead::dns
