// SPDX-License-Identifier: Apache-2.0
// Container log files as the runtime writes them (CRI log format): lines
// "2026-01-02T03:04:05.678901234Z stdout F text", F ends a line of the container's output, P is a
// part of one that goes on in the next entry of the same stream. Values and functions without I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace fairlead::orchestrator {

struct LogEntry {
  std::string_view time;  // RFC 3339 with nanoseconds
  bool error_stream = false;
  bool partial = false;
  std::string_view text;
};
// One line without its newline; nullopt: not in the format.
std::optional<LogEntry> parse_log_line(std::string_view line);

// What a reader of logs wants: the query of the kubelet's /containerLogs.
struct LogQuery {
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::optional<WallTime> since;
};

// Turns the bytes of a log file into what is sent. Feed it in order; a cut line waits for the rest.
class LogFormatter {
 public:
  explicit LogFormatter(LogQuery query) : query_(std::move(query)), left_(query_.limit_bytes) {}

  // Appends to `out`. False: limit_bytes is reached, nothing more will come.
  bool feed(std::string_view bytes, std::string& out);
  // Bytes of a line that has not ended.
  size_t pending() const { return partial_.size(); }
  // The runtime writes at most 16 KiB of text a line; longer ones are damage and cut here.
  static constexpr size_t kMaxLine = 64 * 1024;

 private:
  bool line(std::string_view line, std::string& out);

  LogQuery query_;
  std::optional<int64_t> left_;
  std::string partial_;
  bool skipping_ = false;   // the rest of a line that was too long
  bool continued_ = false;  // the last entry was partial
};

// Where in a file of `size` bytes the last `lines` lines of output begin (a line may have several
// entries). `read` gives the bytes at an offset; it is asked for blocks from the end on, and no
// more than a block and a line of them is held.
int64_t tail_offset(const std::function<std::string(int64_t offset, size_t size)>& read,
                    int64_t size, int64_t lines);

// Of the end of a log file, the text of the last `lines` lines, of that the last `bytes`. A line
// whose beginning is cut off is left out.
std::string last_lines(std::string_view end_of_file, size_t lines, size_t bytes);

}  // namespace fairlead::orchestrator
