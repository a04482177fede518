// SPDX-License-Identifier: Apache-2.0
// Clients over TCP: framing, pipelining, limits, deadlines, and connections that end at any moment.
#include <netinet/in.h>

#include <thread>

#include "dns/server/framing.h"
#include "tests/unit/dns/table_b.h"

namespace fairlead::dns {
namespace {

using namespace test;

TEST_F(TableB, TcpPipeliningByteByByte) {
  start();
  Socket tcp(address, SOCK_STREAM);
  const Bytes query = make_query(kWeb, Type::kA);
  tcp.send({0});
  tcp.send({static_cast<uint8_t>(query.size())});
  for (const uint8_t byte : query) tcp.send({byte});
  EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer);
  constexpr int kPipelined = 500;
  std::vector<bool> seen(kPipelined);
  std::thread sender([&] {
    for (int i = 0; i < kPipelined; ++i) {
      QueryOptions options;
      options.id = static_cast<uint16_t>(i);
      tcp.send_framed(make_query(kWeb, Type::kA, options));
    }
  });
  for (int i = 0; i < kPipelined; ++i) {
    const Bytes reply = tcp.receive_framed();
    ASSERT_GE(reply.size(), 12u);
    ASSERT_LT(read_u16(reply.data()), kPipelined);
    seen[read_u16(reply.data())] = true;
  }
  sender.join();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kPipelined);
}

// A client that asks a lot and reads nothing is not read either; it gets everything once it reads.
TEST_F(ServerTest, TcpBackPressure) {
  start();
  Socket tcp(address, SOCK_STREAM);
  constexpr int kQueries = 20'000;
  std::thread sender([&] {
    for (int i = 0; i < kQueries; ++i)
      tcp.send_framed(make_query("big.default.svc.cluster.local", Type::kA));
  });
  int replies = 0;
  while (replies < kQueries && !tcp.receive_framed().empty()) ++replies;
  sender.join();
  EXPECT_EQ(replies, kQueries);
}

TEST_F(TableB, TcpZeroLengthCloses) {
  start();
  Socket zero(address, SOCK_STREAM);
  zero.send({0, 0});
  EXPECT_TRUE(zero.closed());
  Socket huge(address, SOCK_STREAM);
  huge.send({0xff, 0xff});
  EXPECT_TRUE(huge.closed());
  Socket half(address, SOCK_STREAM);
  half.send_framed(make_query(kWeb, Type::kA));
  shutdown(half.fd(), SHUT_WR);
  EXPECT_EQ(to_text(half.receive_framed()), kWebAnswer);
  EXPECT_TRUE(half.closed());
}

// In whatever pieces it comes, and with unread bytes behind it, which make a kernel reset.
TEST_F(TableB, TcpZeroLengthClosesButWhatWasAskedBeforeIsAnswered) {
  start();
  const Bytes query = make_query(kWeb, Type::kA);
  for (const Bytes& bad : {Bytes{0, 0}, Bytes{0x20, 0}})
    for (const size_t pieces : {1u, 2u}) {
      Socket tcp(address, SOCK_STREAM);
      Bytes all;
      for (int i = 0; i < 5; ++i) {
        all.push_back(0);
        all.push_back(static_cast<uint8_t>(query.size()));
        all.insert(all.end(), query.begin(), query.end());
      }
      all.push_back(bad[0]);
      if (pieces == 2) {
        tcp.send(all);
        for (int i = 0; i < 5; ++i) EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer) << i;
        all.clear();
      }
      all.push_back(bad[1]);
      all.resize(all.size() + 4000);
      tcp.send(all);
      for (int i = 0; i < 5 && pieces == 1; ++i)
        EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer) << i;
      EXPECT_TRUE(tcp.closed());
    }
}

