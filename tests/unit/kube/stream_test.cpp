// SPDX-License-Identifier: Apache-2.0
#include "kube/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Strings = std::vector<std::string>;

struct Split {
  Strings items;
  Result<void> result = ok();
  std::string version, token;
};

// Feeds the document in pieces of `step` bytes.
Split split_list(const std::string& document, size_t step, size_t limit = 1 << 20) {
  Split split;
  ListSplitter splitter(limit);
  for (size_t at = 0; at < document.size() && split.result.ok(); at += step) {
    const std::string piece = document.substr(at, step);
    split.result = splitter.feed(piece, [&](std::string_view item) {
      split.items.emplace_back(item);
      return true;
    });
  }
  if (split.result.ok()) split.result = splitter.finish();
  split.version = splitter.resource_version();
  split.token = splitter.continue_token();
  return split;
}

struct ListCase {
  const char* what;
  const char* document;
  Strings items;
  const char* version;
  const char* token;
};
const ListCase kLists[] = {
    {"usual",
     R"({"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"12"},"items":[{"a":1},{"b":"}]"}]})",
     {R"({"a":1})", R"({"b":"}]"})"},
     "12",
     ""},
    {"metadata last, continue",
     R"({"items":[{}],"metadata":{"continue":"tok\"en","resourceVersion":"3","remainingItemCount":5}})",
     {"{}"},
     "3",
     "tok\"en"},
    {"empty", R"({"metadata":{"resourceVersion":"1"},"items":[]})", {}, "1", ""},
    {"null items", R"({"metadata":{"resourceVersion":"1"},"items":null})", {}, "1", ""},
    {"no items", R"({"metadata":{"resourceVersion":"1"}})", {}, "1", ""},
    {"white space",
     " {\n \"metadata\" : { \"resourceVersion\" : \"1\" } ,\t\"items\" : [ { } , { \"x\" : [ [ ] ] "
     "} ] } \r\n",
     {"{ }", R"({ "x" : [ [ ] ] })"},
     "1",
     ""},
    {"members to skip",
     R"({"x":{"items":[{"no":1}],"s":"\\\""},"n":-1.5e3,"t":true,"z":null,"l":[[1],"]"],"metadata":{"resourceVersion":"1"},"items":[{"yes":1}]})",
     {R"({"yes":1})"},
     "1",
     ""},
    {"no version", R"({"metadata":{},"items":[]})", {}, "", ""},
};

TEST(ListSplitter, CutsAnywhere) {
  for (const ListCase& c : kLists) {
    for (size_t step = 1; step <= std::string(c.document).size(); ++step) {
      const Split split = split_list(c.document, step);
      ASSERT_TRUE(split.result.ok()) << c.what << ": " << split.result.error().message();
      EXPECT_EQ(split.items, c.items) << c.what << " in pieces of " << step;
      EXPECT_EQ(split.version, c.version) << c.what;
      EXPECT_EQ(split.token, c.token) << c.what;
    }
  }
}

struct BadList {
  const char* document;
  const char* message;
};
const BadList kBadLists[] = {
    {"", "ends early"},
    {"{", "ends early"},
    {R"({"metadata":{"resourceVersion":"1"},"items":[{"a":1})", "ends early"},
    {R"({"metadata":{"resourceVersion":"1"},"items":[{"a)", "ends early"},
    {R"({"items":[]})", "without metadata"},
    {R"({"metadata":null,"items":[]})", "without metadata"},
    {R"({"metadata":[],"items":[]})", "expected metadata to be an object"},
    {R"({"metadata":{"resourceVersion":1}})", "list metadata: resourceVersion: expected a string"},
    {R"({"metadata":{"resourceVersion":}})", "list metadata is not JSON"},
    {R"({"metadata":{},"items":{}})", "expected items to be a list"},
    {R"({"metadata":{},"items":"x"})", "expected items to be a list"},
    {R"({"metadata":{},"items":[1]})", "expected an object in items"},
    {R"({"metadata":{},"items":[{},]})", "expected an object in items"},
    {R"({"metadata":{},"items":[{}{}]})", "expected ',' or ']'"},
    {R"({"metadata":{},"items":[]} {)", "expected nothing more"},
    {R"({"metadata":{},})", "expected a member's name"},
    {R"({"metadata"{}})", "expected ':'"},
    {R"({"a":,})", "expected a value"},
    {R"({"a":1"b":2})", "expected ',' or '}'"},
    {R"({"a":"x" "b":2})", "expected ',' or '}'"},
    {R"([])", "expected '{'"},
    {R"(<html>)", "byte 0: expected '{'"},
    {R"({"\u0069tems":[]})", "expected a plain name"},
};

