// SPDX-License-Identifier: Apache-2.0
// The exact bytes of every builder for rtnetlink and conntrack, as the kernel lays them out in
// linux/rtnetlink.h, fib_rules.h, if_addr.h, if_link.h, neighbour.h and
// netfilter/nfnetlink_conntrack.h; and what the parsers make of them.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "netlink/conntrack.h"
#include "netlink/route/address.h"
#include "netlink/route/link.h"
#include "netlink/route/neighbour.h"
#include "netlink/route/route.h"
#include "netlink/route/rule.h"
#include "tests/unit/netlink/golden.h"

namespace fairlead::netlink {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

route::Rule to_services() {
  route::Rule rule;
  rule.priority = 100;
  rule.to = *Cidr::parse("10.96.0.0/16");
  rule.mark = rule.mark_mask = 0x4000;
  rule.table = 1000;
  return rule;
}
route::Rule from_ipv6() {
  route::Rule rule;
  rule.family = Family::kIpv6;
  rule.from = *Cidr::parse("fd00::/8");
  return rule;
}
route::Rule of_one_interface() {
  route::Rule rule;
  rule.priority = 100;
  rule.tos = 0x10;
  rule.invert = true;
  rule.more = {{FRA_IIFNAME, {'d', '0', 0}}, {FRA_IP_PROTO, {IPPROTO_TCP}}};
  return rule;
}
route::Route by_gateway() {
  route::Route route;
  route.destination = *Cidr::parse("fd00::/8");
  route.gateway = ip("fe80::1");
  route.source = ip("fd00::2");
  route.link = 3;
  route.metric = 1024;
  return route;
}
route::InterfaceAddress address() {
  return {2, ip("10.0.0.1"), 24, RT_SCOPE_UNIVERSE, 0};
}
route::InterfaceAddress address_without_dad() {
  return {2, ip("fd00::1"), 64, RT_SCOPE_UNIVERSE, IFA_F_NODAD};
}
route::Link dummy() {
  route::Link link;
  link.name = "d0";
  link.mtu = 1400;
  link.kind = "dummy";
  return link;
}
route::Neighbour neighbour() {
  return {2, ip("10.0.0.9"), route::HardwareAddress{2, 0, 0, 0, 0, 9}, NUD_PERMANENT, 0};
}
conntrack::Entry flow() {
  conntrack::Entry entry;
  entry.original = {ip("10.0.0.1"), ip("10.96.0.10"), IPPROTO_UDP, 4000, 53};
  entry.zone = 5;
  entry.id = 0x01020304;
  return entry;
}
conntrack::Filter marked_dns() {
  conntrack::Filter filter;
  filter.protocol = IPPROTO_UDP;
  filter.destination_port = 53;
  filter.mark = filter.mark_mask = 0x4000;
  filter.status = IPS_DST_NAT;
  return filter;
}

struct BuilderCase {
  const char* like;  // what does the same by hand
  MessageWriter writer;
  const char* bytes;
  Reader read = reads_nothing;
};

const BuilderCase kBuilders[] = {
    {"ip rule add priority 100 to 10.96.0.0/16 fwmark 0x4000/0x4000 lookup 1000",
     route::add_rule(to_services()), R"(
      44 00 00 00  20 00 01 06  00 00 00 00  00 00 00 00  # RTM_NEWRULE, EXCL|CREATE
      02 10 00 00  00 00 00 01  00 00 00 00               # AF_INET, dst_len 16, FR_ACT_TO_TBL
      08 00 06 00  64 00 00 00                            # FRA_PRIORITY 100
      08 00 01 00  0a 60 00 00                            # FRA_DST 10.96.0.0
      08 00 0a 00  00 40 00 00                            # FRA_FWMARK 0x4000
      08 00 10 00  00 40 00 00                            # FRA_FWMASK 0x4000
      08 00 0f 00  e8 03 00 00                            # FRA_TABLE 1000
     )",
     reads(route::parse_rule, to_services())},
    {"ip -6 rule del from fd00::/8 lookup main", route::remove_rule(from_ipv6()), R"(
      38 00 00 00  21 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELRULE, no flags
      0a 00 08 00  00 00 00 01  00 00 00 00               # AF_INET6, src_len 8, FR_ACT_TO_TBL
      14 00 02 00  fd 00 00 00  00 00 00 00  00 00 00 00  # FRA_SRC fd00::
                   00 00 00 00
      08 00 0f 00  fe 00 00 00                            # FRA_TABLE RT_TABLE_MAIN
     )",
     reads(route::parse_rule, from_ipv6())},
    {"ip rule del not priority 100 tos 0x10 iif d0 ipproto tcp lookup main",
     route::remove_rule(of_one_interface()), R"(
      3c 00 00 00  21 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELRULE, no flags
      02 00 00 10  00 00 00 01  02 00 00 00               # AF_INET, tos, FR_ACT_TO_TBL, INVERT
      08 00 06 00  64 00 00 00                            # FRA_PRIORITY 100
      08 00 0f 00  fe 00 00 00                            # FRA_TABLE RT_TABLE_MAIN
      07 00 03 00  "d0" 00 00                             # FRA_IIFNAME
      05 00 16 00  06 00 00 00                            # FRA_IP_PROTO
     )",
     reads(route::parse_rule, of_one_interface())},
    {"ip -6 rule show", route::dump_rules(Family::kIpv6), R"(
      1c 00 00 00  22 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETRULE, no flags
      0a 00 00 00  00 00 00 00  00 00 00 00               # fib_rule_hdr: AF_INET6
     )"},
    {"ip route add 10.244.0.5 dev 7 scope link",
     route::add_route(route::link_route(ip("10.244.0.5"), 7)), R"(
      34 00 00 00  18 00 01 06  00 00 00 00  00 00 00 00  # RTM_NEWROUTE, EXCL|CREATE
      02 20 00 00  00 04 fd 01  00 00 00 00               # AF_INET /32, static, scope link, unicast
      08 00 01 00  0a f4 00 05                            # RTA_DST 10.244.0.5
      08 00 04 00  07 00 00 00                            # RTA_OIF 7
      08 00 0f 00  fe 00 00 00                            # RTA_TABLE RT_TABLE_MAIN
     )",
     reads(route::parse_route, route::link_route(ip("10.244.0.5"), 7))},
    {"ip route del local 10.96.0.10 dev 1 table local",
     route::remove_route(route::local_route(ip("10.96.0.10"), 1)), R"(
      34 00 00 00  19 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELROUTE, no flags
      02 20 00 00  00 04 fe 02  00 00 00 00               # AF_INET /32, static, scope host, local
      08 00 01 00  0a 60 00 0a                            # RTA_DST 10.96.0.10
      08 00 04 00  01 00 00 00                            # RTA_OIF 1
      08 00 0f 00  ff 00 00 00                            # RTA_TABLE RT_TABLE_LOCAL
     )",
     reads(route::parse_route, route::local_route(ip("10.96.0.10"), 1))},
    {"ip -6 route replace fd00::/8 via fe80::1 dev 3 src fd00::2 metric 1024",
     route::replace_route(by_gateway()), R"(
      70 00 00 00  18 00 01 05  00 00 00 00  00 00 00 00  # RTM_NEWROUTE, REPLACE|CREATE
      0a 08 00 00  00 04 00 01  00 00 00 00               # rtmsg: AF_INET6 /8, static, unicast
      14 00 01 00  fd 00 00 00  00 00 00 00  00 00 00 00  # RTA_DST fd00::
                   00 00 00 00
      08 00 04 00  03 00 00 00                            # RTA_OIF 3
      14 00 05 00  fe 80 00 00  00 00 00 00  00 00 00 00  # RTA_GATEWAY fe80::1
                   00 00 00 01
      14 00 07 00  fd 00 00 00  00 00 00 00  00 00 00 00  # RTA_PREFSRC fd00::2
                   00 00 00 02
      08 00 06 00  00 04 00 00                            # RTA_PRIORITY 1024
      08 00 0f 00  fe 00 00 00                            # RTA_TABLE RT_TABLE_MAIN
     )",
     reads(route::parse_route, by_gateway())},
    {"ip route show table all", route::dump_routes(Family::kIpv4), R"(
      1c 00 00 00  1a 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETROUTE, no flags
      02 00 00 00  00 00 00 00  00 00 00 00               # rtmsg: AF_INET
     )"},
    {"ip address add 10.0.0.1/24 dev 2", route::add_address(address()), R"(
      28 00 00 00  14 00 01 06  00 00 00 00  00 00 00 00  # RTM_NEWADDR, EXCL|CREATE
      02 18 00 00  02 00 00 00                            # ifaddrmsg: AF_INET /24, link 2
      08 00 02 00  0a 00 00 01                            # IFA_LOCAL 10.0.0.1
      08 00 01 00  0a 00 00 01                            # IFA_ADDRESS 10.0.0.1
     )",
     reads(route::parse_address, address())},
    {"ip address del fd00::1/64 dev 2 nodad", route::remove_address(address_without_dad()), R"(
      48 00 00 00  15 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELADDR, no flags
      0a 40 00 00  02 00 00 00                            # ifaddrmsg: AF_INET6 /64, link 2
      14 00 02 00  fd 00 00 00  00 00 00 00  00 00 00 00  # IFA_LOCAL fd00::1
                   00 00 00 01
      14 00 01 00  fd 00 00 00  00 00 00 00  00 00 00 00  # IFA_ADDRESS fd00::1
                   00 00 00 01
      08 00 08 00  02 00 00 00                            # IFA_FLAGS IFA_F_NODAD
     )",
     reads(route::parse_address, address_without_dad())},
    {"ip address show", route::dump_addresses({}), R"(
      18 00 00 00  16 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETADDR, no flags
      00 00 00 00  00 00 00 00                            # ifaddrmsg: AF_UNSPEC
     )"},
    {"ip link add d0 mtu 1400 type dummy", route::add_link(dummy()), R"(
      40 00 00 00  10 00 01 06  00 00 00 00  00 00 00 00  # RTM_NEWLINK, EXCL|CREATE
      00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  # ifinfomsg
      07 00 03 00  "d0" 00 00                             # IFLA_IFNAME
      08 00 04 00  78 05 00 00                            # IFLA_MTU 1400
      10 00 12 80                                         # IFLA_LINKINFO
        0a 00 01 00  "dummy" 00 00 00                     # IFLA_INFO_KIND
     )"},
    {"ip link show d0", route::get_link(dummy()), R"(
      28 00 00 00  12 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETLINK, no flags
      00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  # ifinfomsg
      07 00 03 00  "d0" 00 00                             # IFLA_IFNAME
     )"},
    {"ip link set 7 up", route::set_link_up(7, true), R"(
      20 00 00 00  10 00 01 00  00 00 00 00  00 00 00 00  # RTM_NEWLINK, no flags
      00 00 00 00  07 00 00 00  01 00 00 00  01 00 00 00  # ifinfomsg: index 7, IFF_UP changed, set
     )"},
    {"ip link set 7 down", route::set_link_up(7, false), R"(
      20 00 00 00  10 00 01 00  00 00 00 00  00 00 00 00  # RTM_NEWLINK, no flags
      00 00 00 00  07 00 00 00  00 00 00 00  01 00 00 00  # ifinfomsg: index 7, IFF_UP changed
     )"},
    {"ip link del 7", route::remove_link(7), R"(
      20 00 00 00  11 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELLINK, no flags
      00 00 00 00  07 00 00 00  00 00 00 00  00 00 00 00  # ifinfomsg: index 7
     )"},
    {"ip link show", route::dump_links(), R"(
      20 00 00 00  12 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETLINK, no flags
      00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  # ifinfomsg
     )"},
    {"ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev 2 nud permanent",
     route::add_neighbour(neighbour()), R"(
      30 00 00 00  1c 00 01 05  00 00 00 00  00 00 00 00  # RTM_NEWNEIGH, REPLACE|CREATE
      02 00 00 00  02 00 00 00  80 00 00 00               # ndmsg: AF_INET, link 2, NUD_PERMANENT
      08 00 01 00  0a 00 00 09                            # NDA_DST 10.0.0.9
      0a 00 02 00  02 00 00 00  00 09 00 00               # NDA_LLADDR
     )",
     reads(route::parse_neighbour, neighbour())},
    {"ip neighbour del 10.0.0.9 dev 2", route::remove_neighbour(neighbour()), R"(
      30 00 00 00  1d 00 01 00  00 00 00 00  00 00 00 00  # RTM_DELNEIGH, no flags
      02 00 00 00  02 00 00 00  80 00 00 00               # ndmsg: AF_INET, link 2, NUD_PERMANENT
      08 00 01 00  0a 00 00 09                            # NDA_DST 10.0.0.9
      0a 00 02 00  02 00 00 00  00 09 00 00               # NDA_LLADDR
     )",
     reads(route::parse_neighbour, neighbour())},
    {"ip -6 neighbour show", route::dump_neighbours(Family::kIpv6), R"(
      1c 00 00 00  1e 00 01 00  00 00 00 00  00 00 00 00  # RTM_GETNEIGH, no flags
      0a 00 00 00  00 00 00 00  00 00 00 00               # ndmsg: AF_INET6
     )"},
    {"conntrack -D of one flow in zone 5, by its id too", conntrack::delete_entry(flow()), R"(
      58 00 00 00  02 01 01 00  00 00 00 00  00 00 00 00  # IPCTNL_MSG_CT_DELETE, no flags
      02 00 00 00                                         # nfgenmsg: AF_INET
      34 00 01 80                                         # CTA_TUPLE_ORIG
        14 00 01 80                                       # CTA_TUPLE_IP
          08 00 01 00  0a 00 00 01                        # CTA_IP_V4_SRC 10.0.0.1
          08 00 02 00  0a 60 00 0a                        # CTA_IP_V4_DST 10.96.0.10
        1c 00 02 80                                       # CTA_TUPLE_PROTO
          05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
          06 00 02 00  0f a0 00 00                        # CTA_PROTO_SRC_PORT 4000
          06 00 03 00  00 35 00 00                        # CTA_PROTO_DST_PORT 53
      06 00 12 00  00 05 00 00                            # CTA_ZONE 5
      08 00 0c 00  01 02 03 04                            # CTA_ID 0x01020304
     )"},
    {"conntrack -L of a family", conntrack::dump_entries({}), R"(
      14 00 00 00  01 01 01 00  00 00 00 00  00 00 00 00  # IPCTNL_MSG_CT_GET, no flags
      02 00 00 00                                         # nfgenmsg: AF_INET
     )"},
    {"conntrack -L -p udp --orig-port-dst 53 --mark 0x4000/0x4000, dnat only",
     conntrack::dump_entries(marked_dns()), R"(
      7c 00 00 00  01 01 01 00  00 00 00 00  00 00 00 00  # IPCTNL_MSG_CT_GET, no flags
      02 00 00 00                                         # nfgenmsg: AF_INET
      34 00 01 80                                         # CTA_TUPLE_ORIG
        14 00 01 80                                       # CTA_TUPLE_IP
          08 00 01 00  00 00 00 00                        # CTA_IP_V4_SRC 0.0.0.0
          08 00 02 00  00 00 00 00                        # CTA_IP_V4_DST 0.0.0.0
        1c 00 02 80                                       # CTA_TUPLE_PROTO
          05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
          06 00 02 00  00 00 00 00                        # CTA_PROTO_SRC_PORT 0
          06 00 03 00  00 35 00 00                        # CTA_PROTO_DST_PORT 53
      14 00 19 80                                         # CTA_FILTER
        08 00 01 00  28 00 00 00                          # CTA_FILTER_ORIG_FLAGS number, dst port
        08 00 02 00  00 00 00 00                          # CTA_FILTER_REPLY_FLAGS 0
      08 00 08 00  00 00 40 00                            # CTA_MARK 0x4000
      08 00 15 00  00 00 40 00                            # CTA_MARK_MASK 0x4000
      08 00 03 00  00 00 00 20                            # CTA_STATUS IPS_DST_NAT
      08 00 1a 00  00 00 00 20                            # CTA_STATUS_MASK IPS_DST_NAT
     )"},
};