TEST_F(ServerTest, TcpEndsAfterSoManyQueries) {
  TcpLimits limits;
  limits.queries = 3;
  start("127.0.0.1", 1, limits);
  Socket tcp(address, SOCK_STREAM);
  Bytes queries;  // sent at once: the server may end the connection after the third
  for (int i = 0; i < 10; ++i) {
    const Bytes query = make_query(kWeb, Type::kA);
    queries.push_back(0);
    queries.push_back(static_cast<uint8_t>(query.size()));
    queries.insert(queries.end(), query.begin(), query.end());
  }
  tcp.send(queries);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer) << i;
  EXPECT_TRUE(tcp.closed());
  Socket again(address, SOCK_STREAM);
  again.send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(again.receive_framed()), kWebAnswer);
}

TEST_F(TableB, TcpLimitsOfTimeForAMessage) {
  TcpLimits limits;
  limits.message = std::chrono::milliseconds(300);
  limits.idle = std::chrono::milliseconds(600);
  start("127.0.0.1", 1, limits);
  Socket slow(address, SOCK_STREAM);
  Socket idle(address, SOCK_STREAM);
  std::thread dripping([&] {  // a byte now and then does not help
    for (int i = 0; i < 200; ++i) {
      const uint8_t byte = i == 0 ? 0 : 40;
      if (::send(slow.fd(), &byte, 1, MSG_NOSIGNAL) != 1) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (slow.readable(0)) return;
    }
  });
  dripping.join();
  EXPECT_TRUE(slow.readable(kWaitMillis)) << "closed";
  EXPECT_TRUE(idle.closed());
  EXPECT_GE(metric(&WorkerMetrics::tcp_timeouts), 2u);
}

TEST_F(TableB, TcpLimitsTheIdlestMakesRoom) {
  TcpLimits limits;
  limits.connections = 16;
  limits.connections_per_client = 17;
  start("127.0.0.1", 1, limits);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 16; ++i) {
    sockets.push_back(std::make_unique<Socket>(address, SOCK_STREAM));
    sockets.back()->send_framed(make_query(kWeb, Type::kA));
    EXPECT_EQ(to_text(sockets.back()->receive_framed()), kWebAnswer);
  }
  Socket extra(address, SOCK_STREAM);
  extra.send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(extra.receive_framed()), kWebAnswer);
  EXPECT_TRUE(sockets[0]->closed()) << "the one idle for longest made room";
  EXPECT_EQ(metric(&WorkerMetrics::tcp_evicted), 1u);
}

// Slowloris: all connections are in the middle of a message, which no deadline has ended yet.
TEST_F(TableB, TcpLimitsUnfinishedMessagesMakeRoom) {
  TcpLimits limits;
  limits.connections = 16;
  limits.connections_per_client = 100;
  limits.message = std::chrono::hours(1);
  start("127.0.0.1", 1, limits);
  std::vector<std::unique_ptr<Socket>> slow;
  for (int i = 0; i < 16; ++i) {
    slow.push_back(std::make_unique<Socket>(address, SOCK_STREAM));
    slow.back()->send_framed(make_query(kWeb, Type::kA));
    EXPECT_EQ(to_text(slow.back()->receive_framed()), kWebAnswer);
    slow.back()->send({0});
  }
  // When it has answered twice, it has read what came before the second question.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
  for (int i = 0; i < 16; ++i) {
    Socket client(address, SOCK_STREAM);
    client.send_framed(make_query(kWeb, Type::kA));
    EXPECT_EQ(to_text(client.receive_framed()), kWebAnswer);
  }
  EXPECT_TRUE(slow[0]->closed()) << "the one that began first made room";
}

