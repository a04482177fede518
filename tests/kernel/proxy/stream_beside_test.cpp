// SPDX-License-Identifier: Apache-2.0
// Services that ask to be relayed on a node in mode nftables: real packets through rules and the
// stream proxy beside them.
#include <gmock/gmock.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/syscall.h>

#include <memory>
#include <thread>

#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/stream_fixture.h"
#include "tests/kernel/proxy/udp_client.h"
#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

const std::string kAsks = R"("stream.fairlead.io/mode":"userspace")";

class StreamBeside : public StreamTest {
 protected:
  std::string rules() { return cluster_.at("node").must("nft --stateless list ruleset"); }
  bool relayed(const std::string& element) {
    return rules().find(element + " counter : goto relay_1") != std::string::npos ||
           rules().find(element + " counter : goto node_relay_1") != std::string::npos;
  }
  bool becomes_relayed(const std::string& element, bool wanted = true) {
    return cluster_.run_until([&] { return relayed(element) == wanted; });
  }
  size_t listeners() {
    const std::string text = cluster_.at("node").must("ss -Htln 'sport ge :1024' | grep -v 127.0");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  // Of port 7 of 10.96.0.7, in the rules: "192.0.2.1:40000".
  std::string door() {
    const std::string text = rules(), key = "10.96.0.7 . tcp . 7 . 0 : ";
    const size_t at = text.find(key) + key.size();
    const size_t dot = text.find(" . ", at);
    return text.substr(at, dot - at) + ":" + std::to_string(std::stoi(text.substr(dot + 3)));
  }
};

// An endpoint that rules lead back to the relay: it would ask itself until nobody has a connection.
TEST_F(StreamBeside, ItIsNoEndpointOfItsOwn) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.put_service(
      "self",
      R"("clusterIP":"10.96.0.8","clusterIPs":["10.96.0.8"],"ipFamilies":["IPv4"],)"
      R"("type":"NodePort","ports":[{"name":"t","port":8080,"nodePort":30108}])",
      "", "", kAsks);
  cluster_.put_slice("self", {"10.96.0.8"});
  cluster_.start({"--service-metrics"});
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  EXPECT_FALSE(relayed("10.96.0.8 . tcp . 8080")) << "rules have it";
  for (const char* from : {"outside", "node", "client"})
    EXPECT_EQ(cluster_.tcp(from, "10.96.0.8:8080").reached, "") << from;
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_connections_total{protocol=\"tcp\"} 0\n"));
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, "web-1");
}

// The same by a node port, of an address that is known only when the rules begin, or later still.
TEST_F(StreamBeside, NorByANodePort) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.put_service(
      "self",
      R"("clusterIP":"10.96.0.8","clusterIPs":["10.96.0.8"],"ipFamilies":["IPv4"],)"
      R"("type":"NodePort","ports":[{"name":"t","port":80,"nodePort":8080}])",
      "", "", kAsks);
  cluster_.put_slice("self", {"10.244.1.1"});
  cluster_.start({"--service-metrics", "--nodeport-addresses=10.244.1.0/24,192.0.2.0/24"});
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  EXPECT_TRUE(becomes_relayed("10.96.0.8 . tcp . 80", false));
  cluster_.tcp("outside", "10.96.0.8:80");
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_connections_total{protocol=\"tcp\"} 0\n"));
}

TEST_F(StreamBeside, WhoAsksIsRelayedAndOthersAreNot) {
  put("web", 1, {kOn1, kOn2, kOn3}, R"("externalIPs":["203.0.113.1","2001:db8:ee::1"])",
      balancer_json(1), kAsks);
  put("plain", 2, {kOn1});
  cluster_.start({"--service-metrics"});
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  ASSERT_TRUE(becomes_relayed("tcp . 30101"));
  EXPECT_FALSE(relayed("10.96.0.2 . tcp . 80"));
  check_every_address(kAll);
  // Each endpoint sees whom it would see by rules.
  for (const char* to : {"10.96.0.1:80", "10.96.0.2:80"}) {
    EXPECT_EQ(cluster_.tcp("client", to).source, cluster_.address("client"));
    EXPECT_EQ(cluster_.udp("client", to).source, cluster_.address("client"));
    EXPECT_NE(cluster_.tcp("outside", to).source, cluster_.address("outside"));
  }
  EXPECT_EQ(routes(), "");
  const std::string text = metrics();
  EXPECT_THAT(text, HasSubstr("fairlead_stream_service_connections_total{namespace=\"default\","
                              "service=\"web\",port=\"t\",protocol=\"tcp\"}"));
  EXPECT_THAT(text, Not(HasSubstr("fairlead_stream_service_connections_total{namespace="
                                  "\"default\",service=\"plain\"")));
  EXPECT_THAT(cluster_.get("node", "http://127.0.0.1:10249/proxyMode"), HasSubstr("nftables"));
  EXPECT_TRUE(cluster_.healthy());
  const CommandResult stat = cluster_.run({"stat", "--once", "--interval=1s"});
  EXPECT_THAT(stat.output, HasSubstr("node: programmed\n"));
  EXPECT_THAT(stat.output, testing::ContainsRegex("\ndefault/web:t +tcp +[0-9]+ +[1-9][0-9]* +0 "));
  EXPECT_THAT(stat.output, testing::ContainsRegex("\ndefault/plain:t +tcp +10.96.0.2:80 "));
}

