// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/http/parser.h"
#include "base/http/response.h"
#include "base/http/types.h"

namespace fairlead {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(HttpHeaders, NamesIgnoreCase) {
  HttpHeaders headers{{"Accept", "a"}, {"X-Y", "1"}};
  headers.add("x-y", "2");
  EXPECT_EQ(headers.get("X-y"), "1");
  headers.set("X-Y", "3");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers.get("x-y"), "3");
  headers.remove("ACCEPT");
  EXPECT_EQ(headers.get("accept"), std::nullopt);
}

TEST(PercentDecode, Table) {
  struct Case {
    std::string text;
    bool plus;
    std::optional<std::string> decoded;
  };
  const Case cases[] = {
      {"", false, ""},
      {"a%2Fb", false, "a/b"},
      {"a+b", false, "a+b"},
      {"a+b", true, "a b"},
      {"%e2%82%AC", true, "\u20ac"},
      {"%", false, std::nullopt},
      {"%2", false, std::nullopt},
      {"%2g", false, std::nullopt},
      {"100%25", false, "100%"},
      {"%00", false, std::string(1, '\0')},
  };
  for (const Case& c : cases) EXPECT_EQ(percent_decode(c.text, c.plus), c.decoded) << c.text;
}

TEST(PercentEncode, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode(all), true), all);
  EXPECT_EQ(percent_encode("a b/c~"), "a%20b%2Fc~");
}

TEST(ParseQuery, Table) {
  struct Case {
    std::string text;
    std::optional<Pairs> parsed;
  };
  const Case cases[] = {
      {"", Pairs{}},
      {"a=1&b=2", Pairs{{"a", "1"}, {"b", "2"}}},
      {"watch", Pairs{{"watch", ""}}},
      {"a==b&&c=%3D", Pairs{{"a", "=b"}, {"c", "="}}},
      {"=x", Pairs{{"", "x"}}},
      {"labelSelector=app+in+%28a%2Cb%29", Pairs{{"labelSelector", "app in (a,b)"}}},
      {"a=%", std::nullopt},
      {"%1=a", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_query(c.text), c.parsed) << c.text;
}

TEST(HttpDate, IsTheOneOfTheRfc) {
  EXPECT_EQ(internal::http_date(WallTime(std::chrono::seconds(784111777))),
            "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(ReasonPhrase, KnownAndUnknown) {
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(299), "Unknown");
}

// However the bytes are cut, the parser says the same.
TEST(HttpRequestParser, CutAnywhere) {
  using internal::HttpRequestParser;
  const std::string head = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, std::string> cases[] = {
      {"5\r\nhello\r\n0\r\nT: u\r\n\r\n", "hello"}, {"0\r\n\r\n", ""}, {"00;a=b\r\n\r\n", ""}};
  for (const auto& [chunks, body] : cases) {
    const std::string text = head + chunks + "REST";
    for (size_t first = 0; first <= text.size(); ++first) {
      for (size_t second = first; second <= text.size(); ++second) {
        HttpRequestParser parser({1000, 1000});
        size_t used = 0;
        for (const size_t end : {first, second, text.size()})
          used += parser.feed(std::string_view(text).substr(used, end - used));
        ASSERT_EQ(parser.state(), HttpRequestParser::State::kDone)
            << first << ", " << second << ": " << parser.error_text();
        EXPECT_EQ(text.substr(used), "REST");
        const internal::ParsedRequest request = parser.take();
        EXPECT_EQ(request.body, body);
        EXPECT_EQ(request.query, (Pairs{{"b", "c"}}));
        EXPECT_EQ(request.headers.size(), 2u);
      }
    }
  }
}

TEST(HttpRequestParser, CutAnywhereStillRefuses) {
  using internal::HttpRequestParser;
  struct Case {
    std::string text;
    int status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\nD: e\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nA: b\r\n\t\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"GET /" + std::string(60, 'a') + " HTTP/1.1\r\nHost: " + std::string(60, 'x') + "\r\n\r\n",
       431},
  };
  for (const Case& c : cases) {
    for (size_t cut = 0; cut <= c.text.size(); ++cut) {
      HttpRequestParser parser({100, 100});
      const size_t used = parser.feed(std::string_view(c.text).substr(0, cut));
      parser.feed(std::string_view(c.text).substr(used));
      ASSERT_EQ(parser.state(), HttpRequestParser::State::kFailed) << cut << c.text;
      EXPECT_EQ(parser.error_status(), c.status) << cut << c.text;
    }
  }
}

}  // namespace
}  // namespace fairlead
