// SPDX-License-Identifier: Apache-2.0
// The table of odd packets, over real sockets.
#include <thread>

#include "tests/unit/dns/packets.h"
#include "tests/unit/dns/server_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

class WireTest : public ServerTest {
 protected:
  WireTest() { domain = "b"; }
};

// Another query tells that nothing was said to the one before, and that the server still answers.
const char* const kProbe = "a.in-addr.arpa";
bool is_probe(const Bytes& reply) {
  return reply.size() > 2 && read_u16(reply.data()) == 0x9999;
}
Bytes probe() {
  QueryOptions options;
  options.id = 0x9999;
  return make_query(kProbe, Type::kPtr, options);
}

TEST_F(WireTest, OverUdp) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  for (const PacketCase& c : packet_cases()) {
    socket.send(hex(c.packet));
    socket.send(probe());
    const Bytes first = socket.receive();
    if (is_probe(first)) {
      EXPECT_EQ(c.reply, "nothing") << c.what;
      continue;
    }
    EXPECT_EQ(to_text(first), c.reply) << c.what;
    EXPECT_TRUE(is_probe(socket.receive())) << c.what;
  }
}

TEST_F(WireTest, OverTcp) {
  start("127.0.0.1", 1);
  for (const PacketCase& c : packet_cases()) {
    Socket socket(address, SOCK_STREAM);
    socket.send_framed(hex(c.packet));
    if (c.packet.empty()) {
      EXPECT_TRUE(socket.closed()) << "a message of no bytes";
      continue;
    }
    socket.send_framed(probe());
    const Bytes first = socket.receive_framed();
    if (is_probe(first)) {
      EXPECT_EQ(c.reply, "nothing") << c.what;
      continue;
    }
    EXPECT_EQ(to_text(first), c.reply) << c.what;
    EXPECT_TRUE(is_probe(socket.receive_framed())) << c.what;
  }
}

// Every packet of the table cut at every byte, and with every byte changed: there is an answer or
// none, and the next query is answered.
TEST_F(WireTest, CutAndChanged) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  for (const PacketCase& c : packet_cases()) {
    const Bytes packet = hex(c.packet);
    for (size_t i = 0; i < packet.size(); ++i) {
      socket.send({packet.begin(), packet.begin() + static_cast<ptrdiff_t>(i)});
      Bytes changed = packet;
      changed[i] ^= 0xff;
      socket.send(changed);
      socket.send(probe());
      Bytes reply = socket.receive();
      for (; !reply.empty() && !is_probe(reply); reply = socket.receive())
        EXPECT_EQ(to_text(reply).find("malformed"), std::string::npos) << c.what << " " << i;
      ASSERT_FALSE(reply.empty()) << c.what << " " << i;
    }
  }
}

// A real cookie comes back as it is from every worker, over TCP too; garbage never does.
TEST_F(WireTest, CookiesAreOursAndSharedByWorkers) {
  start("127.0.0.1", 4);
  const auto cookie_for = [&](const Bytes& sent, int type) {
    QueryOptions options;
    options.edns_size = 1232;
    options.edns_options = {0, 10, 0, static_cast<uint8_t>(sent.size())};
    options.edns_options.insert(options.edns_options.end(), sent.begin(), sent.end());
    Socket socket(address, type);
    Bytes reply;
    if (type == SOCK_DGRAM) {
      socket.send(make_query("x.b", Type::kA, options));
      reply = socket.receive();
    } else {
      socket.send_framed(make_query("x.b", Type::kA, options));
      reply = socket.receive_framed();
    }
    EXPECT_GE(reply.size(), 24u);
    return Bytes(reply.end() - 24, reply.end());
  };
  const Bytes half = hex("0102030405060708");
  const Bytes cookie = cookie_for(half, SOCK_DGRAM);
  EXPECT_EQ(Bytes(cookie.begin(), cookie.begin() + 8), half);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(cookie_for(cookie, i % 2 == 0 ? SOCK_DGRAM : SOCK_STREAM), cookie);
  Bytes garbage = cookie;
  garbage.back() ^= 1;
  EXPECT_NE(cookie_for(garbage, SOCK_DGRAM), garbage);
}

}  // namespace
}  // namespace fairlead::dns
