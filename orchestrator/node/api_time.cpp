// SPDX-License-Identifier: Apache-2.0
// Times of the API (part of pod_spec.h).
#include <cstdio>
#include <ctime>

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

namespace {

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
