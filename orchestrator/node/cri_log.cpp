// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/cri_log.h"

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

std::optional<LogEntry> parse_log_line(std::string_view line) {
  LogEntry entry;
  const auto word = [&line](std::string_view& out) {
    const size_t end = line.find(' ');
    if (end == std::string_view::npos || end == 0) return false;
    out = line.substr(0, end);
    line.remove_prefix(end + 1);
    return true;
  };
  std::string_view stream, tags;
  if (!word(entry.time) || !word(stream) || !word(tags)) return std::nullopt;
  if (stream != "stdout" && stream != "stderr") return std::nullopt;
  // Tags may be several, joined by ':'; the first says partial or full.
  const std::string_view first = tags.substr(0, tags.find(':'));
  if (first != "P" && first != "F") return std::nullopt;
  entry.error_stream = stream == "stderr";
  entry.partial = first == "P";
  entry.text = line;
  return entry;
}

bool LogFormatter::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      if (!skipping_) partial_.append(bytes);
      if (partial_.size() > kMaxLine) {
        skipping_ = true;
        partial_.clear();
      }
      return true;
    }
    const std::string_view head = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (std::exchange(skipping_, false)) continue;
    bool more = true;
    if (partial_.empty()) {
      more = line(head, out);
    } else {
      partial_.append(head);
      more = line(partial_, out);
      partial_.clear();
    }
    if (!more) return false;
  }
  return true;
}

bool LogFormatter::line(std::string_view text, std::string& out) {
  const std::optional<LogEntry> entry = parse_log_line(text);
  if (!entry) return true;  // damage: skipped, the rest is still good
  if (query_.since) {
    const std::optional<WallTime> time = parse_time(entry->time);
    if (!time || *time < *query_.since) return true;
  }
  std::string piece;
  if (query_.timestamps && !continued_) piece.append(entry->time).append(" ");
  piece.append(entry->text);
  if (!entry->partial) piece += '\n';
  continued_ = entry->partial;
  if (left_) {
    if (static_cast<int64_t>(piece.size()) > *left_) piece.resize(static_cast<size_t>(*left_));
    *left_ -= static_cast<int64_t>(piece.size());
  }
  out += piece;
  return !left_ || *left_ > 0;
}

int64_t tail_offset(const std::function<std::string(int64_t offset, size_t size)>& read,
                    int64_t size, int64_t lines) {
  constexpr int64_t kBlock = 64 * 1024;
  if (lines <= 0) return size;
  int64_t answer = size;  // where the lines counted so far begin
  int64_t seen = 0;
  std::string window;  // from `begin` on: entries that have not been looked at
  for (int64_t begin = size; begin > 0;) {
    const int64_t block = std::min(begin, kBlock);
    begin -= block;
    window.insert(0, read(begin, static_cast<size_t>(block)));
    // Whole entries from the last to the first; what is before the first newline may be cut.
    for (;;) {
      const size_t end =
          window.empty() || window.back() != '\n' ? window.size() : window.size() - 1;
      const size_t newline = end == 0 ? std::string::npos : window.rfind('\n', end - 1);
      if (newline == std::string::npos && begin > 0) break;
      const size_t start = newline == std::string::npos ? 0 : newline + 1;
      const std::string_view line = std::string_view(window).substr(start, end - start);
      const std::optional<LogEntry> entry = parse_log_line(line);
      if (entry && !entry->partial && ++seen > lines) return answer;
      answer = begin + static_cast<int64_t>(start);
      window.resize(start);
      if (start == 0) break;
    }
    // Longer than any entry: damage, which only has to stay bounded.
    if (window.size() > LogFormatter::kMaxLine) window.resize(1);
  }
  return answer;
}

std::string last_lines(std::string_view end_of_file, size_t lines, size_t bytes) {
  std::string text;
  LogFormatter(LogQuery()).feed(end_of_file, text);
  size_t begin = text.size();
  while (lines > 0 && begin > 0) {
    const size_t newline = begin < 2 ? std::string::npos : text.rfind('\n', begin - 2);
    begin = newline == std::string::npos ? 0 : newline + 1;
    --lines;
  }
  return text.substr(std::max(begin, text.size() - std::min(text.size(), bytes)));
}

}  // namespace fairlead::orchestrator