TEST_F(StreamBeside, ItsSocketsAreNobodysToAsk) {
  put_echo(kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7"));
  Echo echo(cluster_.at("web-1"));
  const std::string socket = door();
  for (const char* from : {"client", "outside", "node"})
    EXPECT_EQ(cluster_.tcp(from, socket).to_string(), "dropped") << from;
  Checker checker(cluster_.at("client"), "10.96.0.7:7", 1);
  EXPECT_TRUE(cluster_.run_until([&] { return checker.compared() > 100000; })) << "as they come";
  // And when it has gone back, there is neither a socket nor a rule about one.
  put_echo();
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7", false));
  ASSERT_TRUE(cluster_.run_until([&] { return rules().find(": drop") == std::string::npos; }));
  EXPECT_EQ(cluster_.tcp("client", socket).to_string(), "refused") << "nobody is there any more";
}

// A node port that is allotted later and has the number of a socket of ours.
TEST_F(StreamBeside, ANodePortOfThatNumberComesFirst) {
  put_echo(kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7"));
  const std::string number = door().substr(door().find(':') + 1);
  cluster_.put_service("other", R"("clusterIP":"10.96.0.8","clusterIPs":["10.96.0.8"],)"
                                R"("ipFamilies":["IPv4"],"type":"NodePort","ports":[)"
                                R"({"name":"t","port":80,"nodePort":)" +
                                    number + "}]");
  cluster_.put_slice("other", {kOn2});
  EXPECT_TRUE(ends_at("outside", "192.0.2.1:" + number, "web-2"));
  Echo echo(cluster_.at("web-1"));
  Checker checker(cluster_.at("client"), "10.96.0.7:7", 1);
  EXPECT_TRUE(cluster_.run_until([&] { return checker.compared() > 100000; }));
}

// The endpoint's port and the client's, over and over, by three clients: what the kernel still
// remembers of the last ones is in nobody's way.
TEST_F(StreamBeside, ClientsAddressesAreKeptThroughManyConnections) {
  put("web", 1, {kOn1}, R"("externalTrafficPolicy":"Local")", balancer_json(1), kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  ASSERT_TRUE(becomes_relayed("198.51.100.1 . tcp . 80"));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "web-1 sees 10.244.1.2") << i;
    ASSERT_EQ(cluster_.tcp("web-2", "10.96.0.1:80").to_string(), "web-1 sees 10.244.3.2") << i;
    ASSERT_EQ(cluster_.tcp("outside", "198.51.100.1:80").to_string(), "web-1 sees 192.0.2.2") << i;
    ASSERT_EQ(cluster_.udp("client", "10.96.0.1:80").to_string(), "web-1 sees 10.244.1.2") << i;
  }
}

// Twenty ports for the relay's own side, and connection tracking remembers each for two minutes.
TEST_F(StreamBeside, PortsThatConnectionTrackingStillRemembersAreInNobodysWay) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.at("node").set_sysctl("net.ipv4.ip_local_port_range", "40000 40019");
  cluster_.at("node").set_sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "120");
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "web-1 sees 10.244.1.2") << i;
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unkept_sources_total 0\n"));
}

// Though it might have its reasons not to answer just this client.
TEST_F(StreamBeside, AnEndpointThatHangsIsLeftOut) {
  put("web", 1, {kOn1, kOn2}, "", "", kAsks);
  cluster_.at("web-1").must(
      "nft add table ip shut; nft 'add chain ip shut in { type filter hook input priority 0; }'; "
      "nft add rule ip shut in tcp dport 8080 drop");
  cluster_.start({"--stream-connect-timeout=200ms"});
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  EXPECT_TRUE(cluster_.run_until([&] {
    EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, "web-2");
    return testing::Matches(testing::ContainsRegex(
        "\nfairlead_stream_ejections_total\\{protocol=\"tcp\"\\} [1-9]"))(metrics());
  }));
}

