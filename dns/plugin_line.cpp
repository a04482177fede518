// SPDX-License-Identifier: Apache-2.0
#include "dns/plugin_line.h"

#include <unistd.h>

#include <atomic>
#include <string>

namespace fairlead::dns {

namespace {

std::atomic<int> where{STDOUT_FILENO};

std::string_view mark_of(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return "[DEBUG] ";
    case log::Level::kInfo:
      return "[INFO] ";
    case log::Level::kWarn:
      return "[WARNING] ";
    case log::Level::kError:
      return "[ERROR] ";
  }
  return "";
}

}  // namespace

void write_lines_aside() {
  where = STDERR_FILENO;
}

// Whoever reads no more misses what comes then.
void write_line(log::Level level, std::string_view text) {
  if (!log::enabled(level)) return;
  std::string line(mark_of(level));
  line += text;
  line += '\n';
  [[maybe_unused]] const ssize_t written = write(where, line.data(), line.size());
}

}  // namespace fairlead::dns
