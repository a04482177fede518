// SPDX-License-Identifier: Apache-2.0
// Forwarding, against upstream servers that do as the test says.
#include "dns/plugins/forward/forward.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <set>

#include "dns/chain.h"
#include "dns/plugins/forward/relay.h"
#include "dns/plugins/forward/resolv_conf.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/server/socket.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What an upstream makes of a query; nothing: it keeps silent.
using Script = std::function<std::optional<Bytes>(Bytes query)>;

// A server on one loop with the plugin.
class Upstream {
 public:
  Upstream(Loop& loop, Script udp, Script tcp = nullptr)
      : loop_(loop), udp_script_(std::move(udp)), tcp_script_(std::move(tcp)) {
    address = {ip("127.0.0.1"), fairlead::test::free_port()};
    open();
  }
  void open() {
    udp_ = *open_udp(address);
    udp_poll_ = std::make_unique<Poll>(loop_, udp_.get());
    udp_poll_->start(UV_READABLE, [this](int) { on_udp(); });
    if (!tcp_script_) return;
    tcp_ = *open_tcp(address);
    tcp_poll_ = std::make_unique<Poll>(loop_, tcp_.get());
    tcp_poll_->start(UV_READABLE, [this](int) { on_accept(); });
  }
  void close() {
    udp_poll_.reset();
    udp_.reset();
  }
  // Ends every TCP connection; new ones are taken.
  void drop_connections() { connections_.clear(); }

  SocketAddress address;
  std::vector<Bytes> queries;  // over UDP
  int tcp_queries = 0;
  int tcp_connections = 0;
  Bytes after_reply;  // sent behind every reply over TCP

