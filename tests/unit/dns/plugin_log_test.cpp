// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginLog : public PluginTest {
 protected:
  // What a query logs, without its mark; "" for nothing.
  std::string logged(const std::string& name, const std::string& type = "A",
                     const AskOptions& options = {}) {
    testing::internal::CaptureStdout();
    ask(name, type, options);
    const std::string line = testing::internal::GetCapturedStdout();
    const std::string mark = "[INFO] ";
    return line.starts_with(mark) ? line.substr(mark.size(), line.size() - mark.size() - 1) : line;
  }
};

constexpr const char* kAnswer = "NOERROR aa\nanswer @ 5 A 10.0.0.1";
constexpr const char* kNxDomain = "NXDOMAIN\nauthority test 5 SOA a b 1 2 3 4 5";
constexpr const char* kNoData = "NOERROR\nauthority test 5 SOA a b 1 2 3 4 5";

TEST_F(PluginLog, Formats) {
  AskOptions edns;
  edns.query.id = 7;
  edns.query.edns_size = 4096;
  edns.query.dnssec_ok = true;
  edns.transport = Transport::kTcp;
  edns.client = "2001:db8::1";
  edns.local = "::1";
  AskOptions over_udp = edns;
  over_udp.transport = Transport::kUdp;
  const struct {
    const char* directive;
    AskOptions options;
    const char* pattern;
  } kCases[] = {
      {"log",
       {},
       R"(192\.0\.2\.9:999 - 4660 "A IN www\.a\.test\. udp 28 false 512" NOERROR qr,aa 44 0\.\d+s)"},
      {"log . {combined}", edns,
       R"(\[2001:db8::1\]:999 - 7 "A IN www\.a\.test\. tcp 39 true 65535" NOERROR qr,aa 55 0\.\d+s "0")"},
      {"log . \"{>bufsize}\"", over_udp, "4096"},
      {"log a.test \"{local} {>id}\"", edns, R"(\[::1\] 7)"},
      {"log \"{ \\\"name\\\":\\\"{name}\\\", {no} }\"",
       {},
       R"(\{ "name":"www\.a\.test\.", \{no\} \})"},
  };
  for (const auto& c : kCases) {
    use(c.directive, replies_with(kAnswer));
    const std::string line = logged("www.A.test", "A", c.options);
    EXPECT_TRUE(re2::RE2::FullMatch(line, c.pattern)) << line;
  }
}

TEST_F(PluginLog, Classes) {
  const struct {
    const char* classes;
    const char* reply;
    bool logged;
  } kCases[] = {
      {"success", kAnswer, true},
      {"success", kNxDomain, false},
      {"success", kNoData, false},
      {"success", "SERVFAIL", false},
      {"denial", kAnswer, false},
      {"denial", kNxDomain, true},
      {"denial", kNoData, true},
      {"denial", "REFUSED", false},
      {"error", "SERVFAIL", true},
      {"error", "REFUSED", true},
      {"error", kNxDomain, false},
      {"denial error", kNxDomain, true},
      {"denial error", kAnswer, false},
      {"all", kAnswer, true},
      {"success", "NOERROR\nauthority test 5 NS ns.test", true},
  };
  for (const auto& c : kCases) {
    use(std::string("log . {\nclass ") + c.classes + "\n}", replies_with(c.reply));
    EXPECT_EQ(logged("a.test") != "", c.logged) << c.classes << ": " << c.reply;
  }
}

// What no plugin is asked about is refused by the server, and logged all the same.
TEST_F(PluginLog, WhatIsRefusedBeforeAnyPlugin) {
  use("log . \"{name} {type} {class} {rcode}\"", replies_with(kAnswer));
  EXPECT_EQ(logged("a.test", "AXFR"), "a.test. AXFR IN REFUSED");
  EXPECT_EQ(logged("a.test", "IXFR"), "a.test. IXFR IN REFUSED");
  AskOptions hesiod;
  hesiod.query.klass = Class::kHesiod;
  EXPECT_EQ(logged("a.test", "A", hesiod), "a.test. A HS REFUSED");
}

TEST_F(PluginLog, FirstRuleThatFits) {
  use("log b.a.test \"{name} 1\" {\nclass error\n}\nlog a.test c.test \"{name} 2\"",
      replies_with(kAnswer));
  EXPECT_EQ(logged("x.b.a.test"), "");
  EXPECT_EQ(logged("a.test"), "a.test. 2");
  EXPECT_EQ(logged("c.test"), "c.test. 2");
  EXPECT_EQ(logged("d.test"), "");
}

TEST_F(PluginLog, OnceWhenTheReplyIsLate) {
  use("log . \"{rcode}\"", waits());
  EXPECT_EQ(logged("a.test"), "");
  testing::internal::CaptureStdout();
  answer_waiting("REFUSED");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "[INFO] REFUSED\n");
}

TEST_F(PluginLog, Labels) {
  constexpr const char* kLog = "log . \"{/log/class} {/log/type} {/no/label} {/}\"";
  use(kLog, replies_with(kNoData));
  EXPECT_EQ(logged("a.test"), "- - - {/}") << "without metadata";
  const std::pair<const char*, const char*> kCases[] = {{kAnswer, "success NOERROR - {/}"},
                                                        {kNoData, "denial NODATA - {/}"},
                                                        {kNxDomain, "denial NXDOMAIN - {/}"},
                                                        {"REFUSED", "error REFUSED - {/}"}};
  for (const auto& [reply, line] : kCases) {
    use("metadata test\n" + std::string(kLog), replies_with(reply));
    EXPECT_EQ(logged("a.test"), line);
    EXPECT_EQ(logged("a.example"), "- - - {/}") << "not in its zones";
  }
}

TEST_F(PluginLog, Refusals) {
  EXPECT_EQ(refusal("log"), "");
  EXPECT_EQ(refusal("log . {\nclass none\n}"),
            "Corefile:3: 'none' is not one of success, denial, error, all: CoreDNS does not know "
            "it either");
  EXPECT_TRUE(refusal("log a..test").starts_with("Corefile:2: "));
}

}  // namespace
}  // namespace fairlead::dns::test