TEST_F(TableB, TcpLimitsOfAClient) {
  TcpLimits limits;
  limits.connections_per_client = 8;
  start("127.0.0.1", 1, limits);
  std::vector<std::unique_ptr<Socket>> sockets;
  const auto answers = [](Socket& socket) {
    socket.send_framed(make_query(kWeb, Type::kA));
    return to_text(socket.receive_framed()) == kWebAnswer;
  };
  for (int i = 0; i < 9; ++i) {
    sockets.push_back(std::make_unique<Socket>(address, SOCK_STREAM));
    EXPECT_TRUE(answers(*sockets.back())) << i;
  }
  EXPECT_TRUE(sockets[0]->closed()) << "the one idle for longest made room";
  for (int i = 1; i < 9; ++i) {
    EXPECT_TRUE(answers(*sockets[static_cast<size_t>(i)])) << i;
    sockets[static_cast<size_t>(i)]->send({0});  // in the middle of a message
  }
  for (int i = 0; i < 2; ++i) EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
  Socket more(address, SOCK_STREAM);
  EXPECT_TRUE(more.closed()) << "all are busy";
}

TEST(Framer, AnyCutGivesTheSameMessages) {
  Bytes stream;
  for (const size_t size : {1u, 2u, 300u, 1u, 4096u}) {
    stream.push_back(static_cast<uint8_t>(size >> 8));
    stream.push_back(static_cast<uint8_t>(size));
    stream.insert(stream.end(), size, static_cast<uint8_t>(size));
  }
  for (const size_t chunk :
       {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{301}, stream.size()}) {
    Framer framer(4096);
    std::vector<size_t> sizes;
    for (size_t at = 0; at < stream.size(); at += chunk)
      ASSERT_TRUE(framer.feed(
          std::span<const uint8_t>(stream).subspan(at, std::min(chunk, stream.size() - at)),
          [&](std::span<const uint8_t> message) {
            sizes.push_back(message.size());
            return true;
          }));
    EXPECT_EQ(sizes, (std::vector<size_t>{1, 2, 300, 1, 4096})) << chunk;
    EXPECT_FALSE(framer.partial());
  }
}

// A connection that asks for names whose answers wait, and a socket that is the upstream server.
class TcpTest : public ServerTest {
 protected:
  TcpTest() {
    upstreams = {{ip("127.0.0.1"), free_port()}};
    upstream = *open_udp(upstreams[0]);
  }
  // The next question that reaches the upstream, and who asked; the reply is sent with answer().
  struct Asked {
    Bytes query;
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
  };
  Asked next_question() {
    Asked asked;
    pollfd p{upstream.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&p, 1, kWaitMillis), 1);
    asked.query.resize(2048);
    const ssize_t size = recvfrom(upstream.get(), asked.query.data(), asked.query.size(), 0,
                                  reinterpret_cast<sockaddr*>(&asked.peer), &asked.length);
    asked.query.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    return asked;
  }
  void refuse(const Asked& asked) {
    Bytes reply = asked.query;
    reply[2] |= 0x80;
    reply[3] = 5;
    sendto(upstream.get(), reply.data(), reply.size(), 0,
           reinterpret_cast<const sockaddr*>(&asked.peer), asked.length);
  }
  // RST instead of FIN.
  static void reset(std::unique_ptr<Socket>& socket) {
    const linger now{1, 0};
    setsockopt(socket->fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    socket.reset();
  }
  std::unique_ptr<Socket> client() { return std::make_unique<Socket>(address, SOCK_STREAM); }
  Fd upstream;
};

const char* const kOut = "out.default.svc.cluster.local";
const char* const kOutAnswer =
    "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n";

// Over TCP an upstream would be asked over TCP; without any the alias is answered at once, from
// inside the reading of the connection.
TEST_F(TcpTest, AnAliasAnsweredWhileReading) {
  upstreams.clear();
  start("127.0.0.1", 1);
  const auto socket = client();
  Bytes burst;
  constexpr int kQueries = 40;
  for (int i = 0; i < kQueries; ++i) {
    const Bytes query = make_query(kOut, Type::kA);
    burst.push_back(0);
    burst.push_back(static_cast<uint8_t>(query.size()));
    burst.insert(burst.end(), query.begin(), query.end());
  }
  socket->send(burst);
  shutdown(socket->fd(), SHUT_WR);
  for (int i = 0; i < kQueries; ++i) EXPECT_EQ(to_text(socket->receive_framed()), kOutAnswer);
  EXPECT_TRUE(socket->closed());
}