 private:
  struct Connection {
    Connection(Loop& loop, Fd fd) : socket(std::move(fd)), poll(loop, socket.get()) {}
    Fd socket;
    Poll poll;
  };
  void on_udp() {
    Bytes buffer(65535);
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const ssize_t size = recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&peer), &length);
    if (size < 0) return;
    buffer.resize(static_cast<size_t>(size));
    queries.push_back(buffer);
    if (const auto reply = udp_script_(buffer))
      sendto(udp_.get(), reply->data(), reply->size(), 0, reinterpret_cast<sockaddr*>(&peer),
             length);
  }
  // A query is on the way in one piece.
  void on_accept() {
    Fd connection(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    ++tcp_connections;
    auto& open =
        connections_.emplace_back(std::make_unique<Connection>(loop_, std::move(connection)));
    open->poll.start(UV_READABLE, [this, c = open.get()](int) { on_tcp(*c); });
  }
  void on_tcp(Connection& open) {
    Fd& connection = open.socket;
    uint8_t length[2];
    if (recv(connection.get(), length, 2, MSG_WAITALL) != 2) return open.poll.stop();
    Bytes query(read_u16(length));
    if (recv(connection.get(), query.data(), query.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(query.size()))
      return;
    ++tcp_queries;
    const auto reply = tcp_script_(query);
    if (!reply) return;
    Bytes framed(2);
    write_u16(framed.data(), static_cast<uint16_t>(reply->size()));
    framed.insert(framed.end(), reply->begin(), reply->end());
    // In two pieces, as a network may.
    send(connection.get(), framed.data(), 3, MSG_NOSIGNAL);
    framed.insert(framed.end(), after_reply.begin(), after_reply.end());
    send(connection.get(), framed.data() + 3, framed.size() - 3, MSG_NOSIGNAL);
  }

  Loop& loop_;
  Script udp_script_;
  Script tcp_script_;
  Fd udp_;
  Fd tcp_;
  std::unique_ptr<Poll> udp_poll_;
  std::unique_ptr<Poll> tcp_poll_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// The query as a reply with `count` A records 192.0.2.1...; its OPT record goes, and comes back
// last.
Bytes reply_to(const Bytes& query, unsigned count = 1, uint16_t flags = 0x8180) {
  Query q;
  parse_query(query, q);
  Bytes reply(query.begin(), query.begin() + static_cast<ptrdiff_t>(q.question_end));
  write_u16(&reply[2], flags);
  write_u16(&reply[6], static_cast<uint16_t>(count));
  write_u16(&reply[8], 0);
  write_u16(&reply[10], q.edns ? 1 : 0);
  for (unsigned i = 0; i < count; ++i) {
    const Bytes record = {0xc0, 0x0c, 0, 1, 0,   1, 0, 0,
                          0,    60,   0, 4, 192, 0, 2, static_cast<uint8_t>(i + 1)};
    reply.insert(reply.end(), record.begin(), record.end());
  }
  if (q.edns) {
    const Bytes opt = {0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0};
    reply.insert(reply.end(), opt.begin(), opt.end());
  }
  return reply;
}

class LatePath : public ReplyPath {
 public:
  explicit LatePath(std::vector<Bytes>& replies) : replies_(replies) {}
  SendLater later() override {
    return [&replies = replies_](std::span<const uint8_t> m) {
      replies.emplace_back(m.begin(), m.end());
    };
  }

 private:
  std::vector<Bytes>& replies_;
};

class ForwardTest : public ::testing::Test {
 protected:
  ForwardTest() {
    options->limits = {milliseconds(200), milliseconds(200), milliseconds(200)};
    options->policy = UpstreamPolicy::kSequential;
    options->probe_period = milliseconds(20);
  }
  void use(const std::vector<SocketAddress>& servers) {
    options->upstreams = std::make_shared<UpstreamList>(servers);
    auto kubernetes = std::make_shared<KubernetesOptions>();
    kubernetes->zone.zone = dns_name("cluster.local");
    ASSERT_TRUE(
        chain.assemble(loop, reader, {{"forward", options}, {"kubernetes", kubernetes}}).ok());
  }
  void send(const Bytes& packet, Transport transport = Transport::kUdp) {
    Query query;
    ASSERT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    Bytes buffer(kMaxMessage);
    Reply reply(buffer);
    reply.begin(query, transport == Transport::kUdp ? udp_limit(query) : kMaxMessage);
    LatePath path(replies);
    const Client client{{ip("192.0.2.9"), 999}, transport};
    Request request(query, client, reply, path);
    if (chain.serve(request) != Step::kAnswered) return;
    const auto message = reply.finish();
    replies.emplace_back(message.begin(), message.end());
  }
  std::string ask(const Bytes& packet, Transport transport = Transport::kUdp) {
    const size_t before = replies.size();
    send(packet, transport);
    if (!loop.run_until([&] { return replies.size() > before; }, seconds(20))) return "no reply";
    return to_text(replies.back());
  }

  Loop loop;
  Zone zone;
  Published::Reader reader{zone.published()};
  std::shared_ptr<ForwardOptions> options = std::make_shared<ForwardOptions>();
  std::vector<Bytes> replies;
  Chain chain;
};

const char* const kName = "www.Example.com";
const char* const kAnswer = "NOERROR rd ra qd=1\nanswer www.Example.com. 60 A 192.0.2.1\n";

TEST_F(ForwardTest, RelaysQueryAndReply) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  QueryOptions o;
  o.flags = 0x0170;  // RD, Z, AD, CD
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), kAnswer);
  EXPECT_EQ(read_u16(replies[0].data()), 0x1234) << "the client's ID comes back";
  ASSERT_EQ(up.queries.size(), 1u);
  EXPECT_EQ(read_u16(&up.queries[0][2]), 0x0110) << "RD and CD go on, AD and Z do not";
  EXPECT_EQ(up.queries[0].size(), make_query(kName, Type::kA).size()) << "no EDNS, none added";
  std::set<uint16_t> ids;
  for (int i = 0; i < 20; ++i) ask(make_query(kName, Type::kA));
  for (const Bytes& query : up.queries) ids.insert(read_u16(query.data()));
  EXPECT_GT(ids.size(), 10u) << "a new ID each time";
}

