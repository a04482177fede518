// SPDX-License-Identifier: Apache-2.0
#include "base/rfc3339.h"

#include <fmt/core.h>

#include <ctime>

namespace fairlead {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

std::string whole_seconds(WallTime time) {
  const time_t unix_seconds = std::chrono::floor<seconds>(time).time_since_epoch().count();
  tm parts{};
  gmtime_r(&unix_seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// Takes exactly `digits` digits off the front.
bool take_number(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

nanoseconds take_fraction(std::string_view& text) {
  int64_t value = 0;
  int64_t unit = 100'000'000;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    value += (text.front() - '0') * unit;
    unit /= 10;
    text.remove_prefix(1);
  }
  return nanoseconds(value);
}

}  // namespace

std::string to_rfc3339(WallTime time) {
  return whole_seconds(time) + "Z";
}

std::string to_rfc3339_micro(WallTime time) {
  const auto fraction = time - std::chrono::floor<seconds>(time);
  const auto micros = std::chrono::duration_cast<microseconds>(fraction).count();
  return fmt::format("{}.{:06}Z", whole_seconds(time), micros);
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  tm parts{};
  if (!take_number(text, 4, parts.tm_year) || !take(text, '-') ||
      !take_number(text, 2, parts.tm_mon) || !take(text, '-') ||
      !take_number(text, 2, parts.tm_mday) || (!take(text, 'T') && !take(text, 't')) ||
      !take_number(text, 2, parts.tm_hour) || !take(text, ':') ||
      !take_number(text, 2, parts.tm_min) || !take(text, ':') ||
      !take_number(text, 2, parts.tm_sec))
    return std::nullopt;
  if (parts.tm_year < 1678 || parts.tm_year > 2261 || parts.tm_mon < 1 || parts.tm_mon > 12 ||
      parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 ||
      parts.tm_sec > 60)
    return std::nullopt;
  nanoseconds fraction{};
  if (take(text, '.')) fraction = take_fraction(text);
  seconds offset{};
  if (!take(text, 'Z') && !take(text, 'z')) {
    if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
    const int sign = text.front() == '+' ? 1 : -1;
    text.remove_prefix(1);
    int hours = 0;
    int minutes = 0;
    if (!take_number(text, 2, hours) || !take(text, ':') || !take_number(text, 2, minutes))
      return std::nullopt;
    offset = seconds(sign * (hours * 3600 + minutes * 60));
  }
  if (!text.empty()) return std::nullopt;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return WallTime(seconds(timegm(&parts)) - offset) + fraction;
}

}  // namespace fairlead