TEST(RouteGolden, EveryBuilder) {
  for (const BuilderCase& c : kBuilders) {
    SCOPED_TRACE(c.like);
    expect_golden(c.writer.bytes(), c.bytes);
    c.read(c.bytes);
  }
}

TEST(ConntrackGolden, AListedFlow) {
  conntrack::Entry expected = flow();
  expected.reply = {ip("10.244.0.5"), ip("10.0.0.1"), IPPROTO_UDP, 5353, 4000};
  expected.status = IPS_DST_NAT;
  expected.mark = 0x4000;
  expected.timeout_seconds = 30;
  reads(conntrack::parse_entry, expected)(R"(
    a4 00 00 00  00 01 01 00  00 00 00 00  00 00 00 00  # IPCTNL_MSG_CT_NEW, no flags
    02 00 00 00                                         # nfgenmsg: AF_INET
    34 00 01 80                                         # CTA_TUPLE_ORIG
      14 00 01 80                                       # CTA_TUPLE_IP
        08 00 01 00  0a 00 00 01                        # CTA_IP_V4_SRC 10.0.0.1
        08 00 02 00  0a 60 00 0a                        # CTA_IP_V4_DST 10.96.0.10
      1c 00 02 80                                       # CTA_TUPLE_PROTO
        05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
        06 00 02 00  0f a0 00 00                        # CTA_PROTO_SRC_PORT 4000
        06 00 03 00  00 35 00 00                        # CTA_PROTO_DST_PORT 53
    34 00 02 80                                         # CTA_TUPLE_REPLY
      14 00 01 80                                       # CTA_TUPLE_IP
        08 00 01 00  0a f4 00 05                        # CTA_IP_V4_SRC 10.244.0.5
        08 00 02 00  0a 00 00 01                        # CTA_IP_V4_DST 10.0.0.1
      1c 00 02 80                                       # CTA_TUPLE_PROTO
        05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
        06 00 02 00  14 e9 00 00                        # CTA_PROTO_SRC_PORT 5353
        06 00 03 00  0f a0 00 00                        # CTA_PROTO_DST_PORT 4000
    08 00 03 00  00 00 00 20                            # CTA_STATUS IPS_DST_NAT
    08 00 07 00  00 00 00 1e                            # CTA_TIMEOUT seconds
    08 00 08 00  00 00 40 00                            # CTA_MARK 0x4000
    06 00 12 00  00 05 00 00                            # CTA_ZONE 5
    08 00 0c 00  01 02 03 04                            # CTA_ID 0x01020304
  )");
}

