// SPDX-License-Identifier: Apache-2.0
#include "kube/label_selector.h"

#include <gtest/gtest.h>

#include <map>

namespace fairlead::kube {
namespace {

struct Selector {
  const char* text;
  std::map<std::string, std::string> labels;
  int expect;  // 1 matches, 0 not, -1 malformed
};
const Selector kSelectors[] = {
    {"", {}, 1},
    {"a=b", {{"a", "b"}}, 1},
    {"a==b", {{"a", "c"}}, 0},
    {"a!=b", {}, 1},
    {"a", {{"a", ""}}, 1},
    {"!a", {{"a", ""}}, 0},
    {"a in (x, y)", {{"a", "y"}}, 1},
    {"a notin (x,y)", {{"a", "y"}}, 0},
    {"a notin (x)", {}, 1},
    {"a>3", {{"a", "4"}}, 1},
    {"a<3", {{"a", "4"}}, 0},
    {"a=b,c!=d , !e", {{"a", "b"}}, 1},
    {"a=", {{"a", ""}}, 1},
    {"!service.kubernetes.io/headless", {}, 1},
    {"a in x", {}, -1},
    {"a=b,", {}, -1},
    {"=b", {}, -1},
    {"a b", {}, -1},
    {"a in (x", {}, -1},
    {"a>x", {}, -1},
    {"a=b c", {}, -1},
    {"a=-", {}, -1},
};

TEST(LabelSelector, Table) {
  for (const Selector& s : kSelectors) {
    const auto selector = LabelSelector::parse(s.text);
    EXPECT_EQ(selector.ok(), s.expect >= 0) << s.text;
    if (!selector.ok() || s.expect < 0) continue;
    const auto value_of = [&](const std::string& key) -> std::optional<std::string_view> {
      const auto at = s.labels.find(key);
      if (at == s.labels.end()) return std::nullopt;
      return at->second;
    };
    EXPECT_EQ(selector->matches(value_of), s.expect == 1) << s.text;
    EXPECT_EQ(selector->compares_numbers(),
              std::string_view(s.text).find_first_of("<>") != std::string_view::npos)
        << s.text;
  }
}

TEST(LabelSelector, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
      {"a=b,", "unable to parse requirement: found '', expected: identifier after ','"},
      {"a in x", "unable to parse requirement: found 'x', expected: '('"},
      {"a>x",
       "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, "
       "the value must be an integer"}};
  for (const auto& [text, wrong] : kCases)
    EXPECT_EQ(LabelSelector::parse(text).error().message(), wrong) << text;
}

}  // namespace
}  // namespace fairlead::kube
