// SPDX-License-Identifier: Apache-2.0
#include "dns/pattern.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

// The groups joined by '|', "no" without a match, or "error".
std::string found(const std::string& pattern, const std::string& text) {
  const auto compiled = Pattern::compile(pattern);
  if (!compiled.ok()) return "error";
  std::vector<std::string> groups;
  const bool matches = compiled->search(text, &groups);
  EXPECT_EQ(compiled->search(text), matches);
  if (!matches) return "no";
  std::string out;
  for (const std::string& group : groups) out += (out.empty() ? "" : "|") + group;
  return out;
}

TEST(Pattern, AsInGo) {
  struct Case {
    const char* pattern;
    const char* text;
    const char* found;
  };
  const Case kCases[] = {
      {"^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$", "a.b.c.d.internal.cloudapp.net.",
       "a.b.c.d.internal.cloudapp.net."},
      {"^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$", "a.b.c.internal.cloudapp.net.", "no"},
      {"(^|[.])example[.]$", "www.example.", ".example.|."},
      {"(^|[.])example[.]$", "example.", "example.|"},
      {"(^|[.])example[.]$", "xexample.", "no"},
      {"^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)[.]", "ip-10-2.x.", "ip-10-2.|10|2"},
      {"(?<a>x)y", "xy", "xy|x"},
      {"(.*)-(us-west-1)\\.a\\.test", "ftp-us-west-1.a.test.",
       "ftp-us-west-1.a.test|ftp|us-west-1"},
      {"(?i)ABC", "xabc", "abc"},
      {"\\Aa\\z", "a", "a"},
      {"[[:alpha:]]+", "12ab", "ab"},
      {"\\d{2}", "a123", "12"},
      {"a{b}", "a{b}", "a{b}"},
      {"[]a]+", "x]a", "]a"},
      {"[a\\-z]+", "b-a", "-a"},
      {"\\Qa.b\\E", "axb", "no"},
      {"\\Qa.b\\E", "a.b", "a.b"},
      {"a|b+", "xbb", "bb"},
      {"", "x", ""}};
  for (const Case& c : kCases) EXPECT_EQ(found(c.pattern, c.text), c.found) << c.pattern;
  for (const char* bad : {"(", "[", ")", "*", "a**", "(?=a)", "(?!a)", "(?P<>a)", "(?P<a", "\\1",
                          "\\", "(?<=a)b", "[b-a]"})
    EXPECT_EQ(found(bad, "a"), "error") << bad;
}

TEST(Pattern, GroupNames) {
  const auto pattern = Pattern::compile("(a)(?P<name>b)(?:c)(?P<last>d)");
  ASSERT_TRUE(pattern.ok());
  EXPECT_EQ(pattern->group_names(), (std::vector<std::string>{"", "", "name", "last"}));
}

// What takes a backtracking matcher for ever.
TEST(Pattern, HostileNames) {
  const auto pattern = Pattern::compile("^(a+)+(b|a)*(a*)*c$");
  ASSERT_TRUE(pattern.ok());
  EXPECT_FALSE(pattern->search(std::string(250, 'a')));
}

TEST(Pattern, NamesAsText) {
  EXPECT_EQ(NameText(Name()).view(), ".");
  EXPECT_EQ(NameText(dns_name("WWW.Example.org")).view(), "www.example.org.");
  EXPECT_EQ(NameText(dns_name("a\\.b\\007")).view(), "a\\.b\\007.");
  Name longest;
  for (int i = 0; i < 3; ++i) longest.append(std::string(63, '\x01'));
  longest.append(std::string(61, '\x01'));
  EXPECT_EQ(NameText(longest).view(), longest.to_text());
}

}  // namespace
}  // namespace fairlead::dns::test
