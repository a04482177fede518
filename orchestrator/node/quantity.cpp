// SPDX-License-Identifier: Apache-2.0
// Quantities and times of the API (parts of pod_spec.h).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

namespace {

constexpr long double kMaxMillis = 9.2e18L;

// The factor of a suffix, negative when there is no such suffix.
long double factor_of(std::string_view suffix) {
  struct Row {
    std::string_view suffix;
    long double factor;
  };
  static constexpr Row kRows[] = {
      {"", 1},
      {"n", 1e-9L},
      {"u", 1e-6L},
      {"m", 1e-3L},
      {"k", 1e3L},
      {"M", 1e6L},
      {"G", 1e9L},
      {"T", 1e12L},
      {"P", 1e15L},
      {"E", 1e18L},
      {"Ki", 1024.0L},
      {"Mi", 1048576.0L},
      {"Gi", 1073741824.0L},
      {"Ti", 1099511627776.0L},
      {"Pi", 1125899906842624.0L},
      {"Ei", 1152921504606846976.0L},
  };
  for (const Row& row : kRows)
    if (row.suffix == suffix) return row.factor;
  return -1;
}

Error bad_quantity(std::string_view text) {
  return Error(ErrorCode::kInvalid,
               "\"" + std::string(text) + "\" is not a quantity (\"500m\", \"64Mi\")");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Days since 1970-01-01 of a proleptic Gregorian date.
int64_t days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<int64_t>(year - era * 400);
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

// Reads exactly `count` digits.
bool take_number(std::string_view& text, size_t count, int* value) {
  if (text.size() < count) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return false;
    *value = *value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// ".123456789", of which nine digits count.
int64_t take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  int64_t nanos = 0;
  int digits = 0;
  while (!text.empty() && is_digit(text.front())) {
    if (digits < 9) nanos = nanos * 10 + (text.front() - '0'), ++digits;
    text.remove_prefix(1);
  }
  for (; digits < 9; ++digits) nanos *= 10;
  return nanos;
}

std::string format_civil(WallTime time, int64_t* nanos) {
  const auto since = time.time_since_epoch();
  auto whole = std::chrono::floor<std::chrono::seconds>(since);
  *nanos = (since - whole).count();
  const std::time_t when = whole.count();
  std::tm parts{};
  gmtime_r(&when, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return text;
}

}  // namespace

Result<int64_t> parse_quantity(std::string_view text) {
  size_t end = 0;
  if (end < text.size() && (text[end] == '+' || text[end] == '-')) ++end;
  const size_t first = end;
  size_t digits = 0;
  bool point = false;
  for (; end < text.size() && (is_digit(text[end]) || (text[end] == '.' && !point)); ++end) {
    if (text[end] == '.')
      point = true;
    else
      ++digits;
  }
  if (digits == 0 || end - first > 40) return bad_quantity(text);
  long double value = std::strtold(std::string(text.substr(0, end)).c_str(), nullptr);
  std::string_view suffix = text.substr(end);
  const bool exponent = suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E') &&
                        (is_digit(suffix[1]) || suffix[1] == '-' || suffix[1] == '+');
  if (exponent) {
    char* rest = nullptr;
    const std::string power(suffix.substr(1));
    const long parsed = std::strtol(power.c_str(), &rest, 10);
    if (*rest != '\0' || parsed > 40 || parsed < -40) return bad_quantity(text);
    value *= std::pow(10.0L, static_cast<long double>(parsed));
  } else {
    const long double factor = factor_of(suffix);
    if (factor < 0) return bad_quantity(text);
    value *= factor;
  }
  // Rounded away from zero, a hair left aside for what binary fractions add ("0.1").
  const long double millis = value * 1000;
  const long double rounded = millis < 0 ? std::floor(millis + 1e-6L) : std::ceil(millis - 1e-6L);
  return static_cast<int64_t>(std::min(std::max(rounded, -kMaxMillis), kMaxMillis));
}

std::string format_time(WallTime time) {
  int64_t nanos = 0;
  return format_civil(time, &nanos) + "Z";
}

std::string format_time_nanos(WallTime time) {
  int64_t nanos = 0;
  const std::string civil = format_civil(time, &nanos);
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%09dZ", static_cast<int>(nanos));
  return civil + fraction;
}

std::optional<WallTime> parse_time(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool civil =
      take_number(text, 4, &year) && take(text, '-') && take_number(text, 2, &month) &&
      take(text, '-') && take_number(text, 2, &day) && (take(text, 'T') || take(text, 't')) &&
      take_number(text, 2, &hour) && take(text, ':') && take_number(text, 2, &minute) &&
      take(text, ':') && take_number(text, 2, &second);
  if (!civil || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
      second > 60)
    return std::nullopt;
  if (year < 1678 || year > 2261) return std::nullopt;  // beyond what nanoseconds in 64 bits reach
  const int64_t nanos = take_fraction(text);
  int64_t offset = 0;
  if (!take(text, 'Z') && !take(text, 'z')) {
    const bool plus = take(text, '+');
    if (!plus && !take(text, '-')) return std::nullopt;
    int offset_hour = 0, offset_minute = 0;
    if (!take_number(text, 2, &offset_hour) || !take(text, ':') ||
        !take_number(text, 2, &offset_minute))
      return std::nullopt;
    offset = (plus ? 1 : -1) * (offset_hour * 3600 + offset_minute * 60);
  }
  if (!text.empty()) return std::nullopt;
  const int64_t seconds =
      days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
}

}  // namespace fairlead::orchestrator