// Connection tracking forgets a flow that has been quiet; what comes then is translated anew.
TEST_F(StreamBeside, AfterAPauseTheEndpointStillSeesTheClient) {
  put("web", 1, {kOn1}, "", "", kAsks);
  for (const char* name : {"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"})
    cluster_.at("node").set_sysctl(std::string("net.netfilter.") + name, "2");
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . udp . 80"));
  UdpClient client(cluster_, "client", "10.96.0.1:80");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.hear(), "web-1 10.244.1.2") << i;
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  }
}

TEST_F(StreamBeside, WhereTheKernelCannotTheEndpointSeesTheNode) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.at("node").set_sysctl("net.ipv4.tcp_fastopen", "0");
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "web-1 sees 10.244.2.1");
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").to_string(), "web-1 sees 10.244.1.2");
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unkept_sources_total 1\n"));
}

// One port of the same client, again and again, to the same endpoint.
TEST_F(StreamBeside, APortThatIsUsedAgainIsAnswered) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  for (int i = 0; i < 50; ++i) {
    const auto inside = cluster_.at("client").enter();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage storage{};
    socklen_t length = SocketAddress::parse("10.244.1.2:41000").value().to_sockaddr(storage);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    length = SocketAddress::parse("10.96.0.1:80").value().to_sockaddr(storage);
    int error = 0;
    cluster_.run_until([&] {  // the last packet of the time before may still be on its way
      error = connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : errno;
      return error != EADDRNOTAVAIL;
    });
    ASSERT_EQ(error, 0) << i << ": " << strerror(error);
    const timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char buffer[100];
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    ASSERT_GT(got, 0) << i;
    EXPECT_EQ(std::string(buffer, static_cast<size_t>(got)), "web-1 10.244.1.2");
    EXPECT_EQ(recv(fd, buffer, sizeof buffer, 0), 0) << "the other closes first";
    close(fd);
  }
}

// Whole connections and a UDP flow, from before, between and after.
TEST_F(StreamBeside, GoingOverAndComingBackEndsNothing) {
  std::mt19937_64 random(fairlead::test::random_seed());
  put_echo();
  put("web", 1, {kOn1, kOn2});
  cluster_.start();
  ASSERT_TRUE(
      cluster_.run_until([&] { return !cluster_.tcp("client", "10.96.0.1:80").reached.empty(); }));
  const size_t own = listeners();
  Echo echo(cluster_.at("web-1"));
  UdpFlow flow(cluster_, "client", "10.96.0.1:80");
  Traffic traffic(cluster_, "client", "10.96.0.1:80");
  std::vector<std::unique_ptr<Checker>> checkers;
  const auto all_go_on = [&] {
    for (const auto& checker : checkers) {
      const size_t before = checker->compared();
      EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 1000000; }));
      EXPECT_TRUE(checker->good());
    }
  };
  for (const bool asks : {false, true, false, true, false}) {
    SCOPED_TRACE(asks);
    put_echo(asks ? kAsks : "");
    put("web", 1, {kOn1, kOn2}, "", "", asks ? kAsks : "");
    ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7", asks));
    ASSERT_TRUE(becomes_relayed("10.96.0.1 . udp . 80", asks));
    ASSERT_TRUE(becomes_relayed("tcp . 30107", asks));
    for (const char* to : {"10.96.0.7:7", "192.0.2.1:30107"})
      checkers.push_back(std::make_unique<Checker>(cluster_.at("client"), to, random()));
    all_go_on();
  }
  EXPECT_TRUE(cluster_.run_until([&] { return listeners() == own; })) << "no socket is left";
  all_go_on();
  expect_undisturbed(traffic);
  expect_undisturbed(flow);
}

