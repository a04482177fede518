// SPDX-License-Identifier: Apache-2.0
// The table of protocol inputs, row by row, over real sockets.
#include "tests/unit/dns/table_b.h"

#include <set>

namespace fairlead::dns::test {
namespace {

// clang-format off
TEST_F(TableB, ShortOrResponse) { send_row(); }
TEST_F(TableB, QuestionCount) { send_row(); }
TEST_F(TableB, ExtraRecords) { send_row(); }
TEST_F(TableB, OptRecords) { send_row(); }
TEST_F(TableB, TrailingBytes) { send_row(); }
TEST_F(TableB, BrokenNames) { send_row(); }
TEST_F(TableB, ForwardPointer) { send_row(); }
TEST_F(TableB, OtherOpcodes) { send_row(); }
TEST_F(TableB, NotifyAndUpdate) { send_row(); }
TEST_F(TableB, OtherClasses) { send_row(); }
TEST_F(TableB, Chaos) { send_row(); }
TEST_F(TableB, HeaderBits) { send_row(); }
TEST_F(TableB, EdnsVersion) { send_row(); }
TEST_F(TableB, ClientSize) { send_row(); }
TEST_F(TableB, Cookies) { send_row(); }
TEST_F(TableB, OtherOptions) { send_row(); }
TEST_F(TableB, Transfers) { send_row(); }
// clang-format on

// Every packet of the table cut at every byte, and with every byte changed: there is an answer or
// none, and the next query is answered.
TEST_F(TableB, BrokenNamesAndAnythingElseCutAndChanged) {
  domain = "b";
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
TEST_F(TableB, CookiesAreOursAndSharedByWorkers) {
  domain = "b";
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

TEST_F(TableB, TrailingBytesAreCounted) {
  start();
  Bytes query = make_query(kWeb, Type::kA);
  query.push_back(0xff);
  EXPECT_EQ(udp(query), kWebAnswer);
  EXPECT_EQ(metric(&WorkerMetrics::trailing_bytes), 1u);
}

TEST_F(TableB, BrokenNamesAreAnsweredAtALimitedRate) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  Bytes bad = make_query(kWeb, Type::kA);
  bad[12] = 0xc0;
  for (int i = 0; i < 2000; ++i) socket.send(bad);
  socket.send(make_query(kWeb, Type::kA));
  int errors = 0;
  for (;;) {
    const std::string text = to_text(socket.receive());
    if (text == kWebAnswer || text == "nothing") break;
    EXPECT_EQ(text, "FORMERR rd qd=0\n");
    ++errors;
  }
  EXPECT_GE(errors, 1);
  EXPECT_LT(errors, 2000);
  EXPECT_GT(metric(&WorkerMetrics::dropped), 0u);
}

// One client's broken names are nothing to another's EDNS: both in the flood's own second.
TEST_F(TableB, EdnsVersionAndOtherOpcodesHaveNoLimit) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  Bytes bad = make_query(kWeb, Type::kA);
  bad[12] = 0xc0;
  Bytes status = make_query(kWeb, Type::kA);
  status[2] = 0x10;
  QueryOptions options;
  options.edns_size = 1232;
  Bytes version = make_query(kWeb, Type::kA, options);
  version[version.size() - 5] = 1;
  for (int i = 0; i < 400; ++i) socket.send(bad);
  socket.send(status);
  socket.send(version);
  std::multiset<std::string> seen;
  for (std::string text; text != "BADVERS rd qd=1\nopt 1232\n" && text != "nothing";) {
    text = to_text(socket.receive());
    seen.insert(text);
  }
  EXPECT_GE(seen.count("FORMERR rd qd=0\n"), 200u) << "the limit has been reached";
  EXPECT_EQ(seen.count("NOTIMP qd=0\n"), 1u);
  EXPECT_EQ(seen.count("BADVERS rd qd=1\nopt 1232\n"), 1u);
}

TEST_F(TableB, ClientSizeIsCappedAt1232) {
  std::vector<TestEndpoint> more;
  for (int i = 1; i <= 60; ++i) more.push_back({"10.244.1." + std::to_string(i)});
  zone.put(slice("big-2", "big", "default", more));
  zone.publish(8);
  start();
  QueryOptions options;
  options.edns_size = 4096;
  Socket socket(address, SOCK_DGRAM);
  socket.send(make_query("big.default.svc.cluster.local", Type::kA, options));
  const Bytes reply = socket.receive();
  EXPECT_EQ(to_text(reply).substr(0, 16), "NOERROR aa tc rd");
  EXPECT_LE(reply.size(), 1232u);
  EXPECT_GT(reply.size(), 1232u - 16) << "one more would have fitted";
}

TEST_F(TableB, AnyIsOneSetOfRecords) {
  zone.put(service("dual", "default", {"10.96.0.11", "fd00:96::11"}, {port("http", 80)}));
  zone.publish(8);
  start();
  EXPECT_EQ(udp(make_query("dual.default.svc.cluster.local", Type::kAny)),
            "NOERROR aa rd qd=1\nanswer dual.default.svc.cluster.local. 5 A 10.96.0.11\n");
}

TEST_F(TableB, ExtendedErrors) {
  start();
  QueryOptions edns;
  edns.edns_size = 1232;
  const auto ask = [&](const char* name, Type type) { return udp(make_query(name, type, edns)); };
  EXPECT_EQ(ask(kWeb, Type::kAxfr), "REFUSED rd qd=1\nopt 1232 ede=18\n");
  EXPECT_EQ(ask("example.com", Type::kA), "SERVFAIL rd qd=1\nopt 1232 ede=22\n") << "nobody";
  server.reset();
  upstreams = {{ip("127.0.0.1"), free_port()}};
  start();
  EXPECT_EQ(ask("example.com", Type::kA), "SERVFAIL rd qd=1\nopt 1232 ede=23\n") << "refuses";
}

// RFC 8020: there are names below.
TEST_F(TableB, EmptyNonTerminalsAreNodata) {
  start();
  const std::pair<const char*, Type> kNames[] = {{"_tcp.web.default.svc.cluster.local", Type::kSrv},
                                                 {"_tcp.web.default.svc.cluster.local", Type::kA},
                                                 {"0.96.10.in-addr.arpa", Type::kPtr},
                                                 {"10.in-addr.arpa", Type::kPtr},
                                                 {"dns.cluster.local", Type::kA}};
  for (const auto& [name, type] : kNames)
    EXPECT_EQ(udp(make_query(name, type)).substr(0, 29), "NOERROR aa rd qd=1\nauthority ") << name;
}

// Owners point to the question, and the SOA's names into it.
TEST_F(TableB, CompressionIsAlways) {
  start();
  const auto size = [&](const Bytes& query) {
    Socket socket(address, SOCK_DGRAM);
    socket.send(query);
    return socket.receive().size();
  };
  const Bytes known = make_query(kWeb, Type::kA);
  EXPECT_EQ(size(known), known.size() + 12 + 4);
  const Bytes unknown = make_query("nobody.default.svc.cluster.local", Type::kA);
  const size_t mname = 3 + 4 + 2;  // ns.dns and a pointer
  const size_t rname = 11 + 2;     // hostmaster and one
  EXPECT_EQ(size(unknown), unknown.size() + 12 + mname + rname + 5 * 4);
}

}  // namespace
}  // namespace fairlead::dns::test
