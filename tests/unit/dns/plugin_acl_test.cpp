// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"
#include "dns/host.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginAcl : public PluginTest {};

TEST_F(PluginAcl, FirstRuleThatMatchesDecides) {
  struct Case {
    const char* rules;
    const char* client;
    const char* type;
    const char* reply;
  };
  const std::string kNext = "NOERROR qd=1\nanswer a.test. 60 A 192.0.2.1\n";
  const Case kCases[] = {
      {"block", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block net 192.0.2.0/24", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block net 192.0.2.0/24", "198.51.100.1", "A", "next"},
      {"block net 192.0.2.9", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block net 192.0.2.8", "192.0.2.9", "A", "next"},
      {"block net 2001:db8::/32", "2001:db8::1", "A", "REFUSED rd qd=1\n"},
      {"block net any", "2001:db8::1", "A", "REFUSED rd qd=1\n"},
      {"block type AAAA net *", "192.0.2.9", "A", "next"},
      {"block type AAAA A", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block type * net 192.0.2.9", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block type ANY", "192.0.2.9", "A", "next"},
      {"block type ANY", "192.0.2.9", "ANY", "REFUSED rd qd=1\n"},
      {"filter type A", "192.0.2.9", "A", "NOERROR rd qd=1\n"},
      {"drop", "192.0.2.9", "A", "pending"},
      {"allow net 192.0.2.0/24\nblock", "192.0.2.9", "A", "next"},
      {"allow net 192.0.2.0/24\nblock", "198.51.100.1", "A", "REFUSED rd qd=1\n"},
      {"Block NET 192.0.2.9 Type A", "192.0.2.9", "A", "REFUSED rd qd=1\n"},
      {"block net 192.0.2.9\nallow", "192.0.2.9", "A", "REFUSED rd qd=1\n"}};
  for (const Case& c : kCases) {
    use("acl {\n" + std::string(c.rules) + "\n}", replies_with("NOERROR\nanswer @ 60 A 192.0.2.1"));
    AskOptions options;
    options.client = c.client;
    const std::string wanted = c.reply == std::string("next") ? kNext : c.reply;
    EXPECT_EQ(ask("a.test", c.type, options), wanted) << c.rules << " from " << c.client;
  }
}

TEST_F(PluginAcl, OnlyInItsZones) {
  use("acl a.test b.test {\nblock\n}", replies_with("NXDOMAIN"));
  EXPECT_EQ(ask("www.a.test"), "REFUSED rd qd=1\n");
  EXPECT_EQ(ask("b.test"), "REFUSED rd qd=1\n");
  EXPECT_EQ(ask("c.test"), "NXDOMAIN qd=1\n");
}

TEST_F(PluginAcl, DirectivesInOrder) {
  use("acl a.test {\nallow net 192.0.2.9\n}\nacl {\nblock\n}", replies_with("NXDOMAIN"));
  EXPECT_EQ(ask("www.a.test"), "NXDOMAIN qd=1\n");
  EXPECT_EQ(ask("b.test"), "REFUSED rd qd=1\n");
}

TEST_F(PluginAcl, ExtendedErrors) {
  AskOptions edns;
  edns.query.edns_size = 1232;
  use("acl {\nblock type A\nfilter\n}");
  EXPECT_EQ(ask("a.test", "A", edns), "REFUSED rd qd=1\nopt 1232 ede=18\n");
  EXPECT_EQ(ask("a.test", "AAAA", edns), "NOERROR rd qd=1\nopt 1232 ede=17\n");
}

TEST_F(PluginAcl, DroppedQueriesLeaveNothingBehind) {
  use("acl {\ndrop\n}");
  EXPECT_EQ(ask("a.test"), "pending");
  EXPECT_EQ(chain->waiting(), 0u);
}

TEST_F(PluginAcl, Metrics) {
  use("acl a.test {\nblock type A\nfilter\n}", replies_with("NXDOMAIN"));
  Host host(loop, "");
  auto& shared = *config.plan->blocks.at(0).plugins.at("acl");
  const auto running = registered("acl")->start(host, shared);
  ASSERT_TRUE(running.ok());
  for (const char* type : {"A", "A", "AAAA"}) ask("a.test", type);
  ask("b.test");
  const std::string text = host.metrics();
  for (const char* line :
       {"coredns_acl_blocked_requests_total{server=\"dns://:53\",zone=\"a.test.\",view=\"\"} 2\n",
        "coredns_acl_filtered_requests_total{server=\"dns://:53\",zone=\"a.test.\",view=\"\"} 1\n",
        "coredns_acl_dropped_requests_total{server=\"dns://:53\",zone=\"a.test.\",view=\"\"} 0\n",
        "coredns_acl_allowed_requests_total{server=\"dns://:53\",view=\"\"} 1\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(PluginAcl, Refusals) {
  EXPECT_EQ(refusal("acl"), "") << "no rules";
  EXPECT_EQ(refusal("acl {\nblock type WAT\n}"),
            "Corefile:3: 'WAT' is no record type such as AAAA");
  EXPECT_EQ(refusal("acl {\nblock net 10.0.0.0/40\n}"),
            "Corefile:3: '10.0.0.0/40' is no address such as 10.0.0.1 or 10.0.0.0/8");
  EXPECT_EQ(refusal("acl {\nblock net\n}"), "Corefile:3: nothing follows 'net'");
  EXPECT_EQ(refusal("acl {\nblock A\n}"),
            "Corefile:3: 'A' is not one of type, net: CoreDNS does not know it either");
  EXPECT_NE(refusal("acl {\ndeny\n}").find("no property 'deny'"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::dns::test