// The client goes while its answers are being written, with bytes of its own still unread.
TEST_F(TcpTest, ResetsAtAnyMoment) {
  upstreams.clear();
  start("127.0.0.1", 1);
  for (int round = 0; round < 50; ++round) {
    auto socket = client();
    for (int i = 0; i < round; ++i)
      socket->send_framed(
          make_query(i % 2 == 0 ? kOut : "big.default.svc.cluster.local", Type::kA));
    if (round % 3 == 0) socket->send({0});
    if (round % 5 == 0) socket->receive(kSilenceMillis);
    reset(socket);
  }
  const auto socket = client();
  socket->send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(socket->receive_framed()), kWebAnswer);
}

TEST_F(TcpTest, AReplyForAClientThatHasGone) {
  start("127.0.0.1", 1);
  auto gone = std::make_unique<Socket>(address, SOCK_DGRAM);
  gone->send(make_query("www.example.org", Type::kA));
  const Asked asked = next_question();
  gone.reset();
  refuse(asked);
  Socket other(address, SOCK_DGRAM);
  other.send(make_query("www.example.org", Type::kA));
  refuse(next_question());
  EXPECT_EQ(to_text(other.receive()), "REFUSED rd qd=1\n");
}

// An upstream that takes connections and questions and says nothing until told to.
class TcpUpstreamTest : public TcpTest {
 protected:
  explicit TcpUpstreamTest(const TcpLimits& limits = {}) {
    listener = *open_tcp(upstreams[0]);
    start("127.0.0.1", 1, limits);
  }
  // The next question over TCP; the connection is kept in `accepted`.
  Bytes next_tcp_question() {
    if (!accepted) {
      pollfd p{listener.get(), POLLIN, 0};
      EXPECT_EQ(::poll(&p, 1, kWaitMillis), 1);
      accepted = Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    uint8_t length[2] = {};
    EXPECT_EQ(recv(accepted.get(), length, 2, MSG_WAITALL), 2);
    Bytes query(read_u16(length));
    EXPECT_EQ(recv(accepted.get(), query.data(), query.size(), MSG_WAITALL),
              static_cast<ssize_t>(query.size()));
    return query;
  }
  void refuse_over_tcp(const Bytes& query) {
    Bytes reply(2);
    write_u16(reply.data(), static_cast<uint16_t>(query.size()));
    reply.insert(reply.end(), query.begin(), query.end());
    reply[4] |= 0x80;
    reply[5] = 5;
    EXPECT_EQ(send(accepted.get(), reply.data(), reply.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(reply.size()));
  }
  Fd listener;
  Fd accepted;
};

TEST_F(TcpUpstreamTest, TheClientEndsItsSideAndStillGetsItsAnswer) {
  const auto socket = client();
  socket->send_framed(make_query("www.example.org", Type::kA));
  shutdown(socket->fd(), SHUT_WR);
  refuse_over_tcp(next_tcp_question());
  EXPECT_EQ(to_text(socket->receive_framed()), "REFUSED rd qd=1\n");
  EXPECT_TRUE(socket->closed());
}

TEST_F(TcpUpstreamTest, TheClientSendsNoMessageAndStillGetsItsAnswer) {
  const auto socket = client();
  socket->send_framed(make_query("www.example.org", Type::kA));
  socket->send({0});  // a length of nothing, in two pieces
  const Bytes question = next_tcp_question();
  socket->send({0});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  refuse_over_tcp(question);
  EXPECT_EQ(to_text(socket->receive_framed()), "REFUSED rd qd=1\n");
  EXPECT_TRUE(socket->closed());
}

TEST_F(TcpUpstreamTest, TheClientResetsWhileItsQuestionIsUpstream) {
  auto socket = client();
  socket->send_framed(make_query("www.example.org", Type::kA));
  const Bytes query = next_tcp_question();
  reset(socket);
  const auto other = client();  // by its answer the server has seen the reset
  other->send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(other->receive_framed()), kWebAnswer);
  refuse_over_tcp(query);
  other->send_framed(make_query("www.example.org", Type::kA));
  refuse_over_tcp(next_tcp_question());
  EXPECT_EQ(to_text(other->receive_framed()), "REFUSED rd qd=1\n") << "over the same connection";
}

// RFC 7766 section 7: a question that waits holds up none behind it.
TEST_F(TcpUpstreamTest, RepliesComeAsTheyAreThere) {
  const auto socket = client();
  QueryOptions first, second;
  first.id = 1;
  second.id = 2;
  socket->send_framed(make_query("www.example.org", Type::kA, first));
  const Bytes query = next_tcp_question();
  socket->send_framed(make_query(kWeb, Type::kA, second));
  const Bytes early = socket->receive_framed();
  EXPECT_EQ(to_text(early), kWebAnswer);
  EXPECT_EQ(read_u16(early.data()), 2);
  refuse_over_tcp(query);
  const Bytes late = socket->receive_framed();
  EXPECT_EQ(to_text(late), "REFUSED rd qd=1\n");
  EXPECT_EQ(read_u16(late.data()), 1);
}

class TcpPauseTest : public TcpUpstreamTest {
 protected:
  static TcpLimits limits() {
    TcpLimits limits;
    limits.waiting_queries = 1;
    limits.message = std::chrono::seconds(1);
    return limits;
  }
  TcpPauseTest() : TcpUpstreamTest(limits()) {}
};

// A client is not read while enough of its questions wait: that is no time in which it is late.
TEST_F(TcpPauseTest, AMessageHasItsTimeWhenItIsReadAgain) {
  const auto socket = client();
  Bytes framed;
  for (const Bytes& query : {make_query("www.example.org", Type::kA), make_query(kWeb, Type::kA)}) {
    framed.push_back(0);
    framed.push_back(static_cast<uint8_t>(query.size()));
    framed.insert(framed.end(), query.begin(), query.end());
  }
  const auto cut = framed.end() - 5;
  socket->send({framed.begin(), cut});
  const Bytes question = next_tcp_question();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  refuse_over_tcp(question);
  EXPECT_EQ(to_text(socket->receive_framed()), "REFUSED rd qd=1\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the deadlines are looked at
  socket->send({cut, framed.end()});
  EXPECT_EQ(to_text(socket->receive_framed()), kWebAnswer);
}

// Stopping closes what is idle at once, waits for what is upstream, and then closes that.
TEST_F(TcpUpstreamTest, StopWaitsForWhatIsUpstream) {
  const auto idle = client();
  idle->send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(idle->receive_framed()), kWebAnswer);
  const auto waiting = client();
  waiting->send_framed(make_query("www.example.org", Type::kA));
  const Bytes query = next_tcp_question();
  std::thread stopping([&] { server->stop(std::chrono::seconds(10)); });
  EXPECT_TRUE(idle->closed());
  refuse_over_tcp(query);
  EXPECT_EQ(to_text(waiting->receive_framed()), "REFUSED rd qd=1\n");
  EXPECT_TRUE(waiting->closed());
  stopping.join();
}

// Nor does an upstream that never answers hold it up for ever, nor a client in mid-message.
TEST_F(TcpUpstreamTest, StopDoesNotWaitForEver) {
  const auto waiting = client();
  waiting->send_framed(make_query("www.example.org", Type::kA));
  next_tcp_question();
  const auto partial = client();
  partial->send({0});
  server->stop(std::chrono::milliseconds(200));
  server.reset();
  EXPECT_TRUE(waiting->closed());
  EXPECT_TRUE(partial->closed());
}

}  // namespace
}  // namespace fairlead::dns
