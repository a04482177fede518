// SPDX-License-Identifier: Apache-2.0
// The exact bytes of every builder, laid out by hand after linux/rtnetlink.h, linux/fib_rules.h,
// linux/if_addr.h, linux/if_link.h, linux/neighbour.h and linux/netfilter/nfnetlink_conntrack.h;
// and what the parser makes of them.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include "netlink/conntrack.h"
#include "netlink/route/address.h"
#include "netlink/route/link.h"
#include "netlink/route/neighbour.h"
#include "netlink/route/route.h"
#include "netlink/route/rule.h"

namespace fairlead::netlink {
namespace {

using Golden = std::vector<uint8_t>;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

template <typename T>
T parsed(const MessageWriter& writer, Result<T> (*parse)(const MessageView&)) {
  Bytes rest(writer.bytes());
  MessageView message;
  EXPECT_TRUE(next_message(rest, message));
  const Result<T> result = parse(message);
  EXPECT_TRUE(result.ok());
  return result.ok() ? *result : T();
}

TEST(RouteGolden, Rule) {
  route::Rule rule;
  rule.priority = 100;
  rule.to = *Cidr::parse("10.96.0.0/16");
  rule.mark = 0x4000;
  rule.mark_mask = 0x4000;
  rule.table = 1000;
  const MessageWriter writer = route::add_rule(rule);
  EXPECT_EQ(writer.bytes(),
            (Golden{
                68, 0,  0,  0, 32,   0,    1, 6, 0, 0, 0, 0,
                0,  0,  0,  0,                                // RTM_NEWRULE, request|create|excl
                2,  16, 0,  0, 0,    0,    0, 1, 0, 0, 0, 0,  // AF_INET, dst_len 16, FR_ACT_TO_TBL
                8,  0,  6,  0, 100,  0,    0, 0,              // FRA_PRIORITY
                8,  0,  1,  0, 10,   96,   0, 0,              // FRA_DST
                8,  0,  10, 0, 0,    0x40, 0, 0,              // FRA_FWMARK
                8,  0,  16, 0, 0,    0x40, 0, 0,              // FRA_FWMASK
                8,  0,  15, 0, 0xe8, 3,    0, 0,              // FRA_TABLE
            }));
  EXPECT_EQ(parsed(writer, route::parse_rule), rule);
}

TEST(RouteGolden, LinkRoute) {
  const route::Route value = route::link_route(ip("10.244.0.5"), 7);
  const MessageWriter writer = route::add_route(value);
  EXPECT_EQ(
      writer.bytes(),
      (Golden{
          52, 0,  0,  0, 24,  0,   1,   6, 0, 0, 0, 0,
          0,  0,  0,  0,                                // RTM_NEWROUTE, request|create|excl
          2,  32, 0,  0, 0,   4,   253, 1, 0, 0, 0, 0,  // AF_INET /32, static, scope link, unicast
          8,  0,  1,  0, 10,  244, 0,   5,              // RTA_DST
          8,  0,  4,  0, 7,   0,   0,   0,              // RTA_OIF
          8,  0,  15, 0, 254, 0,   0,   0,              // RTA_TABLE main
      }));
  EXPECT_EQ(parsed(writer, route::parse_route), value);
}

TEST(RouteGolden, LocalRoute) {
  const route::Route value = route::local_route(ip("10.96.0.10"), 1);
  const MessageWriter writer = route::remove_route(value);
  EXPECT_EQ(writer.bytes(),
            (Golden{
                52, 0,  0,  0, 25,  0,  1,   0,  0, 0, 0, 0, 0, 0, 0, 0,  // RTM_DELROUTE
                2,  32, 0,  0, 0,   4,  254, 2,  0, 0, 0, 0,              // scope host, RTN_LOCAL
                8,  0,  1,  0, 10,  96, 0,   10,                          //
                8,  0,  4,  0, 1,   0,  0,   0,                           //
                8,  0,  15, 0, 255, 0,  0,   0,                           // table local
            }));
  EXPECT_EQ(parsed(writer, route::parse_route), value);
}

TEST(RouteGolden, RouteOfIpv6ByGateway) {
  route::Route value;
  value.destination = *Cidr::parse("fd00::/8");
  value.gateway = ip("fe80::1");
  value.link = 3;
  value.metric = 1024;
  const MessageWriter writer = route::replace_route(value);
  EXPECT_EQ(writer.bytes(), (
                                Golden{
                                    92, 0, 0,    0,    24,  0, 1, 5, 0, 0, 0, 0, 0,  0,
                                    0,  0,  // request|create|replace
                                    10, 8, 0,    0,    0,   4, 0, 1, 0, 0, 0, 0, 20, 0,
                                    1,  0, 0xfd, 0,    0,   0, 0, 0, 0, 0, 0, 0, 0,  0,
                                    0,  0, 0,    0,    8,   0, 4, 0, 3, 0, 0, 0, 20, 0,
                                    5,  0, 0xfe, 0x80, 0,   0, 0, 0, 0, 0, 0, 0, 0,  0,
                                    0,  0, 0,    1,    8,   0, 6, 0, 0, 4, 0, 0,  // RTA_PRIORITY
                                    8,  0, 15,   0,    254, 0, 0, 0,
                                }));
  EXPECT_EQ(parsed(writer, route::parse_route), value);
}

TEST(RouteGolden, Address) {
  const route::InterfaceAddress value{2, ip("10.0.0.1"), 24, RT_SCOPE_UNIVERSE, 0};
  const MessageWriter writer = route::add_address(value);
  EXPECT_EQ(writer.bytes(), (Golden{
                                40, 0,  0, 0, 20, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWADDR
                                2,  24, 0, 0, 2,  0, 0, 0,  // AF_INET /24, link 2
                                8,  0,  2, 0, 10, 0, 0, 1,  // IFA_LOCAL
                                8,  0,  1, 0, 10, 0, 0, 1,  // IFA_ADDRESS
                            }));
  EXPECT_EQ(parsed(writer, route::parse_address), value);
}

TEST(RouteGolden, Link) {
  route::Link value;
  value.name = "d0";
  value.kind = "dummy";
  const MessageWriter writer = route::add_link(value);
  EXPECT_EQ(writer.bytes(), (Golden{
                                56,  0,   0,   0,    16,  0,   1, 6, 0,
                                0,   0,   0,   0,    0,   0,   0,  // RTM_NEWLINK
                                0,   0,   0,   0,    0,   0,   0, 0, 0,
                                0,   0,   0,   0,    0,   0,   0,     // ifinfomsg
                                7,   0,   3,   0,    'd', '0', 0, 0,  // IFLA_IFNAME
                                16,  0,   18,  0x80, 10,  0,   1, 0, 'd',
                                'u', 'm', 'm', 'y',  0,   0,   0,  // IFLA_LINKINFO{IFLA_INFO_KIND}
                            }));
}

TEST(RouteGolden, Neighbour) {
  const route::Neighbour value{2, ip("10.0.0.9"), route::HardwareAddress{2, 0, 0, 0, 0, 9},
                               NUD_PERMANENT, 0};
  const MessageWriter writer = route::add_neighbour(value);
  EXPECT_EQ(writer.bytes(),
            (Golden{
                48, 0, 0, 0, 28, 0, 1, 5, 0,    0, 0, 0,
                0,  0, 0, 0,                              // RTM_NEWNEIGH, request|create|replace
                2,  0, 0, 0, 2,  0, 0, 0, 0x80, 0, 0, 0,  // AF_INET, link 2, NUD_PERMANENT
                8,  0, 1, 0, 10, 0, 0, 9,                 // NDA_DST
                10, 0, 2, 0, 2,  0, 0, 0, 0,    9, 0, 0,  // NDA_LLADDR
            }));
  EXPECT_EQ(parsed(writer, route::parse_neighbour), value);
}

TEST(RouteGolden, DumpsCarryTheFamily) {
  EXPECT_EQ(route::dump_rules(Family::kIpv6).bytes()[16], AF_INET6);
  EXPECT_EQ(route::dump_routes(Family::kIpv4).bytes()[16], AF_INET);
  EXPECT_EQ(route::dump_addresses({}).bytes()[16], AF_UNSPEC);
  EXPECT_EQ(route::dump_neighbours(Family::kIpv6).bytes()[16], AF_INET6);
}

TEST(ConntrackGolden, DeleteByTuple) {
  conntrack::Entry entry;
  entry.original = {ip("10.0.0.1"), ip("10.96.0.10"), 17, 4000, 53};
  entry.zone = 5;
  entry.id = 0x01020304;
  EXPECT_EQ(
      conntrack::delete_entry(entry).bytes(),
      (Golden{
          88, 0, 0, 0, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // ctnetlink,
                                                            // IPCTNL_MSG_CT_DELETE
          2, 0, 0, 0,                                       // nfgenmsg AF_INET
          52, 0, 1, 0x80,                                   // CTA_TUPLE_ORIG
          20, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 96, 0, 10,     // CTA_TUPLE_IP
          28, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0x0f, 0xa0, 0, 0,  // CTA_TUPLE_PROTO
          6, 0, 3, 0, 0, 53, 0, 0, 6, 0, 18, 0, 0, 5, 0, 0,                       // CTA_ZONE
          8, 0, 12, 0, 1, 2, 3, 4,                                                // CTA_ID
      }));
}

TEST(ConntrackGolden, FilterOfADump) {
  conntrack::Filter filter;
  filter.protocol = 17;
  filter.destination_port = 53;
  filter.mark = filter.mark_mask = 0x4000;
  EXPECT_EQ(conntrack::dump_entries(filter).bytes(),
            (Golden{
                108, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 52, 0, 1, 0x80, 20, 0,
                1, 0x80, 8, 0, 1, 0, 0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0, 28, 0, 2, 0x80, 5, 0, 1, 0,
                17, 0, 0, 0, 6, 0, 2, 0, 0, 0, 0, 0, 6, 0, 3, 0, 0, 53, 0, 0, 20, 0, 25, 0x80, 8, 0,
                1, 0, 0x28, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0,  // CTA_FILTER:
                                                              // proto, dport
                8, 0, 8, 0, 0, 0, 0x40, 0,                    // CTA_MARK
                8, 0, 21, 0, 0, 0, 0x40, 0,                   // CTA_MARK_MASK
            }));
}

TEST(RouteParser, RefusesWhatIsNoIpObject) {
  const MessageView empty;
  EXPECT_FALSE(route::parse_rule(empty).ok());
  EXPECT_FALSE(route::parse_route(empty).ok());
  EXPECT_FALSE(route::parse_address(empty).ok());
  EXPECT_FALSE(route::parse_link(empty).ok());
  EXPECT_FALSE(route::parse_neighbour(empty).ok());
  EXPECT_FALSE(conntrack::parse_entry(empty).ok());

  // A prefix longer than the family has, an address of the other family's size.
  for (const size_t at : {16u + 1u, 16u + 0u}) {
    MessageWriter writer = route::add_route(route::link_route(ip("10.0.0.1"), 1));
    writer.bytes()[at] = at == 17 ? 33 : AF_INET6;
    Bytes rest(writer.bytes());
    MessageView message;
    ASSERT_TRUE(next_message(rest, message));
    EXPECT_FALSE(route::parse_route(message).ok());
  }
}

}  // namespace
}  // namespace fairlead::netlink