TEST_F(StreamBeside, WithoutEndpointsTheRulesRefuseAndAHoldWaits) {
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  put_endpoints("web", {"10.244.2.2 notready"});
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "refused"));
  check("nobody is ready", "client", "10.96.0.1:80", "", kRefused);
  EXPECT_FALSE(relayed("10.96.0.1 . tcp . 80"));
  put_endpoints("web", {kOn2});
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-2"));
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  // It is to wait: nobody is refused while there is none, and who waits is served.
  put("web", 1, {"10.244.2.2 notready"}, "", "", kAsks + R"(,"stream.fairlead.io/hold":"60s")");
  ASSERT_TRUE(cluster_.run_until([&] {
    return cluster_.tcp("client", "10.96.0.1:80").to_string() == "dropped";
  })) << "no answer for as long as this client has patience";
  EXPECT_TRUE(relayed("10.96.0.1 . tcp . 80"));
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").to_string(), "refused") << "UDP has no hold";
  Traffic patient(cluster_, "client", "10.96.0.1:80");
  cluster_.run_for(std::chrono::milliseconds(500));
  put_endpoints("web", {kOn1});
  ASSERT_TRUE(cluster_.run_until([&] { return patient.connections() > 10; }));
  patient.stop();
  EXPECT_EQ(patient.failures(), 0);
}

TEST_F(StreamBeside, TheEndpointIsToldWhoAskedForWhat) {
  put_echo(kAsks + R"(,"stream.fairlead.io/proxy-protocol":"v2")");
  cluster_.start();
  Echo echo(cluster_.at("web-1"));
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7"));
  ASSERT_TRUE(becomes_relayed("tcp . 30107"));
  for (const std::string to : {"10.96.0.7:7", "192.0.2.1:30107", "10.244.1.1:30107"}) {
    SCOPED_TRACE(to);
    const auto inside = cluster_.at("client").enter();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const SocketAddress asked = SocketAddress::parse(to).value();
    const socklen_t length = asked.to_sockaddr(storage);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    // Echoed: the header of the PROXY protocol, 16 bytes and two addresses with their ports.
    std::string header(28, '\0');
    const timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ASSERT_EQ(recv(fd, header.data(), header.size(), MSG_WAITALL), 28);
    const auto address = [&](size_t at) {
      return IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(header.data()) + at, 4});
    };
    const auto port = [&](size_t at) {
      return static_cast<uint16_t>(static_cast<uint8_t>(header[at]) << 8 |
                                   static_cast<uint8_t>(header[at + 1]));
    };
    EXPECT_EQ(address(16).to_string(), cluster_.address("client"));
    EXPECT_EQ((SocketAddress{address(20), port(26)}.to_string()), to);
    close(fd);
  }
}

// A client could write a header of its own: by rules nobody gets there, and tries again.
TEST_F(StreamBeside, WhoExpectsTheProxyProtocolIsNeverReachedWithout) {
  const std::string asks = kAsks + R"(,"stream.fairlead.io/proxy-protocol":"v2")";
  put("web", 1, {"10.244.2.2 notready"}, "", "", asks);
  cluster_.start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "refused"));
  // From without an endpoint to with one, and back, and to the end: never by rules.
  std::atomic<bool> end{false}, bare{false};
  std::thread watcher([&] {
    while (!end) {
      const std::string all = rules();
      if (all.find("10.96.0.1 . tcp . 80 counter : goto sel_") != std::string::npos) bare = true;
    }
  });
  for (int i = 0; i < 5; ++i) {
    put_endpoints("web", {kOn1});
    ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
    put_endpoints("web", {"10.244.2.2 notready"});
    ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80", false));
  }
  put_endpoints("web", {kOn1});
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  cluster_.kill_with(SIGTERM);
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "dropped");
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").reached, "web-1") << "UDP has no header";
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  end = true;
  watcher.join();
  EXPECT_FALSE(bare);
}

// SIGTERM: the rules have everything before it accepts no more. What is open has its time.
TEST_F(StreamBeside, AtItsEndTheRulesHaveItAndConnectionsEndByThemselves) {
  put_echo(kAsks);
  put("web", 1, {kOn1}, "", "", kAsks);
  cluster_.start({"--stream-drain-timeout=5m"});
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7"));
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  Echo echo(cluster_.at("web-1"));
  auto checker = std::make_unique<Checker>(cluster_.at("client"), "10.96.0.7:7", 1);
  ASSERT_TRUE(cluster_.run_until([&] { return checker->compared() > 1000000; }));
  Traffic traffic(cluster_, "client", "10.96.0.1:80");
  UdpFlow flow(cluster_, "client", "10.96.0.1:80");
  ASSERT_TRUE(cluster_.run_until([&] { return flow.answers() > 10; }));
  kill(cluster_.process().pid(), SIGTERM);
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7", false));
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80", false));
  const size_t before = checker->compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 1000000; }));
  EXPECT_TRUE(checker->good());
  EXPECT_TRUE(cluster_.running());
  checker.reset();
  EXPECT_TRUE(cluster_.run_until([&] { return !cluster_.running(); })) << "with the last of them";
  cluster_.run_for(std::chrono::milliseconds(500));
  expect_undisturbed(traffic);
  expect_undisturbed(flow);
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(),
            "web-1 sees " + cluster_.address("client"));
}