TEST(ConntrackGolden, AnEndedFlowAndWhatItCarried) {
  conntrack::Entry expected;
  expected.original = {ip("10.0.0.1"), ip("10.96.0.10"), IPPROTO_UDP, 4000, 53};
  expected.reply = {ip("10.244.0.5"), ip("10.0.0.1"), IPPROTO_UDP, 5353, 4000};
  expected.from_client = conntrack::Traffic{2, 120};
  expected.from_server = conntrack::Traffic{3, 1ull << 32 | 5};
  const char* bytes = R"(
    b4 00 00 00  02 01 00 00  00 00 00 00  00 00 00 00  # IPCTNL_MSG_CT_DELETE, no flags
    02 00 00 00                                         # nfgenmsg: AF_INET
    34 00 01 80                                         # CTA_TUPLE_ORIG
      14 00 01 80                                       # CTA_TUPLE_IP
        08 00 01 00  0a 00 00 01                        # CTA_IP_V4_SRC 10.0.0.1
        08 00 02 00  0a 60 00 0a                        # CTA_IP_V4_DST 10.96.0.10
      1c 00 02 80                                       # CTA_TUPLE_PROTO
        05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
        06 00 02 00  0f a0 00 00                        # CTA_PROTO_SRC_PORT 4000
        06 00 03 00  00 35 00 00                        # CTA_PROTO_DST_PORT 53
    34 00 02 80                                         # CTA_TUPLE_REPLY
      14 00 01 80                                       # CTA_TUPLE_IP
        08 00 01 00  0a f4 00 05                        # CTA_IP_V4_SRC 10.244.0.5
        08 00 02 00  0a 00 00 01                        # CTA_IP_V4_DST 10.0.0.1
      1c 00 02 80                                       # CTA_TUPLE_PROTO
        05 00 01 00  11 00 00 00                        # CTA_PROTO_NUM 17
        06 00 02 00  14 e9 00 00                        # CTA_PROTO_SRC_PORT 5353
        06 00 03 00  0f a0 00 00                        # CTA_PROTO_DST_PORT 4000
    1c 00 09 80                                         # CTA_COUNTERS_ORIG
      0c 00 01 00  00 00 00 00  00 00 00 02             # CTA_COUNTERS_PACKETS
      0c 00 02 00  00 00 00 00  00 00 00 78             # CTA_COUNTERS_BYTES
    1c 00 0a 80                                         # CTA_COUNTERS_REPLY
      0c 00 01 00  00 00 00 00  00 00 00 03             # CTA_COUNTERS_PACKETS
      0c 00 02 00  00 00 00 01  00 00 00 05             # CTA_COUNTERS_BYTES
  )";
  reads(conntrack::parse_entry, expected)(bytes);
  reads<bool>(
      [](const MessageView& message) -> Result<bool> { return conntrack::is_destroyed(message); },
      true)(bytes);
}

