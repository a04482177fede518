// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1.1 response as bytes (RFC 9112). Pure.
#pragma once

#include <cstddef>
#include <string>

#include "base/http/types.h"
#include "base/time.h"

namespace fairlead::internal {

struct ResponseFraming {
  enum class Kind { kLength, kChunked, kUntilClose, kNoBody };
  Kind kind = Kind::kLength;
  size_t length = 0;
};

// Framing and Connection fields of `headers` are replaced by what really happens; bytes that would
// end a field become spaces, fields whose name is no token are left out.
std::string response_head(int status, const HttpHeaders& headers, const ResponseFraming& framing,
                          bool keep_alive, bool http_1_0, const std::string& date);

// RFC 9110 section 15: these never have a body.
bool is_bodyless(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string http_date(WallTime time);

}  // namespace fairlead::internal
