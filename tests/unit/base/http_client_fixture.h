// SPDX-License-Identifier: Apache-2.0
// What the tests of the HTTP client ask with.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/http/client.h"
#include "base/loop.h"

namespace fairlead::test {

inline const SocketAddress kLoopback{IpAddress::v4(127, 0, 0, 1), 0};

inline HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  return request;
}

// Runs the loop until the answer is there.
inline Result<HttpResponse> fetch_now(Loop& loop, HttpTransport& client, HttpRequest request,
                                      size_t max_body = 1 << 20) {
  std::optional<Result<HttpResponse>> got;
  const HttpCall call = fetch(client, std::move(request), max_body,
                              [&](Result<HttpResponse> r) { got = std::move(r); });
  EXPECT_FALSE(got.has_value()) << "on_done ran inside send()";
  if (!loop.run_until([&] { return got.has_value(); }, std::chrono::seconds(20)))
    return Error(ErrorCode::kTimeout, "the test waited in vain");
  return *got;
}

}  // namespace fairlead::test