TEST_F(ForwardTest, EdnsGoesThroughWithoutCookies) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  QueryOptions o;
  o.edns_size = 4096;
  o.dnssec_ok = true;
  o.edns_options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 4, 0, 1, 0, 0};
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), std::string(kAnswer) + "opt 1232 do\n");
  QueryOptions expected;
  expected.id = read_u16(up.queries[0].data());
  expected.edns_size = 1232;
  expected.dnssec_ok = true;
  expected.edns_options = {0, 8, 0, 4, 0, 1, 0, 0};
  EXPECT_EQ(up.queries[0], make_query(kName, Type::kA, expected));
}

TEST_F(ForwardTest, ATruncatedReplyIsFetchedOverTcp) {
  Upstream up(
      loop, [](const Bytes& query) { return reply_to(query, 0, 0x8380); },
      [](const Bytes& query) { return reply_to(query, 3); });
  use({up.address});
  const std::string text = ask(make_query(kName, Type::kA));
  EXPECT_EQ(text.substr(0, 19), "NOERROR rd ra qd=1\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_EQ(up.tcp_queries, 1);
}

// The client gets what fits, not nothing.
TEST_F(ForwardTest, WhatTcpBroughtIsCutToTheClientsSize) {
  Upstream up(
      loop, [](const Bytes& query) { return reply_to(query, 0, 0x8380); },
      [](const Bytes& query) { return reply_to(query, 100); });
  use({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)).substr(0, 21), "NOERROR tc rd ra qd=1");
  EXPECT_LE(replies.back().size(), 512u);
  EXPECT_GT(replies.back().size(), 512u - 16);
  QueryOptions o;
  o.edns_size = 1000;
  const std::string text = ask(make_query(kName, Type::kA, o));
  EXPECT_NE(text.find("opt 1232"), std::string::npos) << text;
  EXPECT_LE(replies.back().size(), 1000u);
  EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp).substr(0, 18), "NOERROR rd ra qd=1");
  EXPECT_GT(replies.back().size(), 1600u);
}

TEST_F(ForwardTest, ATruncatedReplyIsBetterThanNone) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 2, 0x8380); });
  use({up.address});
  const std::string text = ask(make_query(kName, Type::kA));
  EXPECT_EQ(text.substr(0, 21), "NOERROR tc rd ra qd=1") << "TCP is refused there";
}

TEST_F(ForwardTest, LiesAreNotPassedOn) {
  int wrong = 0;
  Upstream up(
      loop,
      [&](Bytes query) {
        Bytes reply = reply_to(query);
        switch (wrong++) {
          case 0:
            reply[0] ^= 1;
            break;  // another ID
          case 1:
            reply[13] ^= 1;
            break;  // another name
          case 2:
            reply[reply.size() - 19] ^= 1;
            break;  // another type
          case 3:
            reply.resize(reply.size() - 1);
            break;
          default:
            reply.assign(5, 0);
            break;
        }
        return std::optional(reply);
      },
      [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer) << "asked again over TCP: " << i;
    EXPECT_EQ(up.tcp_queries, i);
  }
}

TEST_F(ForwardTest, RefusalsArePassedOnAndCountAsHealthy) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 0, 0x8185); });
  Upstream other(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address, other.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "REFUSED rd ra qd=1\n");
  EXPECT_EQ(other.queries.size(), 0u);
}

