// SPDX-License-Identifier: Apache-2.0
#include "base/http/response.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace fairlead::internal {
namespace {

bool is_ours(std::string_view name) {
  for (const std::string_view ours :
       {"Content-Length", "Transfer-Encoding", "Connection", "Date"}) {
    if (equal_ignoring_case(name, ours)) return true;
  }
  return false;
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  for (const char c : value)
    head += c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127) ? c : ' ';
  head += "\r\n";
}

}  // namespace

std::string response_head(int status, const HttpHeaders& headers, const ResponseFraming& framing,
                          bool keep_alive, bool http_1_0, const std::string& date) {
  std::string head;
  head.reserve(256);
  head.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status));
  head += "\r\n";
  append_field(head, "Date", date);
  for (const auto& [name, value] : headers) {
    if (is_token(name) && !is_ours(name)) append_field(head, name, value);
  }
  switch (framing.kind) {
    case ResponseFraming::Kind::kLength:
      append_field(head, "Content-Length", std::to_string(framing.length));
      break;
    case ResponseFraming::Kind::kChunked:
      append_field(head, "Transfer-Encoding", "chunked");
      break;
    case ResponseFraming::Kind::kUntilClose:
    case ResponseFraming::Kind::kNoBody:
      break;
  }
  if (!keep_alive) append_field(head, "Connection", "close");
  if (keep_alive && http_1_0) append_field(head, "Connection", "keep-alive");
  head += "\r\n";
  return head;
}

bool is_bodyless(int status) {
  return status < 200 || status == 204 || status == 304;
}

std::string http_date(WallTime time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];  // strftime's names follow the locale, these must not
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
                parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

}  // namespace fairlead::internal
