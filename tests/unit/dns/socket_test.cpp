// SPDX-License-Identifier: Apache-2.0
#include "dns/server/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

constexpr int kOmit = 5;  // IP_PMTUDISC_OMIT and IPV6_PMTUDISC_OMIT, linux/in.h and linux/in6.h

// Nobody who forges "fragmentation needed" makes us send fragments, which could be poisoned.
TEST(Sockets, NoPathMtuIsBelieved) {
  struct Row {
    const char* address;
    int level, option;
  };
  const Row kRows[] = {{"127.0.0.1", IPPROTO_IP, IP_MTU_DISCOVER},
                       {"0.0.0.0", IPPROTO_IP, IP_MTU_DISCOVER},
                       {"::1", IPPROTO_IPV6, IPV6_MTU_DISCOVER},
                       {"::", IPPROTO_IPV6, IPV6_MTU_DISCOVER}};
  for (const Row& row : kRows) {
    const auto socket = open_udp({ip(row.address), 0});
    ASSERT_TRUE(socket.ok()) << row.address << socket.error().message();
    int value = -1;
    socklen_t size = sizeof value;
    ASSERT_EQ(getsockopt(socket->get(), row.level, row.option, &value, &size), 0) << row.address;
    EXPECT_EQ(value, kOmit) << row.address;
  }
}

}  // namespace
}  // namespace fairlead::dns::test
