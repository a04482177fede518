// SPDX-License-Identifier: Apache-2.0
// A server for the tests of the table of protocol inputs: suite TableB, a test or more for each
// row, whose names begin alike (docs/dns-tables.md).
#pragma once

#include <string_view>

#include "tests/unit/dns/packets.h"
#include "tests/unit/dns/server_support.h"

namespace fairlead::dns::test {

class TableB : public ServerTest {
 protected:
  static bool is_probe(const Bytes& reply) {
    return reply.size() > 2 && read_u16(reply.data()) == 0x9999;
  }
  static Bytes probe() {
    QueryOptions options;
    options.id = 0x9999;
    return make_query("a.in-addr.arpa", Type::kPtr, options);
  }

  // Sends the packets of the row that the test is named after, over UDP and over TCP. Another query
  // behind each tells that nothing was said to it, and that the server still answers.
  void send_row() {
    domain = "b";
    start("127.0.0.1", 1);
    const std::string_view row = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    size_t sent = 0;
    for (const PacketCase& c : packet_cases()) {
      if (row != c.row) continue;
      over_udp(c);
      over_tcp(c);
      ++sent;
    }
    EXPECT_GT(sent, 0u) << "no packet has this row";
  }

 private:
  void over_udp(const PacketCase& c) {
    Socket socket(address, SOCK_DGRAM);
    socket.send(hex(c.packet));
    socket.send(probe());
    const Bytes first = socket.receive();
    EXPECT_EQ(is_probe(first) ? "nothing" : to_text(first), c.reply) << c.what;
    if (!is_probe(first)) EXPECT_TRUE(is_probe(socket.receive())) << c.what;
  }
  void over_tcp(const PacketCase& c) {
    Socket socket(address, SOCK_STREAM);
    socket.send_framed(hex(c.packet));
    if (c.packet.empty()) {
      EXPECT_TRUE(socket.closed()) << "a message of no bytes";
      return;
    }
    socket.send_framed(probe());
    const Bytes first = socket.receive_framed();
    EXPECT_EQ(is_probe(first) ? "nothing" : to_text(first), c.reply) << c.what;
    if (!is_probe(first)) EXPECT_TRUE(is_probe(socket.receive_framed())) << c.what;
  }
};

}  // namespace fairlead::dns::test