TEST(ListSplitter, RefusesWhatIsNoList) {
  for (const BadList& c : kBadLists) {
    for (const size_t step : {1u, 3u, 1000u}) {
      const Split split = split_list(c.document, step);
      ASSERT_FALSE(split.result.ok()) << c.document;
      EXPECT_THAT(split.result.error().message(), HasSubstr(c.message)) << c.document;
    }
  }
}

TEST(ListSplitter, BoundsAnItem) {
  const std::string item = R"({"a":")" + std::string(100, 'x') + R"("})";
  const std::string document = R"({"metadata":{"resourceVersion":"1"},"items":[)" + item + "]}";
  for (const size_t step : {1u, 7u, 1000u}) {
    EXPECT_TRUE(split_list(document, step, item.size()).result.ok());
    const Split split = split_list(document, step, item.size() - 1);
    ASSERT_FALSE(split.result.ok());
    EXPECT_EQ(split.result.error().code(), ErrorCode::kResourceExhausted);
  }
}

TEST(ListSplitter, StopsWhenTold) {
  auto splitter = std::make_unique<ListSplitter>(1000);
  int seen = 0;
  const Result<void> result =
      splitter->feed(R"({"metadata":{},"items":[{},{},{}]})", [&](std::string_view) {
        ++seen;
        splitter.reset();  // a callback may destroy the splitter if it then stops it
        return false;
      });
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(seen, 1);
}

TEST(DecodeList, SlicesOfTheInput) {
  const std::string json =
      R"({"metadata":{"resourceVersion":"5","continue":"c"},"items":[{"a":1},{"b":2}]})";
  const Result<ListDocument> list = decode_list(json);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->resource_version, "5");
  EXPECT_EQ(list->continue_token, "c");
  EXPECT_THAT(list->items, ElementsAre(R"({"a":1})", R"({"b":2})"));
  EXPECT_EQ(list->items[0].data(), json.data() + json.find(R"({"a")"));
  EXPECT_FALSE(decode_list("[]").ok());
}

Strings split_lines(const std::string& text, size_t step, size_t limit, Result<void>* result) {
  LineSplitter splitter(limit);
  Strings lines;
  for (size_t at = 0; at < text.size() && result->ok(); at += step) {
    const std::string piece = text.substr(at, step);
    *result = splitter.feed(piece, [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
  }
  return lines;
}

TEST(LineSplitter, CutsAnywhere) {
  const std::string text = "{\"a\":1}\n\n\r\n{\"b\":2}\r\nlast\nnot ended";
  for (size_t step = 1; step <= text.size(); ++step) {
    Result<void> result = ok();
    EXPECT_THAT(split_lines(text, step, 100, &result),
                ElementsAre("{\"a\":1}", "{\"b\":2}", "last"))
        << step;
    EXPECT_TRUE(result.ok());
  }
}

TEST(LineSplitter, BoundsALine) {
  for (const size_t step : {1u, 4u, 100u}) {
    Result<void> result = ok();
    EXPECT_THAT(split_lines("1234567890\n", step, 10, &result), ElementsAre("1234567890"));
    EXPECT_TRUE(result.ok());
    EXPECT_THAT(split_lines("12345678901\n", step, 10, &result), IsEmpty());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code(), ErrorCode::kResourceExhausted);
  }
}

TEST(LineSplitter, StopsWhenTold) {
  auto splitter = std::make_unique<LineSplitter>(100);
  int seen = 0;
  EXPECT_TRUE(splitter->feed("a\n", [](std::string_view) { return true; }).ok());
  EXPECT_TRUE(splitter
                  ->feed("b\nc\n",
                         [&](std::string_view) {
                           ++seen;
                           splitter.reset();
                           return false;
                         })
                  .ok());
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace fairlead::kube
