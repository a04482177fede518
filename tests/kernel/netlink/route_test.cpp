// SPDX-License-Identifier: Apache-2.0
// What we write is what the kernel has and what `ip` shows.
#include "netlink/route/route.h"

#include <linux/if_addr.h>
#include <net/if.h>

#include <algorithm>

#include "netlink/route/address.h"
#include "netlink/route/link.h"
#include "netlink/route/neighbour.h"
#include "netlink/route/rule.h"
#include "tests/kernel/netlink/fixture.h"

namespace fairlead::netlink::route {
namespace {

constexpr uint32_t kLo = 1;

class RouteTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    connection_ = open(Protocol::kRoute);
    space_.must(
        "ip link add d0 type veth peer name d0p && ip link set d0 up && ip link set d0p up && ip "
        "addr add 10.0.0.1/24 dev d0");
    link_ = if_nametoindex("d0");
  }
  std::string run(MessageWriter message) {
    const auto result = connection_->request_sync(std::move(message), kPatience);
    return result.ok() ? "ok" : std::string(to_string(result.error().code()));
  }
  template <typename T>
  std::vector<T> dump(MessageWriter message, Result<T> (*parse)(const MessageView&)) {
    auto rows = connection_->dump_sync<T>(std::move(message), parse, kPatience);
    EXPECT_TRUE(rows.ok()) << rows.error().message();
    return rows.ok() ? *rows : std::vector<T>{};
  }
  template <typename T>
  static bool contains(const std::vector<T>& rows, const T& row) {
    return std::find(rows.begin(), rows.end(), row) != rows.end();
  }
  std::unique_ptr<Connection> connection_;
  uint32_t link_ = 0;
};

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

TEST_F(RouteTest, Routes) {
  Route gateway;
  gateway.destination = *Cidr::parse("10.9.0.0/16");
  gateway.gateway = ip("10.0.0.7");
  gateway.link = link_;
  gateway.metric = 50;
  Route sourced = link_route(ip("10.3.0.1"), link_);
  sourced.source = ip("10.0.0.1");
  Route blackhole;
  blackhole.destination = *Cidr::parse("10.4.0.0/16");
  blackhole.type = RTN_BLACKHOLE;
  Route blackhole6 = blackhole;
  blackhole6.destination = *Cidr::parse("fd04::/16");
  blackhole6.link = kLo;  // the kernel says so of IPv6 ones
  blackhole6.metric = 1024;
  Route v6 = link_route(ip("fd00::7"), link_);
  v6.metric = 1024;  // IPv6 has no route without one
  Route local6 = local_route(ip("fd00::10"), kLo);
  local6.metric = 1024;
  const struct {
    Route route;
    const char* shown;
  } cases[] = {
      {link_route(ip("10.2.0.1"), link_), "10.2.0.1 dev d0 proto static scope link "},
      {gateway, "10.9.0.0/16 via 10.0.0.7 dev d0 proto static metric 50 "},
      {sourced, "10.3.0.1 dev d0 proto static scope link src 10.0.0.1 "},
      {local_route(ip("10.96.0.10"), kLo),
       "local 10.96.0.10 dev lo table local proto static scope host "},
      {blackhole, "blackhole 10.4.0.0/16 proto static "},
      {blackhole6, "blackhole fd04::/16 dev lo proto static metric 1024 pref medium"},
      {v6, "fd00::7 dev d0 proto static metric 1024 pref medium"},
      {local6, "local fd00::10 dev lo table local proto static metric 1024 pref medium"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.shown);
    const Family family = c.route.destination.family();
    ASSERT_EQ(run(add_route(c.route)), "ok");
    EXPECT_EQ(run(add_route(c.route)), to_string(ErrorCode::kAlreadyExists));
    EXPECT_EQ(run(replace_route(c.route)), "ok");
    EXPECT_TRUE(contains(dump(dump_routes(family), parse_route), c.route));
    const std::string shown = space_.must(
        std::string("ip -") + (family == Family::kIpv4 ? "4" : "6") + " route show table all");
    EXPECT_NE(("\n" + shown).find("\n" + std::string(c.shown)), std::string::npos) << shown;
    EXPECT_EQ(run(remove_route(c.route)), "ok");
    EXPECT_EQ(run(remove_route(c.route)), to_string(ErrorCode::kNotFound));
    EXPECT_FALSE(contains(dump(dump_routes(family), parse_route), c.route));
  }
}

