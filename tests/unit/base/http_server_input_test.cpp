// SPDX-License-Identifier: Apache-2.0
// What the server refuses and what it accepts, byte by byte.
#include "tests/unit/base/http_server_fixture.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace test;

struct Refusal {
  const char* name;
  std::string bytes;
  int status;
};

const Refusal kRefusals[] = {
    {"no HTTP", "hello\r\n\r\n", 400},
    {"TLS to a plain port", "\x16\x03\x01\x02\x01\x01\r\n\r\n", 400},
    {"no version", "GET /\r\nHost: x\r\n\r\n", 400},
    {"HTTP/2 version", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
    {"space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
    {"NUL in a value", std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 30), 400},
    {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 29), 400},
    {"escaped NUL", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"bad escape", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"bad escape in the query", "GET /?a=%1 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"authority form", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"folded line", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
    {"folded with tab", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n", 400},
    {"bare CR", "GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400},
    {"both framings",
     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"both framings, other order",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
     "3\r\n\r\n0\r\n\r\n",
     400},
    {"two lengths",
     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
    {"length list", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\nabc", 400},
    {"negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
    {"signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400},
    {"hex length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na", 400},
    {"gzip coding",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {"coding twice",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"unknown coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
     501},
    {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"bad chunk size",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
     400},
    {"chunk size too large",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {"chunk without its end",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n", 400},
    {"bad chunk extension",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;\x01\r\nabc\r\n0\r\n\r\n",
     400},
    {"body too large", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n", 413},
    {"chunked body too large",
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n", 413},
    {"head too large", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(3000, 'a') + "\r\n\r\n",
     431},
    {"head that never ends", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(3000, 'a'), 431},
    {"request line that never ends", "GET /" + std::string(3000, 'a'), 431},
    {"unknown expectation",
     "POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n", 417},
};

TEST(HttpServer, WhatIsRefused) {
  Loop loop;
  HttpServerOptions options;
  options.max_header_bytes = 2000;
  options.max_body_bytes = 2000;
  Server server(loop, options);
  for (const Refusal& c : kRefusals) {
    SCOPED_TRACE(c.name);
    RawClient client(loop, server.address);
    client.send(c.bytes + kGet);  // what follows a broken request is never read as another
    ASSERT_TRUE(client.wait_for_end());
    const std::string status = "HTTP/1.1 " + std::to_string(c.status) + " ";
    EXPECT_TRUE(client.received().starts_with(status)) << client.received();
    EXPECT_EQ(count(client.received(), "HTTP/1.1 "), 1u) << client.received();
    EXPECT_NE(client.received().find("Connection: close\r\n"), std::string::npos);
  }
  EXPECT_EQ(server.requests, 0);
  EXPECT_TRUE(loop.run_until([&] { return server.server.connections() == 0; }, seconds(20)));
}

TEST(HttpServer, AnEndlessChunkExtensionIsRefused) {
  Loop loop;
  HttpServerOptions options;
  options.max_header_bytes = 2000;
  Server server(loop, options);
  RawClient client(loop, server.address);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;" +
              std::string(5000, 'a'));
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_TRUE(client.received().starts_with("HTTP/1.1 431 ")) << client.received();
}

TEST(HttpServer, WhatIsAccepted) {
  struct Case {
    const char* name;
    std::string bytes;
    std::string answer;
  };
  const Case cases[] = {
      {"plain", kGet, "GET /:"},
      {"empty lines before", "\r\n\r\n" + kGet, "GET /:"},
      {"absolute form", "GET http://x/p?q=1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://x/p?q=1:"},
      {"asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS *:"},
      {"method of one's own", "REPORT / HTTP/1.1\r\nHost: x\r\n\r\n", "REPORT /:"},
      {"body", "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "POST /p:abc"},
      {"chunks",
       "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
       "chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
       "POST /p:abc"},
      {"trailers",
       "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\nX-T: "
       "evil\r\n\r\n",
       "POST /p:abc"},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /:"},
  };
  Loop loop;
  Server server(loop);
  for (const Case& c : cases) {
    for (const bool bytewise : {false, true}) {
      SCOPED_TRACE(std::string(c.name) + (bytewise ? ", byte by byte" : ""));
      RawClient client(loop, server.address);
      if (bytewise) {
        for (const char byte : c.bytes) {
          client.send({&byte, 1});
          loop.run_until([] { return false; }, milliseconds(1));
        }
      } else {
        client.send(c.bytes);
      }
      ASSERT_TRUE(client.wait_for(c.answer)) << client.received();
      EXPECT_TRUE(client.received().ends_with("\r\n\r\n" + c.answer));
      EXPECT_FALSE(server.last.headers.get("X-T")) << "a trailer is no header";
      EXPECT_EQ(client.received().find("Connection:"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace fairlead