TEST_F(StreamBeside, KilledItIsMadeUpForByTheNext) {
  put("web", 1, {kOn1, kOn2}, "", "", kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  cluster_.kill_with(SIGKILL);
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "refused")
      << "at once, until the next has begun";
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  check("again", "client", "10.96.0.1:80", "[fd00:96::1]:80", {"web-1", "web-2"});
  // And by one that knows nothing of relaying any more.
  cluster_.kill_with(SIGKILL);
  put("web", 1, {kOn1, kOn2});
  cluster_.start();
  check("by rules", "client", "10.96.0.1:80", "[fd00:96::1]:80", {"web-1", "web-2"});
  EXPECT_FALSE(relayed("10.96.0.1 . tcp . 80"));
}

// Policies and ranges are the rows' (rows_test.cpp, _Relayed).
TEST_F(StreamBeside, AffinityHoldsWhateverAddressIsUsed) {
  put("sticky", 1, {kOn1, kOn2, kOn3},
      R"("sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":100}})",
      "", kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  ASSERT_TRUE(becomes_relayed("tcp . 30101"));
  for (const std::string from : {"client", "outside", "node"}) {
    std::set<std::string> ends;
    for (int i = 0; i < 20; ++i) {
      ends.insert(cluster_.tcp(from, "10.96.0.1:80").reached);
      ends.insert(cluster_.tcp(from, "192.0.2.1:30101").reached);
    }
    EXPECT_EQ(ends.size(), 1u) << from;
  }
}

// Endpoints that expect the PROXY protocol would believe what a client writes.
TEST_F(StreamBeside, WhereNobodyKnowsWhetherEndpointsAreToBeToldTcpIsDropped) {
  const auto put_with = [&](const std::string& value) {
    put("web", 1, {kOn1}, "", "",
        kAsks + R"(,"stream.fairlead.io/proxy-protocol":")" + value + "\"");
  };
  put_with("V2");
  cluster_.start();
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "dropped");
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").reached, "web-1");
  EXPECT_FALSE(relayed("10.96.0.1 . tcp . 80"));
  put_with("off");
  ASSERT_TRUE(becomes_relayed("10.96.0.1 . tcp . 80"));
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, "web-1");
  put_with("V2");
  cluster_.run_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(relayed("10.96.0.1 . tcp . 80")) << "what it was is known";
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, "web-1");
}

// The program's sockets whose peer is that one ask after it within two seconds. How many they are.
int hasten_keepalive(int pid, const std::string& peer) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  int count = 0;
  for (int number = 0; number < 1024; ++number) {
    const Fd fd(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (!fd || getpeername(fd.get(), address, &length) != 0 || address->sa_family != AF_INET)
      continue;
    if (SocketAddress::from_sockaddr(address).address != ip(peer)) continue;
    const int one = 1;
    for (const int option : {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT})
      EXPECT_EQ(setsockopt(fd.get(), IPPROTO_TCP, option, &one, sizeof one), 0);
    ++count;
  }
  return count;
}

// Its link goes, and it says nothing any more. The kernel asks after five minutes; here at once.
TEST_F(StreamBeside, AClientThatVanishesTakesItsConnectionsAlong) {
  put_echo(kAsks);
  cluster_.start();
  ASSERT_TRUE(becomes_relayed("10.96.0.7 . tcp . 7"));
  Echo echo(cluster_.at("web-1"));
  const Fd client = [&] {
    const auto inside = cluster_.at("client").enter();
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse("10.96.0.7:7").value().to_sockaddr(storage);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    return fd;
  }();
  char byte = 'x';
  ASSERT_EQ(send(client.get(), &byte, 1, 0), 1);
  ASSERT_EQ(recv(client.get(), &byte, 1, 0), 1) << "it is relayed";
  const auto open = [&](int count) {
    return metrics().find("\nfairlead_stream_connections{protocol=\"tcp\"} " +
                          std::to_string(count) + "\n") != std::string::npos;
  };
  ASSERT_TRUE(cluster_.run_until([&] { return open(1); }));
  ASSERT_EQ(hasten_keepalive(cluster_.process().pid(), cluster_.address("client")), 1);
  cluster_.at("client").must("ip link set eth0 down");
  EXPECT_TRUE(cluster_.run_until([&] { return open(0); }));
}

}  // namespace
}  // namespace fairlead::proxy