// Node-local DNS: an address answers although no interface carries it.
TEST_F(RouteTest, LocalRouteTakesPackets) {
  ASSERT_EQ(run(add_route(local_route(ip("10.96.0.10"), kLo))), "ok");
  EXPECT_EQ(test::run_command({"ping", "-c", "1", "-W", "5", "10.96.0.10"}).status, 0);
}

TEST_F(RouteTest, Rules) {
  Rule marked;
  marked.priority = 100;
  marked.mark = 0x4000;
  marked.mark_mask = 0x4000;
  marked.table = 1000;
  Rule from;
  from.priority = 101;
  from.from = *Cidr::parse("10.0.0.0/8");
  from.to = *Cidr::parse("10.96.0.0/16");
  Rule v6 = marked;
  v6.family = Family::kIpv6;
  v6.to = *Cidr::parse("fd00::/8");
  const struct {
    Rule rule;
    const char* shown;
  } cases[] = {
      {marked, "100:\tfrom all fwmark 0x4000/0x4000 lookup 1000"},
      {from, "101:\tfrom 10.0.0.0/8 to 10.96.0.0/16 lookup main"},
      {v6, "100:\tfrom all to fd00::/8 fwmark 0x4000/0x4000 lookup 1000"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.shown);
    ASSERT_EQ(run(add_rule(c.rule)), "ok");
    EXPECT_EQ(run(add_rule(c.rule)), to_string(ErrorCode::kAlreadyExists));
    EXPECT_TRUE(contains(dump(dump_rules(c.rule.family), parse_rule), c.rule));
    const std::string shown =
        space_.must(c.rule.family == Family::kIpv4 ? "ip -4 rule" : "ip -6 rule");
    EXPECT_NE(shown.find(c.shown), std::string::npos) << shown;
    EXPECT_EQ(run(remove_rule(c.rule)), "ok");
    EXPECT_EQ(run(remove_rule(c.rule)), to_string(ErrorCode::kNotFound));
  }
}

// The kernel puts a rule without a priority in front of the second one.
TEST_F(RouteTest, RulesWithoutPriority) {
  for (const char* to : {"10.1.0.0/16", "10.2.0.0/16"}) {
    Rule rule;
    rule.to = *Cidr::parse(to);
    ASSERT_EQ(run(add_rule(rule)), "ok");
  }
  std::vector<uint32_t> priorities;
  for (const Rule& rule : dump(dump_rules(Family::kIpv4), parse_rule))
    priorities.push_back(rule.priority);
  EXPECT_EQ(priorities, (std::vector<uint32_t>{0, 32764, 32765, 32766, 32767}));
}

// Of two rules that differ in what Rule has no word for, the one that is meant goes.
TEST_F(RouteTest, RulesThatAskForMore) {
  space_.must("ip rule add priority 100 to 10.1.0.0/16 lookup 1000");
  for (const char* more : {"iif d0", "oif d0", "uidrange 5-7", "ipproto tcp dport 80-90"}) {
    SCOPED_TRACE(more);
    const std::vector<Rule> before = dump(dump_rules(Family::kIpv4), parse_rule);
    space_.must("ip rule add priority 100 to 10.1.0.0/16 " + std::string(more) + " lookup 1000");
    std::vector<Rule> rules = dump(dump_rules(Family::kIpv4), parse_rule);
    std::erase_if(rules, [&](const Rule& rule) { return contains(before, rule); });
    ASSERT_EQ(rules.size(), 1u);
    EXPECT_FALSE(rules[0].more.empty());
    EXPECT_EQ(run(remove_rule(rules[0])), "ok");
    EXPECT_EQ(dump(dump_rules(Family::kIpv4), parse_rule), before);
    ASSERT_EQ(run(add_rule(rules[0])), "ok");
    EXPECT_TRUE(contains(dump(dump_rules(Family::kIpv4), parse_rule), rules[0]));
    EXPECT_EQ(run(remove_rule(rules[0])), "ok");
  }
}

