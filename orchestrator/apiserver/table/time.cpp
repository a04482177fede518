// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>
#include <ctime>

#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::string calendar(WallTime time) {
  const time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  std::array<char, 40> text{};
  strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &tm);
  return text.data();
}

std::string two_units(int64_t big, const char* big_unit, int64_t small, const char* small_unit) {
  std::string text = std::to_string(big) + big_unit;
  if (small != 0) text += std::to_string(small) + small_unit;
  return text;
}

}  // namespace

// The bounds between one unit and two are upstream's.
std::string human_duration(Duration duration) {
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  const int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (minutes < 10) return two_units(minutes, "m", seconds % 60, "s");
  if (hours < 3) return std::to_string(minutes) + "m";
  if (hours < 8) return two_units(hours, "h", minutes % 60, "m");
  if (hours < 48) return std::to_string(hours) + "h";
  if (hours < 192) return two_units(days, "d", hours % 24, "h");
  if (days < 730) return std::to_string(days) + "d";
  if (days < 8 * 365) return two_units(days / 365, "y", days % 365, "d");
  return std::to_string(days / 365) + "y";
}

std::string timestamp(WallTime time) {
  return calendar(time) + "Z";
}

std::string micro_timestamp(WallTime time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() %
      1'000'000;
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>(micros));
  return calendar(time) + fraction.data();
}

std::optional<WallTime> parse_timestamp(std::string_view text) {
  if (!schema::is_rfc3339(text)) return std::nullopt;
  const auto number = [&](size_t at, size_t length) {
    int value = 0;
    for (size_t i = at; i < at + length; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  std::tm tm{};
  tm.tm_year = number(0, 4) - 1900;
  tm.tm_mon = number(5, 2) - 1;
  tm.tm_mday = number(8, 2);
  tm.tm_hour = number(11, 2);
  tm.tm_min = number(14, 2);
  tm.tm_sec = number(17, 2);
  int64_t seconds = timegm(&tm);
  if (text.back() != 'Z') {
    const size_t zone = text.size() - 6;
    const int offset = number(zone + 1, 2) * 3600 + number(zone + 4, 2) * 60;
    seconds += text[zone] == '+' ? -offset : offset;
  }
  int64_t nanos = 0;
  if (text[19] == '.') {
    int64_t scale = 100'000'000;
    for (size_t i = 20; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, scale /= 10)
      nanos += (text[i] - '0') * scale;
  }
  // Years outside of what nanoseconds can count are held at the edge.
  constexpr int64_t kEdge = 9'000'000'000;
  seconds = std::min(std::max(seconds, -kEdge), kEdge);
  return WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
}

std::string age_of(const Json& value, WallTime now) {
  if (!value.is_string()) return "<unknown>";
  const auto time = parse_timestamp(value.get_ref<const std::string&>());
  return time ? human_duration(now - *time) : "<unknown>";
}

Json name_cell(const Json& object, WallTime) {
  return string_at(object, "metadata.name");
}
Json age_cell(const Json& object, WallTime now) {
  return age_of(at_path(object, "metadata.creationTimestamp"), now);
}

}  // namespace fairlead::orchestrator::apiserver