// What the kernel says of every rule, and of no other one, makes it no other rule.
TEST(RouteGolden, AListedRule) {
  reads(route::parse_rule, route::Rule{})(R"(
    34 00 00 00  20 00 00 00  00 00 00 00  00 00 00 00  # RTM_NEWRULE
    02 00 00 00  fe 00 00 01  00 00 00 00               # AF_INET, main, FR_ACT_TO_TBL
    08 00 0f 00  fe 00 00 00                            # FRA_TABLE RT_TABLE_MAIN
    08 00 0e 00  ff ff ff ff                            # FRA_SUPPRESS_PREFIXLEN none
    05 00 15 00  03 00 00 00                            # FRA_PROTOCOL RTPROT_BOOT
  )");
}

TEST(RouteGolden, AListedLink) {
  route::Link expected = dummy();
  expected.index = 7;
  expected.flags = IFF_UP;
  expected.master = 3;
  reads(route::parse_link, expected)(R"(
    48 00 00 00  10 00 01 00  00 00 00 00  00 00 00 00  # RTM_NEWLINK, no flags
    00 00 00 00  07 00 00 00  01 00 00 00  00 00 00 00  # ifinfomsg: index 7, IFF_UP
    07 00 03 00  "d0" 00 00                             # IFLA_IFNAME
    08 00 04 00  78 05 00 00                            # IFLA_MTU 1400
    08 00 0a 00  03 00 00 00                            # IFLA_MASTER 3
    10 00 12 80                                         # IFLA_LINKINFO
      0a 00 01 00  "dummy" 00 00 00                     # IFLA_INFO_KIND
  )");
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
