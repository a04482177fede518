// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/quantity.h"

#include <array>
#include <limits>
#include <string>

namespace fairlead::orchestrator::scheduling {
namespace {

__extension__ using Wide = __int128;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr Wide kNano = 1'000'000'000;
constexpr Wide kLimit = Wide{kMax} * kNano;
constexpr size_t kMaxLength = 64;
constexpr int kMaxExponent = 40;  // far outside what fits

struct Suffix {
  std::string_view text;
  int decimal;  // power of ten
  int binary;   // power of two
};
constexpr std::array<Suffix, 16> kSuffixes = {{
    {"", 0, 0},
    {"n", -9, 0},
    {"u", -6, 0},
    {"m", -3, 0},
    {"k", 3, 0},
    {"M", 6, 0},
    {"G", 9, 0},
    {"T", 12, 0},
    {"P", 15, 0},
    {"E", 18, 0},
    {"Ki", 0, 10},
    {"Mi", 0, 20},
    {"Gi", 0, 30},
    {"Ti", 0, 40},
    {"Pi", 0, 50},
    {"Ei", 0, 60},
}};

Error bad(std::string_view text) {
  return Error(ErrorCode::kInvalid,
               "quantity \"" + std::string(text) +
                   "\": must be a number with an optional suffix such as m, k, Mi or e3");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Wide saturating_multiply(Wide value, int factor) {
  return value > kLimit / factor ? kLimit : value * factor;
}

// Finds the power of ten and two that `suffix` stands for.
bool read_suffix(std::string_view suffix, int& decimal, int& binary) {
  for (const Suffix& known : kSuffixes) {
    if (suffix != known.text) continue;
    decimal = known.decimal;
    binary = known.binary;
    return true;
  }
  if (suffix.empty() || (suffix.front() != 'e' && suffix.front() != 'E')) return false;
  suffix.remove_prefix(1);
  int sign = 1;
  if (!suffix.empty() && (suffix.front() == '+' || suffix.front() == '-')) {
    sign = suffix.front() == '-' ? -1 : 1;
    suffix.remove_prefix(1);
  }
  if (suffix.empty()) return false;
  int exponent = 0;
  for (const char c : suffix) {
    if (!is_digit(c)) return false;
    exponent = exponent * 10 + (c - '0');
    if (exponent > kMaxExponent) exponent = kMaxExponent;
  }
  decimal = sign * exponent;
  binary = 0;
  return true;
}

int64_t rounded_up(Wide nanos, Wide unit) {
  Wide result = nanos / unit;
  if (nanos % unit > 0) ++result;
  if (result > kMax) return kMax;
  if (result < -Wide{kMax}) return -kMax;
  return static_cast<int64_t>(result);
}

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.size() > kMaxLength) return bad(text.substr(0, kMaxLength));
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '+' || rest.front() == '-')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  size_t length = 0;
  int digits = 0;
  bool point = false;
  while (length < rest.size() && (is_digit(rest[length]) || (rest[length] == '.' && !point))) {
    if (rest[length] == '.')
      point = true;
    else
      ++digits;
    ++length;
  }
  int decimal = 0;
  int binary = 0;
  if (digits == 0 || !read_suffix(rest.substr(length), decimal, binary)) return bad(text);

  // `scale`: the power of ten that the digit at hand stands for, in nanos. Summing digit by digit
  // keeps every exact digit and saturates instead of wrapping.
  const std::string_view number = rest.substr(0, length);
  const size_t whole = std::min(number.find('.'), number.size());
  int scale = decimal + 9 + static_cast<int>(whole) - 1;
  Wide sum = 0;       // in nanos, without the binary factor
  bool lost = false;  // a digit below a nano
  Wide fraction = 0;  // digits below a nano before the binary factor, in 1e-18
  for (const char c : number) {
    if (c == '.') continue;
    const int digit = c - '0';
    Wide part = digit;
    if (digit != 0 && scale >= 0) {
      for (int i = 0; i < scale; ++i) part = saturating_multiply(part, 10);
      sum = sum > kLimit - part ? kLimit : sum + part;
    } else if (digit != 0 && scale >= -9) {
      for (int i = -9; i < scale; ++i) part *= 10;
      fraction += part;
    } else if (digit != 0) {
      lost = true;
    }
    --scale;
  }
  for (int i = 0; i < binary; ++i) {
    sum = saturating_multiply(sum, 2);
    fraction *= 2;  // below 2^60 * 1e9: fits
  }
  sum = std::min(kLimit, sum + fraction / kNano);
  if ((fraction % kNano != 0 || lost) && sum < kLimit) ++sum;
  Quantity result;
  result.nanos_ = negative ? -sum : sum;
  return result;
}

int64_t Quantity::value() const {
  return rounded_up(nanos_, kNano);
}
int64_t Quantity::milli() const {
  return rounded_up(nanos_, kNano / 1000);
}

}  // namespace fairlead::orchestrator::scheduling
