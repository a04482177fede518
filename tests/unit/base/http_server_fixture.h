// SPDX-License-Identifier: Apache-2.0
// A server with a handler that tests can hold, and the requests they send it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/server.h"
#include "tests/support/raw_client.h"

namespace fairlead::test {

// Answers "METHOD target:body" at once; /hold waits in `held`, /drop is dropped.
struct Server {
  explicit Server(Loop& l, HttpServerOptions options = {})
      : loop(l),
        server(l, std::move(options),
               [this](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
                 ++requests;
                 last = request;
                 if (request.path == "/drop") return;
                 if (request.path == "/hold") {
                   held.push_back(std::move(responder));
                   return;
                 }
                 responder->respond(200, {},
                                    request.method + " " + request.target + ":" + request.body);
               }) {
    auto bound = server.listen(SocketAddress{IpAddress::v4(127, 0, 0, 1), 0});
    EXPECT_TRUE(bound.ok());
    if (bound.ok()) address = *bound;
  }
  bool wait_held(size_t count) {
    return loop.run_until([&] { return held.size() == count; }, std::chrono::seconds(20));
  }
  Loop& loop;
  int requests = 0;
  HttpServerRequest last;
  std::vector<std::shared_ptr<HttpResponder>> held;
  SocketAddress address;
  HttpServer server;
};

inline size_t count(const std::string& text, std::string_view part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

inline const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
inline const std::string kHold = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace fairlead::test