TEST_F(ForwardTest, ARefusalWithoutAQuestionGetsTheClientsQuestion) {
  Upstream up(loop, [](const Bytes& query) {
    return Bytes{query[0], query[1], 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0};
  });
  use({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "FORMERR rd ra qd=1\n");
}

TEST_F(ForwardTest, TheNextServerIsAskedWhenOneIsSilent) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({silent.address, up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  const size_t asked = silent.queries.size();
  EXPECT_GE(asked, 2u);
  // Two failures: it is down, and only probed.
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  for (size_t i = asked; i < silent.queries.size(); ++i)
    EXPECT_EQ(silent.queries[i].size(), 17u) << "a probe";
}

TEST_F(ForwardTest, AServerThatCameBackIsUsedAgain) {
  Upstream first(loop, [](const Bytes& query) { return reply_to(query, 2); });
  Upstream second(loop, [](const Bytes& query) { return reply_to(query); });
  use({first.address, second.address});
  first.close();
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  first.open();
  ASSERT_TRUE(loop.run_until([&] { return !first.queries.empty(); }, seconds(20))) << "probed";
  const bool used = loop.run_until(
      [&] { return ask(make_query(kName, Type::kA)).find("192.0.2.2") != std::string::npos; },
      seconds(20));
  EXPECT_TRUE(used);
}

TEST_F(ForwardTest, NobodyAnswers) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  use({silent.address});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  EXPECT_EQ(silent.queries.size(), 2u);
}

TEST_F(ForwardTest, TheNetworkRefuses) {
  use({{ip("127.0.0.1"), fairlead::test::free_port()}});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=23\n");
}

TEST_F(ForwardTest, WithoutServers) {
  use({});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  options->upstreams->replace({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer) << "the list is followed";
}

TEST_F(ForwardTest, TooManyAtOnceAreRefused) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->in_flight = std::make_shared<InFlightLimit>(3);
  use({silent.address});
  for (int i = 0; i < 3; ++i) send(make_query(kName, Type::kA));
  EXPECT_TRUE(replies.empty());
  send(make_query(kName, Type::kA));
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "REFUSED rd qd=1\n");
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 4; }, seconds(20)))
      << "each completes once";
}

// The limit is one for all workers.
TEST_F(ForwardTest, TheLimitIsSharedByAllWorkers) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->in_flight = std::make_shared<InFlightLimit>(3);
  use({silent.address});
  InFlightLimit::Place elsewhere[] = {options->in_flight->take(), options->in_flight->take()};
  send(make_query(kName, Type::kA));
  EXPECT_TRUE(replies.empty());
  send(make_query(kName, Type::kA));
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "REFUSED rd qd=1\n");
  elsewhere[0] = InFlightLimit::Place();
  send(make_query(kName, Type::kA));
  EXPECT_EQ(replies.size(), 1u) << "it waits";
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 3; }, seconds(20)));
  EXPECT_TRUE(options->in_flight->take()) << "places come back";
}

// An upstream that answers over TCP: one connection carries one question after another.
TEST_F(ForwardTest, TcpConnectionsAreUsedAgain) {
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
TEST_F(ForwardTest, AConnectionThatEndedIsNotAFailure) {
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
TEST_F(ForwardTest, AConnectionThatSaysTooMuchIsClosed) {
  Upstream up(
      loop, [](const Bytes&) { return std::nullopt; },
      [](const Bytes& query) { return reply_to(query); });
  up.after_reply = {0, 1, 7};
  use({up.address});
  for (int i = 1; i <= 3; ++i)
    EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp), kAnswer) << i;
  EXPECT_EQ(up.tcp_connections, 3);
}

