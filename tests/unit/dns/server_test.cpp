// SPDX-License-Identifier: Apache-2.0
// The server over real sockets on loopback: the same answers over UDP and TCP, what malformed
// packets get, framing, limits, and the end of it.
#include "dns/server/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "dns/plugins/forward/forward.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/server/framing.h"
#include "dns/server/socket.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

constexpr int kWaitMillis = 10'000;
constexpr int kSilenceMillis = 150;  // for what must not come

class Socket {
 public:
  Socket(const SocketAddress& server, int type) {
    fd_ = Fd(::socket(server.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    const socklen_t length = server.to_sockaddr(storage);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  }
  void send(const Bytes& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  bool readable(int millis) {
    pollfd p{fd_.get(), POLLIN, 0};
    return ::poll(&p, 1, millis) == 1;
  }
  Bytes receive(int millis = kWaitMillis) {
    if (!readable(millis)) return {};
    Bytes buffer(65535);
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    buffer.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    return buffer;
  }
  // One message over TCP; empty when the connection ended.
  Bytes receive_framed() {
    while (in_.size() < 2 || in_.size() < 2u + read_u16(in_.data())) {
      const Bytes more = receive();
      if (more.empty()) return {};
      in_.insert(in_.end(), more.begin(), more.end());
    }
    const auto end = in_.begin() + 2 + read_u16(in_.data());
    Bytes message(in_.begin() + 2, end);
    in_.erase(in_.begin(), end);
    return message;
  }
  void send_framed(const Bytes& message) {
    Bytes framed(2);
    write_u16(framed.data(), static_cast<uint16_t>(message.size()));
    framed.insert(framed.end(), message.begin(), message.end());
    send(framed);
  }
  // Whether the server closes the connection before long.
  bool closed() { return readable(kWaitMillis) && receive().empty(); }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  Bytes in_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    zone.put(ns("default"));
    zone.put(service("web", "default", {"10.96.0.10"}, {port("http", 80)}));
    std::vector<TestEndpoint> endpoints;
    for (int i = 1; i <= 60; ++i) endpoints.push_back({"10.244.0." + std::to_string(i)});
    zone.put(headless("big", "default"));
    zone.put(slice("big-1", "big", "default", endpoints));
    zone.put(external("out", "default", "www.example.com"));
    zone.set_synced();
    zone.publish(7);
  }

  void start(const std::string& host = "127.0.0.1", size_t workers = 2, TcpLimits tcp = {}) {
    auto kubernetes = std::make_shared<KubernetesOptions>();
    kubernetes->zone.zone = dns_name("cluster.local");
    auto forward = std::make_shared<ForwardOptions>();
    forward->upstreams = std::make_shared<UpstreamList>(upstreams);
    ServerOptions options;
    const IpAddress bind = ip(host);
    address = {bind.is_unspecified() ? ip(bind.is_v4() ? "127.0.0.2" : "::1") : bind, free_port()};
    options.listen = {{bind, address.port}};
    options.workers = workers;
    options.tcp = tcp;
    auto opened =
        Server::open(options, {{"kubernetes", kubernetes}, {"forward", forward}}, zone.published());
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    server = *std::move(opened);
    server->run();
  }

  std::string udp(const Bytes& query) {
    Socket socket(address, SOCK_DGRAM);
    socket.send(query);
    return to_text(socket.receive());
  }
  uint64_t metric(Counter WorkerMetrics::*counter) const {
    uint64_t sum = 0;
    for (const auto& worker : server->metrics()) sum += (worker.get()->*counter).get();
    return sum;
  }

  static uint16_t free_port() { return fairlead::test::free_port(); }

  Zone zone;
  std::vector<SocketAddress> upstreams;
  SocketAddress address;
  std::unique_ptr<Server> server;
};

const char* const kWeb = "web.default.svc.cluster.local";
const char* const kWebAnswer =
    "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\n";

TEST_F(ServerTest, AnswersOverUdpAndTcp) {
  start();
  EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
  Socket tcp(address, SOCK_STREAM);
  tcp.send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer);
}

// From a wildcard socket the reply comes from the address asked, or a connected client never sees
// it.
TEST_F(ServerTest, WildcardSocketsAnswerFromTheAddressAsked) {
  start("0.0.0.0");
  for (const char* host : {"127.0.0.1", "127.0.0.2", "127.9.9.9"}) {
    address.address = ip(host);
    EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer) << host;
  }
  server.reset();
  start("::");
  EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
}