TEST_F(RouteTest, Addresses) {
  const InterfaceAddress v4{link_, ip("10.5.0.1"), 24, 0, IFA_F_PERMANENT};
  const InterfaceAddress v6{link_, ip("fd05::1"), 64, 0, IFA_F_PERMANENT | IFA_F_NODAD};
  for (const InterfaceAddress& value : {v4, v6}) {
    ASSERT_EQ(run(add_address(value)), "ok");
    EXPECT_EQ(run(add_address(value)), to_string(ErrorCode::kAlreadyExists));
    EXPECT_TRUE(contains(dump(dump_addresses(value.address.family()), parse_address), value));
    EXPECT_TRUE(contains(dump(dump_addresses({}), parse_address), value));
    EXPECT_EQ(run(remove_address(value)), "ok");
    EXPECT_FALSE(contains(dump(dump_addresses({}), parse_address), value));
  }
  EXPECT_NE(run(remove_address(v4)), "ok");
}

TEST_F(RouteTest, Links) {
  Link wanted;
  wanted.name = "d1";
  wanted.kind = "bridge";
  wanted.mtu = 1400;
  ASSERT_EQ(run(add_link(wanted)), "ok");
  Result<Link> found = Error(ErrorCode::kNotFound, "no answer");
  ASSERT_TRUE(connection_
                  ->request_sync(get_link(wanted), kPatience,
                                 [&](const MessageView& message) { found = parse_link(message); })
                  .ok());
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->mtu, 1400u);
  EXPECT_EQ(found->kind, "bridge");
  EXPECT_FALSE(found->is_up());
  ASSERT_EQ(run(set_link_up(found->index, true)), "ok");
  const auto links = dump(dump_links(), parse_link);
  ASSERT_EQ(links.size(), 4u);
  EXPECT_TRUE(links[3].is_up());
  EXPECT_EQ(links[3].name, "d1");
  EXPECT_EQ(run(remove_link(found->index)), "ok");
  EXPECT_EQ(dump(dump_links(), parse_link).size(), 3u);
}

TEST_F(RouteTest, Neighbours) {
  const Neighbour v4{link_, ip("10.0.0.9"), HardwareAddress{2, 0, 0, 0, 0, 9}, NUD_PERMANENT, 0};
  const Neighbour v6{link_, ip("fd00::9"), HardwareAddress{2, 0, 0, 0, 0, 9}, NUD_PERMANENT, 0};
  for (const Neighbour& value : {v4, v6}) {
    ASSERT_EQ(run(add_neighbour(value)), "ok");
    EXPECT_TRUE(contains(dump(dump_neighbours(value.address.family()), parse_neighbour), value));
    EXPECT_EQ(run(remove_neighbour(value)), "ok");
  }
}

TEST_F(RouteTest, Notifications) {
  auto listener = open(Protocol::kRoute);
  ASSERT_TRUE(listener->subscribe(RTNLGRP_IPV4_ROUTE).ok());
  std::vector<Route> added;
  std::vector<Route> removed;
  listener->set_on_notification([&](const MessageView& message) {
    const auto route = parse_route(message);
    ASSERT_TRUE(route.ok());
    (message.type == RTM_NEWROUTE ? added : removed).push_back(*route);
  });
  const Route route = link_route(ip("10.2.0.1"), link_);
  ASSERT_EQ(run(add_route(route)), "ok");
  ASSERT_EQ(run(remove_route(route)), "ok");
  ASSERT_TRUE(loop_.run_until([&] { return !removed.empty(); }, kPatience));
  EXPECT_EQ(added, std::vector<Route>{route});
  EXPECT_EQ(removed, std::vector<Route>{route});
}

}  // namespace
}  // namespace fairlead::netlink::route
