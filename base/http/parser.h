// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.x request from bytes (RFC 9112). Pure: no socket, no clock. Boost.Beast parses; what
// it lets pass and a server must not is refused here: folded header lines, a missing or repeated
// Host, transfer codings other than chunked, escapes that do not decode.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/types.h"

namespace fairlead::internal {

struct ParsedRequest {
  std::string method;
  std::string target;
  std::string path;  // decoded
  std::vector<std::pair<std::string, std::string>> query;
  HttpHeaders headers;  // without trailers
  std::string body;
  bool http_1_0 = false;
  bool keep_alive = true;  // what the client wants
};

class HttpRequestParser {
 public:
  struct Limits {
    size_t header_bytes;
    size_t body_bytes;
  };
  enum class State { kHead, kBody, kDone, kFailed };

  explicit HttpRequestParser(Limits limits);
  ~HttpRequestParser();
  HttpRequestParser(const HttpRequestParser&) = delete;
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  // Returns how many bytes were used. The rest must be given again, with more behind it, or belongs
  // to the next request once the state is kDone. Never leaves more than the limit of header bytes
  // unused without failing.
  size_t feed(std::string_view bytes);

  State state() const;
  // The client waits for "100 Continue" before it sends the body. True at most once.
  bool take_expectation();
  // In kDone: the request; the parser is of no further use.
  ParsedRequest take();
  // In kFailed: the status to answer with, and why.
  int error_status() const;
  const std::string& error_text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::internal