// Bound before the address exists (IP_FREEBIND).
TEST_F(ServerTest, AnAddressThatIsNotThereYet) {
  Server::open({.listen = {{ip("192.0.2.53"), free_port()}}}, {}, zone.published()).ok();
  const auto opened =
      Server::open({.listen = {{ip("192.0.2.53"), free_port()}}}, {}, zone.published());
  EXPECT_TRUE(opened.ok()) << opened.error().message();
}

TEST_F(ServerTest, ATakenPortIsSaidAtOnce) {
  start();
  for (const char* host : {"127.0.0.1", "0.0.0.0"}) {
    const auto second = Server::open({.listen = {{ip(host), address.port}}}, {}, zone.published());
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message().find("Address already in use; another DNS server has it"),
              std::string::npos)
        << second.error().message();
  }
}

TEST_F(ServerTest, TruncatesOverUdpAndNotOverTcp) {
  start();
  const Bytes query = make_query("big.default.svc.cluster.local", Type::kA);
  EXPECT_EQ(udp(query).substr(0, 16), "NOERROR aa tc rd");
  Socket tcp(address, SOCK_STREAM);
  tcp.send_framed(query);
  const std::string all = to_text(tcp.receive_framed());
  EXPECT_EQ(all.substr(0, 14), "NOERROR aa rd ");
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 61);
}

TEST_F(ServerTest, WhatThisServerDoesNotDo) {
  start();
  const auto reply = [&](Type type, Class klass) {
    QueryOptions options;
    options.klass = klass;
    options.edns_size = 1232;
    return udp(make_query(kWeb, type, options));
  };
  EXPECT_EQ(reply(Type::kA, Class::kChaos), "REFUSED rd qd=1\nopt 1232\n");
  for (const Class klass : {Class::kHesiod, Class::kNone, Class::kAny, static_cast<Class>(77)})
    EXPECT_EQ(reply(Type::kA, klass), "REFUSED rd qd=1\nopt 1232 ede=21\n");
  for (const Type type : {Type::kAxfr, Type::kIxfr})
    EXPECT_EQ(reply(type, Class::kIn), "REFUSED rd qd=1\nopt 1232 ede=18\n");
  EXPECT_EQ(udp(make_query("example.com", Type::kA)), "SERVFAIL rd qd=1\n") << "no upstream";
}

TEST_F(ServerTest, MalformedPackets) {
  start();
  Socket socket(address, SOCK_DGRAM);
  Bytes query = make_query(kWeb, Type::kA);
  const auto reply = [&](const Bytes& packet) {
    socket.send(packet);
    return to_text(socket.receive());
  };
  Bytes bad = query;
  bad[5] = 0;
  EXPECT_EQ(reply(bad), "FORMERR rd qd=0\n");
  bad[5] = 2;
  EXPECT_EQ(reply(bad), "FORMERR rd qd=0\n");
  bad = query;
  bad[2] = 0x11;  // STATUS
  EXPECT_EQ(reply(bad), "NOTIMP rd qd=0\n") << "its opcode comes back";
  bad = query;
  bad[12] = 0xc0;
  EXPECT_EQ(reply(bad), "FORMERR rd qd=0\n");
  bad = query;
  bad[11] = 1;
  EXPECT_EQ(reply(bad), "FORMERR rd qd=1\n");
  bad = query;
  bad.push_back(0xff);
  EXPECT_EQ(reply(bad), kWebAnswer);
  // Nothing is said to these, and the next query is answered all the same.
  bad = query;
  bad[2] |= 0x80;
  socket.send(bad);
  socket.send(Bytes(11, 0));
  socket.send({});
  EXPECT_EQ(reply(query), kWebAnswer);
  EXPECT_EQ(metric(&WorkerMetrics::trailing_bytes), 1u);
  EXPECT_GE(metric(&WorkerMetrics::dropped), 3u);
}

