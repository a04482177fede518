// SPDX-License-Identifier: Apache-2.0
// A loop with an HTTP client, for servers on loopback.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/http/client.h"
#include "base/loop.h"

namespace fairlead::proxy::test {

class HttpTest : public testing::Test {
 protected:
  // Runs the loop until the answer is there; status 0: no connection.
  HttpResponse get(const SocketAddress& address, const std::string& path,
                   const std::string& method = "GET") {
    HttpRequest request;
    request.method = method;
    request.url = "http://" + address.to_string() + path;
    request.total_timeout = std::chrono::seconds(20);
    std::optional<HttpResponse> answer;
    const HttpCall call = fetch(client_, request, 1 << 20, [&](Result<HttpResponse> response) {
      answer = response.ok() ? *response : HttpResponse{};
    });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    return answer.value_or(HttpResponse{});
  }
  bool run_until(const std::function<bool()>& done) {
    Timer tick(loop_);
    tick.start_every(std::chrono::milliseconds(5), [] {});
    return loop_.run_until(done, std::chrono::seconds(30));
  }

  Loop loop_;
  HttpClient client_{loop_};
};

}  // namespace fairlead::proxy::test
