// SPDX-License-Identifier: Apache-2.0
// The server over real sockets on loopback: the same answers over UDP and TCP, sockets, errors,
// metrics, and the end of it.
#include "dns/server/server.h"

#include <atomic>
#include <thread>

#include "tests/unit/dns/table_b.h"

namespace fairlead::dns {
namespace {

using namespace test;

TEST_F(ServerTest, AnswersOverUdpAndTcp) {
  start();
  EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
  Socket tcp(address, SOCK_STREAM);
  tcp.send_framed(make_query(kWeb, Type::kA));
  EXPECT_EQ(to_text(tcp.receive_framed()), kWebAnswer);
}

// From a wildcard socket the reply comes from the address asked, or a connected client never sees
// it.
TEST_F(TableB, ReplyAddressIsTheOneAsked) {
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
  Server::open(std::make_shared<Plan>(Plan::of({{ip("192.0.2.53"), free_port()}}, {})), 1).ok();
  const auto opened =
      Server::open(std::make_shared<Plan>(Plan::of({{ip("192.0.2.53"), free_port()}}, {})), 1);
  EXPECT_TRUE(opened.ok()) << opened.error().message();
}

TEST_F(ServerTest, ATakenPortIsSaidAtOnce) {
  start();
  for (const char* host : {"127.0.0.1", "0.0.0.0"}) {
    const auto second =
        Server::open(std::make_shared<Plan>(Plan::of({{ip(host), address.port}}, {})), 1);
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

TEST_F(TableB, OtherClassesAndTransfersOfNamesWeHave) {
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

class PluginPrometheus : public ServerTest {};

TEST_F(PluginPrometheus, NamesAndLabelsAreCoreDnss) {
  start();
  udp(make_query(kWeb, Type::kA));
  QueryOptions dnssec_ok;
  dnssec_ok.edns_size = 1232;
  dnssec_ok.dnssec_ok = true;
  udp(make_query("x.cluster.local", Type::kAaaa, dnssec_ok));
  udp(make_query("x.cluster.local", static_cast<Type>(48)));
  udp(make_query("x.cluster.local", static_cast<Type>(99)));
  std::string text;
  render_metrics(server->metrics(), text);
  const std::string labels =
      "{server=\"dns://:" + std::to_string(address.port) + "\",zone=\".\",view=\"\"";
  for (const std::string& line :
       {"coredns_dns_requests_total" + labels + ",proto=\"udp\",family=\"1\",type=\"A\"} 1\n",
        "coredns_dns_responses_total" + labels + ",rcode=\"NOERROR\",plugin=\"kubernetes\"} 1\n",
        "coredns_dns_requests_total" + labels + ",proto=\"udp\",family=\"1\",type=\"DNSKEY\"} 1\n",
        "coredns_dns_requests_total" + labels + ",proto=\"udp\",family=\"1\",type=\"other\"} 1\n",
        "coredns_dns_do_requests_total" + labels + "} 1\n",
        "coredns_dns_responses_total" + labels + ",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} 3\n",
        "coredns_dns_request_duration_seconds_count" + labels + "} 4\n",
        std::string("le=\"0.00025\"")})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

// Dashboards count in them.
TEST_F(PluginPrometheus, BucketsAreCoreDnss) {
  start();
  udp(make_query(kWeb, Type::kA));
  std::string text;
  render_metrics(server->metrics(), text);
  const auto bounds = [&](const std::string& name) {  // of the first of its series
    std::string all;
    for (size_t at = 0; !all.ends_with("+Inf"); ++at) {
      at = text.find(name + "_bucket{", at);
      if (at == std::string::npos) return "no more: " + all;
      const size_t from = text.find("le=\"", at) + 4;
      all += (all.empty() ? "" : " ") + text.substr(from, text.find('"', from) - from);
    }
    return all;
  };
  EXPECT_EQ(bounds("coredns_dns_request_duration_seconds"),
            "0.00025 0.0005 0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 "
            "2.048 4.096 8.192 +Inf");
  for (const char* name : {"coredns_dns_request_size_bytes", "coredns_dns_response_size_bytes"})
    EXPECT_EQ(bounds(name),
              "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000 +Inf")
        << name;
}

// Another plan takes over without a gap: what stays is listened on all the time, what was asked is
// still answered, and the old plan is let go.
TEST_F(ServerTest, APlanReplacesAnother) {
  start("127.0.0.1", 2);
  std::atomic<bool> done{false};
  std::atomic<int> lost{0};
  std::atomic<int> answered{0};
  std::thread client([&] {
    Socket socket(address, SOCK_DGRAM);
    while (!done.load()) {
      socket.send(make_query(kWeb, Type::kA));
      ++(to_text(socket.receive()) == kWebAnswer ? answered : lost);
    }
  });
  auto kubernetes = std::make_shared<KubernetesOptions>();
  kubernetes->zones.emplace_back().zone = dns_name(domain);
  kubernetes->published = &zone.published();
  std::weak_ptr<PluginOptions> last;
  for (int i = 0; i < 50; ++i) {
    std::vector<SocketAddress> addresses = {address};
    // Another each time: what comes to a socket while it is being closed is lost.
    const SocketAddress more{address.address, free_port()};
    if (i % 2 == 0) addresses.push_back(more);
    auto options = std::make_shared<KubernetesOptions>(*kubernetes);
    if (i == 30) last = options;
    const auto plan = std::make_shared<Plan>(Plan::of(addresses, {{"kubernetes", options}}));
    ASSERT_TRUE(server->change_to(plan).ok());
    Socket socket(more, SOCK_DGRAM);
    socket.send(make_query(kWeb, Type::kA));
    if (i % 2 == 0) EXPECT_EQ(to_text(socket.receive()), kWebAnswer) << "listened on anew";
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  done.store(true);
  client.join();
  EXPECT_EQ(lost.load(), 0);
  EXPECT_GT(answered.load(), 0);
  EXPECT_TRUE(last.expired()) << "an old plan is let go";
  const auto taken = open_tcp({ip("127.0.0.1"), 0});
  ASSERT_TRUE(taken.ok());
  const auto busy = bound_address(*taken);
  ASSERT_TRUE(busy.ok());
  const auto refused = server->change_to(
      std::make_shared<Plan>(Plan::of({address, *busy}, {{"kubernetes", kubernetes}})));
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(server->addresses(), std::vector{address}) << "nothing has changed";
  EXPECT_EQ(udp(make_query(kWeb, Type::kA)), kWebAnswer);
}

}  // namespace
}  // namespace fairlead::dns
