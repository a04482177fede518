// SPDX-License-Identifier: Apache-2.0
// Logs to standard error through spdlog: "2026-01-02T03:04:05.678Z info  proxy: text", or a line of
// JSON: {"ts":1767323045678.12,"level":"info","logger":"proxy","msg":"text"}, with what Kubernetes'
// components write (k8s.io/component-base/logs/json: `ts` is in milliseconds), but `level` in place
// of `v`. Any thread. Format strings are fmt's. Only moving parts log; the pure models never do.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace fairlead::log {

enum class Level { kDebug, kInfo, kWarn, kError };

enum class Format { kText, kJson };

// `program` stands in every line. Call once at start, before other threads; without it lines say
// "fairlead", the level is info and the format text.
void init(std::string_view program, Level level, Format format = Format::kText);
// debug, info, warn or error.
Result<Level> parse_level(std::string_view text);

// While one lives lines of every level are written. Any thread.
class Debugging {
 public:
  Debugging();
  ~Debugging();
  Debugging(const Debugging&) = delete;
  Debugging& operator=(const Debugging&) = delete;
};

// A line of JSON without its end; what is not UTF-8 in `text` is replaced.
std::string json_line(std::string_view program, Level level, std::string_view text,
                      std::chrono::system_clock::time_point now);

bool enabled(Level level);
void write(Level level, std::string_view text);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug))
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarn)) write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fairlead::log
