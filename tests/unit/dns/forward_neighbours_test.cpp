// SPDX-License-Identifier: Apache-2.0
// What is between us and an upstream server alone: connections, and EDNS.
#include "dns/plugins/forward/idle_connections.h"
#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

// An upstream that answers over TCP: one connection carries one question after another.
TEST_F(PluginForward, TcpConnectionsAreUsedAgain) {
  Upstream up(
      loop, [](const Bytes&) { return std::nullopt; },
      [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  for (int i = 1; i <= 5; ++i)
    EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp), kAnswer) << i;
  EXPECT_EQ(up.tcp_queries, 5);
  EXPECT_EQ(up.tcp_connections, 1);
  // Two at once have one each.
  send(make_query(kName, Type::kA), Transport::kTcp);
  send(make_query(kName, Type::kA), Transport::kTcp);
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 7; }, seconds(20)));
  EXPECT_EQ(up.tcp_connections, 2);
}

// A connection the server has closed meanwhile costs nothing but a new one.
TEST_F(PluginForward, AConnectionThatEndedIsNotAFailure) {
  Upstream up(
      loop, [](const Bytes&) { return std::nullopt; },
      [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  options->max_fails = 1;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp), kAnswer) << i;
    up.drop_connections();  // the plugin has not heard of it when it asks again
  }
  EXPECT_EQ(up.tcp_connections, 3);
  EXPECT_TRUE(up.queries.empty()) << "no probe: the server never failed";
}

// A reply with more behind it is taken, and its connection is not used again.
TEST_F(PluginForward, AConnectionThatSaysTooMuchIsClosed) {
  Upstream up(
      loop, [](const Bytes&) { return std::nullopt; },
      [](const Bytes& query) { return reply_to(query); });
  up.after_reply = {0, 1, 7};
  use({up.address});
  for (int i = 1; i <= 3; ++i)
    EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp), kAnswer) << i;
  EXPECT_EQ(up.tcp_connections, 3);
}

TEST(IdleConnections, AreFewAndNotForLong) {
  Loop loop;
  constexpr size_t kMost = 8;
  IdleConnections idle(loop, {.disuse = milliseconds(40), .most = kMost});
  const UpstreamServer server(SocketAddress{ip("127.0.0.1"), 53});
  std::vector<Fd> others;
  const auto put = [&] {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    others.emplace_back(pair[0]);
    idle.put(server, plain_stream(Fd(pair[1]), loop.clock().now()));
  };
  EXPECT_FALSE(idle.take(server));
  for (size_t i = 0; i < kMost + 3; ++i) put();
  EXPECT_EQ(idle.size(), kMost);
  EXPECT_FALSE(idle.take(SocketAddress{ip("127.0.0.1"), 54}));
  EXPECT_TRUE(idle.take(server));
  EXPECT_EQ(idle.size(), kMost - 1);
  // The other end goes, or speaks unasked.
  others[others.size() - 2].reset();
  ASSERT_EQ(write(others[others.size() - 3].get(), "x", 1), 1);
  EXPECT_TRUE(loop.run_until([&] { return idle.size() <= kMost - 3; }, seconds(20)));
  EXPECT_TRUE(loop.run_until([&] { return idle.size() == 0; }, seconds(20))) << "disuse";
  put();
  EXPECT_TRUE(idle.take(server)) << "and again";
  EXPECT_EQ(idle.size(), 0u);
}

TEST_F(PluginForward, EdnsGoesThroughWithoutCookies) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  QueryOptions o;
  o.edns_size = 4096;
  o.dnssec_ok = true;
  o.edns_options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 4, 0, 1, 0, 0};
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), std::string(kAnswer) + "opt 1232 do\n");
  QueryOptions expected;
  expected.id = read_u16(up.queries[0].data());
  expected.flags |= kFlagAuthenticData;
  expected.edns_size = 1232;
  expected.dnssec_ok = true;
  expected.edns_options = {0, 8, 0, 4, 0, 1, 0, 0};
  EXPECT_EQ(up.queries[0], make_query(kName, Type::kA, expected));
}

// What an upstream says to its own client, us, is not passed on; what it says of the answer is.
TEST_F(PluginForward, OptionsBetweenNeighboursStayThere) {
  Upstream up(loop, [](const Bytes& query) {
    Bytes reply = reply_to(query, 0, 0x8180);
    const Bytes more = {0, 10, 0, 8, 1, 2,   3, 4, 5, 6, 7, 8,  // cookie
                        0, 11, 0, 2, 0, 100,                    // keepalive
                        0, 12, 0, 1, 0,                         // padding
                        0, 15, 0, 2, 0, 3};                     // extended error 3
    reply[reply.size() - 6] = 1;                                // the upper bits of an rcode: 16
    reply[reply.size() - 1] = static_cast<uint8_t>(more.size());
    reply.insert(reply.end(), more.begin(), more.end());
    return reply;
  });
  use({up.address});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "BADVERS rd ra qd=1\nopt 1232 ede=3\n");
}

// A client without EDNS gets no OPT record, whatever the upstream does; one with it always does.
TEST_F(PluginForward, TheOptRecordIsBetweenNeighbours) {
  bool with_opt = true;
  Upstream up(loop, [&](const Bytes& query) {
    Query q;
    parse_query(query, q);
    QueryOptions o;
    if (with_opt) o.edns_size = 4096;
    Bytes reply = reply_to(make_query(q.name.to_text(), q.type, o));
    reply[0] = query[0];
    reply[1] = query[1];
    return reply;
  });
  use({up.address});
  EXPECT_EQ(ask(make_query("www.example.com", Type::kA)),
            "NOERROR rd ra qd=1\nanswer www.example.com. 60 A 192.0.2.1\n");
  with_opt = false;
  QueryOptions o;
  o.edns_size = 4096;
  EXPECT_EQ(ask(make_query("www.example.com", Type::kA, o)),
            "NOERROR rd ra qd=1\nanswer www.example.com. 60 A 192.0.2.1\nopt 1232\n");
}

}  // namespace
}  // namespace fairlead::dns
