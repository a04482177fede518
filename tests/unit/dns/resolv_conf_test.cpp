// SPDX-License-Identifier: Apache-2.0
// resolv.conf(5), and never forwarding to ourselves.
#include "dns/plugins/forward/resolv_conf.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

struct ResolvCase {
  const char* text;
  std::vector<std::string> servers;
  size_t problems;
};

TEST(ResolvConf, Lines) {
  const ResolvCase kCases[] = {
      {"", {}, 0},
      {"nameserver 10.0.0.1\n", {"10.0.0.1:53"}, 0},
      {"nameserver\t10.0.0.1", {"10.0.0.1:53"}, 0},
      {"  nameserver 10.0.0.1 # x\n; nameserver 10.0.0.2\n#nameserver 10.0.0.3\n",
       {"10.0.0.1:53"},
       0},
      {"search a b\noptions ndots:5\nnameserver fd00::1\n", {"[fd00::1]:53"}, 0},
      {"nameserver 10.0.0.1\nnameserver 10.0.0.1\n", {"10.0.0.1:53"}, 0},
      {"nameserver\nnameserver x\nnameserver fe80::1%no-link\nnameserverx 10.0.0.1\n", {}, 3},
      {"nameserver fe80::1%lo\nnameserver fe80::1\nnameserver fd00::1%lo\n",
       {"[fe80::1%1]:53", "[fe80::1]:53", "[fd00::1]:53"},
       0},
      {"nameserver 10.0.0.1\r\nnameserver 10.0.0.2\r\n", {"10.0.0.1:53", "10.0.0.2:53"}, 0},
  };
  for (const ResolvCase& c : kCases) {
    const ResolvConf conf = parse_resolv_conf(c.text);
    std::vector<std::string> servers;
    for (const SocketAddress& server : conf.servers) servers.push_back(server.to_string());
    EXPECT_EQ(servers, c.servers) << c.text;
    EXPECT_EQ(conf.problems.size(), c.problems) << c.text;
  }
  std::string many;
  for (int i = 0; i < 20; ++i) many += "nameserver 10.0.0." + std::to_string(i) + "\n";
  EXPECT_EQ(parse_resolv_conf(many).servers.size(), kMaxUpstreams);
}

TEST(ResolvConf, NeverAsksItself) {
  ResolvConf conf = parse_resolv_conf(
      "nameserver 10.0.0.1\nnameserver 127.0.0.1\nnameserver 10.0.0.2\nnameserver ::1\n");
  remove_own_addresses(conf, {{ip("0.0.0.0"), 53}, {ip("10.0.0.2"), 53}}, {ip("10.0.0.1")});
  ASSERT_EQ(conf.servers.size(), 1u);
  EXPECT_EQ(conf.servers[0].to_string(), "[::1]:53") << "the wildcard is IPv4's alone";
  EXPECT_EQ(conf.problems.size(), 3u);
  conf = parse_resolv_conf("nameserver 127.0.0.1\n");
  remove_own_addresses(conf, {{ip("127.0.0.1"), 5353}}, {});
  EXPECT_EQ(conf.servers.size(), 1u) << "another port";
}

}  // namespace
}  // namespace fairlead::dns