// What an upstream says to its own client, us, is not passed on; what it says of the answer is.
TEST_F(ForwardTest, OptionsBetweenNeighboursStayThere) {
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
TEST_F(ForwardTest, TheOptRecordIsBetweenNeighbours) {
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

TEST(IdleConnections, AreFewAndNotForLong) {
  Loop loop;
  IdleConnections idle(loop, milliseconds(40));
  const SocketAddress server{ip("127.0.0.1"), 53};
  std::vector<Fd> others;
  const auto put = [&] {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    others.emplace_back(pair[0]);
    idle.put(server, Fd(pair[1]));
  };
  EXPECT_FALSE(idle.take(server));
  for (size_t i = 0; i < IdleConnections::kPerServer + 3; ++i) put();
  EXPECT_EQ(idle.size(), IdleConnections::kPerServer);
  EXPECT_FALSE(idle.take({ip("127.0.0.1"), 54}));
  EXPECT_TRUE(idle.take(server));
  EXPECT_EQ(idle.size(), IdleConnections::kPerServer - 1);
  // The other end goes, or speaks unasked.
  others[others.size() - 2].reset();
  ASSERT_EQ(write(others[others.size() - 3].get(), "x", 1), 1);
  EXPECT_TRUE(
      loop.run_until([&] { return idle.size() <= IdleConnections::kPerServer - 3; }, seconds(20)));
  EXPECT_TRUE(loop.run_until([&] { return idle.size() == 0; }, seconds(20))) << "disuse";
  put();
  EXPECT_TRUE(idle.take(server)) << "and again";
  EXPECT_EQ(idle.size(), 0u);
}

TEST_F(ForwardTest, AnExternalNameIsChasedThroughTheChain) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 2); });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa rd qd=1\n"
            "answer out.default.svc.cluster.local. 5 CNAME www.example.com.\n"
            "answer www.example.com. 60 A 192.0.2.1\n"
            "answer www.example.com. 60 A 192.0.2.2\n");
}

TEST_F(ForwardTest, AnExternalNameThatDoesNotResolveIsACnameAlone) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 0, 0x8183); });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n");
}

TEST_F(ForwardTest, WhatWasNotAskedIsNotChased) {
  Upstream up(loop, [](Bytes query) {
    Bytes reply = reply_to(query, 1);
    reply[6 + 1] = 1;
    // The record's owner becomes another name: the root.
    Query q;
    parse_query(query, q);
    reply.erase(reply.begin() + static_cast<ptrdiff_t>(q.question_end));
    reply[q.question_end] = 0;
    return reply;
  });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n");
}

// What is under way when the end comes is dropped without a trace.
TEST_F(ForwardTest, DestroyedWhileWaiting) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  auto other = std::make_unique<Chain>();
  options->upstreams = std::make_shared<UpstreamList>(std::vector{silent.address});
  ASSERT_TRUE(other->assemble(loop, reader, {{"forward", options}}).ok());
  const Bytes packet = make_query(kName, Type::kA);
  Query query;
  parse_query(packet, query);
  Bytes buffer(512);
  Reply reply(buffer);
  reply.begin(query, 512);
  LatePath path(replies);
  const Client client;
  Request request(query, client, reply, path);
  EXPECT_EQ(other->serve(request), Step::kPending);
  other.reset();
  loop.run_until([] { return false; }, milliseconds(300));
  EXPECT_TRUE(replies.empty());
}

TEST(Chain, RefusesPluginsItDoesNotKnow) {
  Loop loop;
  Zone zone;
  Published::Reader reader(zone.published());
  Chain chain;
  const auto result =
      chain.assemble(loop, reader, {{"frobnicate", std::make_shared<ForwardOptions>()}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message(), "there is no plugin 'frobnicate'");
}

// A plugin before the one that answers sees every answer, at once or later.
TEST_F(ForwardTest, PluginsBeforeSeeEveryAnswer) {
  class Marker : public Plugin {
   public:
    std::string_view name() const override { return "marker"; }
    Step serve(Request&) override { return Step::kNext; }
    void on_reply(const Query&, Reply&) override { ++seen; }
    int seen = 0;
  };
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  auto marker = std::make_unique<Marker>();
  Marker& seen = *marker;
  chain.append(std::move(marker));
  use({up.address});
  ask(make_query("x.cluster.local", Type::kA));
  EXPECT_EQ(seen.seen, 1);
  ask(make_query(kName, Type::kA));
  EXPECT_EQ(seen.seen, 2);
}

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
      {"nameserver\nnameserver x\nnameserver fe80::1%eth0\nnameserverx 10.0.0.1\n", {}, 3},
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