TEST_F(ServerTest, ErrorsAreRateLimited) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  Bytes bad = make_query(kWeb, Type::kA);
  bad[5] = 0;
  for (int i = 0; i < 2000; ++i) socket.send(bad);
  socket.send(make_query(kWeb, Type::kA));
  int errors = 0;
  for (;;) {
    const std::string text = to_text(socket.receive());
    if (text == kWebAnswer || text == "nothing") break;
    ++errors;
  }
  EXPECT_GE(errors, 1);
  EXPECT_LT(errors, 2000);
  EXPECT_GT(metric(&WorkerMetrics::dropped), 0u);
}

// Many in flight: each is answered once, and one system call carries many.
TEST_F(ServerTest, Batches) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  constexpr int kQueries = 2000;
  int answered = 0;
  for (int i = 0; i < kQueries; i += 100) {
    for (int k = 0; k < 100; ++k) {
      QueryOptions options;
      options.id = static_cast<uint16_t>(i + k);
      socket.send(make_query(kWeb, Type::kA, options));
    }
    for (int k = 0; k < 100; ++k) answered += to_text(socket.receive()) == kWebAnswer ? 1 : 0;
  }
  EXPECT_EQ(answered, kQueries);
  EXPECT_LT(metric(&WorkerMetrics::send_calls), static_cast<uint64_t>(kQueries));
}

TEST_F(ServerTest, TcpByteByByteAndPipelined) {
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

TEST_F(ServerTest, TcpClosesOnNonsense) {
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

TEST_F(ServerTest, TcpDeadlines) {
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

TEST_F(ServerTest, TcpLimits) {
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

TEST_F(ServerTest, TcpLimitPerClient) {
  TcpLimits limits;
  limits.connections_per_client = 8;
  start("127.0.0.1", 1, limits);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 9; ++i) sockets.push_back(std::make_unique<Socket>(address, SOCK_STREAM));
  EXPECT_TRUE(sockets[8]->closed());
  sockets[7]->send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(sockets[7]->receive_framed()), kWebAnswer);
}

TEST_F(ServerTest, StopAnswersWhatHasArrived) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  for (int i = 0; i < 200; ++i) socket.send(make_query(kWeb, Type::kA));
  server->stop(std::chrono::seconds(5));
  int answered = 0;
  while (socket.readable(kSilenceMillis))
    answered += to_text(socket.receive()) == kWebAnswer ? 1 : 0;
  EXPECT_EQ(answered, 200);
}

// Objects change while queries come: every answer is one of the two that were ever true.
TEST_F(ServerTest, AnswersStayWholeWhileTheZoneChanges) {
  start();
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> answered{0};
  std::thread client([&] {
    Socket socket(address, SOCK_DGRAM);
    while (!done.load()) {
      socket.send(make_query("moving.default.svc.cluster.local", Type::kA));
      const std::string got = brief(socket.receive());
      if (got != "10.96.1.1" && got != "10.96.1.2" && got != "NXDOMAIN") ++wrong;
      ++answered;
    }
  });
  for (uint32_t i = 0; i < 2000 || answered.load() < 200; ++i) {
    if (i % 10 == 0) {
      zone.remove_service({"default", "moving"});
    } else {
      zone.put(service("moving", "default", {i % 2 == 0 ? "10.96.1.1" : "10.96.1.2"}));
    }
    zone.publish(10 + i);
  }
  done.store(true);
  client.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(ServerTest, MetricsHaveCoreDnsNames) {
  start();
  udp(make_query(kWeb, Type::kA));
  udp(make_query("x.cluster.local", Type::kAaaa));
  const std::string text = render_metrics(server->metrics(), {3, 60, 7, true}, "dns://:53");
  for (const char* line :
       {"coredns_dns_requests_total{server=\"dns://"
        ":53\",zone=\".\",view=\"\",proto=\"udp\",family=\"1\",type=\"A\"} 1\n",
        "coredns_dns_responses_total{server=\"dns://"
        ":53\",zone=\".\",view=\"\",rcode=\"NOERROR\",plugin=\"kubernetes\"} 1\n",
        "coredns_dns_responses_total{server=\"dns://"
        ":53\",zone=\".\",view=\"\",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} 1\n",
        "coredns_dns_request_duration_seconds_count{server=\"dns://:53\",zone=\".\",view=\"\"} 2\n",
        "le=\"0.00025\"", "fairlead_dns_services 3\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
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

}  // namespace
}  // namespace fairlead::dns
