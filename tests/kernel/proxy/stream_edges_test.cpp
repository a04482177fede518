// SPDX-License-Identifier: Apache-2.0
// The program in mode userspace where it meets others: addresses of other nodes, listeners of the
// host, limits of descriptors, the rules of mode nftables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kernel/proxy/program_cluster.h"
#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kUserspace = {"--proxy-mode=userspace",
                                             "--cluster-cidr=10.244.0.0/15,fd00:244::/32"};

class StreamEdges : public testing::Test {
 protected:
  void put_web(const std::string& endpoint, const std::string& more = "",
               const std::string& status = "") {
    cluster_.put_service("web", spec_json(1, more), "", status);
    cluster_.put_slice("web", {endpoint});
  }
  // One of many, IPv4 alone, TCP.
  void put_small(const std::string& name, const std::string& address) {
    cluster_.put_service(name, R"("clusterIP":")" + address + R"(","clusterIPs":[")" + address +
                                   R"("],"ipFamilies":["IPv4"],"ports":[{"name":"t","port":80}])");
    cluster_.put_slice(name, {kOn1});
  }
  void put_node(const std::string& name, const std::string& address) {
    cluster_.api().put("/api/v1/nodes", name,
                       R"({"metadata":{"name":")" + name +
                           R"(","resourceVersion":"@RV@"},"status":{"addresses":[)"
                           R"({"type":"InternalIP","address":")" +
                           address + R"("}]}})");
  }
  // Starts the program behind `before`, a command that runs another.
  std::unique_ptr<BackgroundProcess> run_behind(std::vector<std::string> before) {
    before.push_back(Cluster::program());
    before.insert(before.end(), kUserspace.begin(), kUserspace.end());
    for (const std::string& flag : cluster_.flags()) before.push_back(flag);
    const auto inside = cluster_.at("node").enter();
    return std::make_unique<BackgroundProcess>(before);
  }
  // A listener of the host on all its addresses.
  int listen_everywhere(uint16_t port) {
    const auto inside = cluster_.at("node").enter();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in any = {AF_INET, htons(port), {}, {}};
    EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(fd, 10), 0);
    return fd;
  }
  // What a client hears who says "x" there.
  std::string echoed(const std::string& address, uint16_t port) {
    const auto inside = cluster_.at("client").enter();
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit = {5, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage storage{};
    const socklen_t length =
        SocketAddress{IpAddress::parse(address).value(), port}.to_sockaddr(storage);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return "refused";
    if (send(fd.get(), "x", 1, MSG_NOSIGNAL) < 0) return "reset";
    char byte = 0;
    const ssize_t got = recv(fd.get(), &byte, 1, 0);
    return got > 0 ? std::string(1, byte) : got == 0 ? "" : errno == ECONNRESET ? "reset" : "?";
  }
  bool reaches(const std::string& from, const std::string& to, const std::string& who) {
    return cluster_.run_until([&] { return cluster_.tcp(from, to).reached == who; });
  }
  std::string metrics() { return cluster_.get("node", "http://127.0.0.1:10249/metrics"); }
  size_t unserved() {
    const std::string text = metrics(), name = "\nfairlead_stream_unserved_sockets ";
    const size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stoul(text.substr(at + name.size()));
  }
  std::string routes() { return cluster_.at("node").must("ip -4 route show table all proto 251"); }

  ProgramCluster cluster_;
};

// As klipper does: the balancer's addresses are those of the nodes.
TEST_F(StreamEdges, AnotherNodesAddressStaysItsOwn) {
  put_node("other", "192.0.2.2");
  put_web(kOn1, R"("externalIPs":["192.0.2.2","203.0.113.1","203.0.113.7"])",
          R"("loadBalancer":{"ingress":[{"ip":"192.0.2.1"},{"ip":"127.0.0.5"}]})");
  cluster_.put_slice("kubernetes", {"203.0.113.7"});
  cluster_.start({"--proxy-mode=userspace"});
  ASSERT_TRUE(reaches("client", "203.0.113.1:80", "web-1"));
  ASSERT_TRUE(reaches("outside", "192.0.2.1:80", "web-1")) << "its own, on an interface";
  EXPECT_EQ(cluster_.tcp("node", "192.0.2.2:8080").reached, "outside");
  EXPECT_EQ(cluster_.tcp("client", "192.0.2.2:8080").reached, "outside");
  EXPECT_THAT(routes(), Not(HasSubstr("192.0.2.2")));
  EXPECT_THAT(routes(), Not(HasSubstr("203.0.113.7"))) << "an API server's";
  EXPECT_EQ(unserved(), 6u) << "TCP and UDP, of 192.0.2.2, 203.0.113.7 and 127.0.0.5";
  // The node leaves the cluster, and comes back.
  cluster_.api().remove("/api/v1/nodes", "other");
  ASSERT_TRUE(cluster_.run_until([&] { return unserved() == 4; }));
  put_node("other", "192.0.2.2");
  ASSERT_TRUE(cluster_.run_until([&] { return unserved() == 6; }));
  ASSERT_TRUE(cluster_.run_until([&] { return routes().find("192.0.2.2") == std::string::npos; }));
  ASSERT_TRUE(reaches("node", "192.0.2.2:8080", "outside"));
}

// Whoever may write a Service would take the pod from its node, all ports of it.
TEST_F(StreamEdges, APodsAddressStaysItsOwn) {
  put_web(kOn1, R"("externalIPs":["10.244.3.2","203.0.113.1"])");
  cluster_.start(kUserspace);
  ASSERT_TRUE(reaches("client", "203.0.113.1:80", "web-1"));
  EXPECT_EQ(cluster_.tcp("node", "10.244.3.2:8080").reached, "web-2");
  EXPECT_EQ(cluster_.tcp("client", "10.244.3.2:8080").reached, "web-2");
  EXPECT_THAT(routes(), Not(HasSubstr("10.244.3.2")));
  EXPECT_EQ(unserved(), 2u) << "TCP and UDP";
}

// The kernel has nothing but the endpoint's own port for the relay's end: nobody listens there, and
// yet the connection is made, with itself.
TEST_F(StreamEdges, AnAnswerOfTheRelaysOwnIsNone) {
  NetNamespace& node = cluster_.at("node");
  node.must("sysctl -qw net.ipv4.ip_local_port_range='50052 50152'");
  cluster_.put_service("web", spec_json(1));
  cluster_.api().put(
      "/apis/discovery.k8s.io/v1/endpointslices", "web",
      R"({"metadata":{"namespace":"default","name":"web","resourceVersion":"@RV@","labels":)"
      R"({"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":[{"addresses":)"
      R"(["192.0.2.1"]}],"ports":[{"name":"t","port":50052,"protocol":"TCP"},)"
      R"({"name":"u","port":50052,"protocol":"UDP"}]})");
  cluster_.start(kUserspace);
  ASSERT_TRUE(cluster_.run_until([&] { return routes().find("10.96.0.1") != std::string::npos; }));
  node.must("sysctl -qw net.ipv4.ip_local_port_range='50052 50052'");
  EXPECT_EQ(echoed("10.96.0.1", 80), "reset");
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").reached, "");
  node.must("sysctl -qw net.ipv4.ip_local_port_range='50052 50152'");
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_failures_total{protocol=\"tcp\"} 1\n"));
}

// Its address holds on one link alone; every link of the node has some like it.
TEST_F(StreamEdges, ALinkLocalClientIsAnsweredOnItsLink) {
  put_web(in_ipv6(kOn1));
  cluster_.start(kUserspace);
  const auto inside = cluster_.at("outside").enter();
  const Fd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 own{};
  ifaddrs* first = nullptr;
  ASSERT_EQ(getifaddrs(&first), 0);
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next)
    if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET6 &&
        SocketAddress::from_sockaddr(entry->ifa_addr).address.is_link_local())
      own = *reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
  freeifaddrs(first);
  ASSERT_NE(own.sin6_scope_id, 0u);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  sockaddr_storage to{};
  const socklen_t length = SocketAddress::parse("[2001:db8::1]:30101").value().to_sockaddr(to);
  char answer[128];
  EXPECT_TRUE(cluster_.run_until([&] {
    sendto(fd.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&to), length);
    pollfd one{fd.get(), POLLIN, 0};
    return poll(&one, 1, 200) > 0 && recv(fd.get(), answer, sizeof answer, 0) > 0;
  }));
}

// What docs/stream.md says of it: nothing here keeps the host's listeners from Service addresses.
TEST_F(StreamEdges, AListenerOfTheHostAnswersOnPortsNobodyServes) {
  put_web(kOn1);
  cluster_.start({"--proxy-mode=userspace"});
  ASSERT_TRUE(reaches("client", "10.96.0.1:80", "web-1"));
  EXPECT_TRUE(cluster_.tcp("client", "10.96.0.1:22").refused);
  const int undefined = listen_everywhere(22);
  EXPECT_FALSE(cluster_.tcp("client", "10.96.0.1:22").refused);
  // One that was there first keeps a Service's port, and that is said.
  const int first = listen_everywhere(82);
  cluster_.put_service("late", R"("clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],"ipFamilies":)"
                               R"(["IPv4"],"ports":[{"name":"t","port":82}])");
  cluster_.put_slice("late", {kOn1});
  ASSERT_TRUE(cluster_.run_until([&] { return unserved() == 1; }));
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.9:82").reached, "");
  close(first);
  ASSERT_TRUE(reaches("client", "10.96.0.9:82", "web-1"));
  EXPECT_EQ(unserved(), 0u);
  close(undefined);
}

TEST_F(StreamEdges, RoutesOfOthersStayAndOursTakeTheirPlaceWhenTheyGo) {
  NetNamespace& node = cluster_.at("node");
  node.must("ip route add local 10.96.0.1 dev lo table local proto static");
  node.must("ip route add 198.18.0.0/15 via 192.0.2.2 proto 251");
  put_web(kOn1);
  cluster_.start({"--proxy-mode=userspace"});
  ASSERT_TRUE(reaches("client", "10.96.0.1:80", "web-1"));
  EXPECT_THAT(routes(), Not(HasSubstr("10.96.0.1 ")));
  node.must("ip route del local 10.96.0.1 dev lo table local proto static");
  ASSERT_TRUE(cluster_.run_until([&] { return routes().find("10.96.0.1 ") != std::string::npos; }));
  ASSERT_TRUE(reaches("client", "10.96.0.1:80", "web-1"));
  cluster_.kill_with(SIGTERM);
  EXPECT_EQ(cluster_.run({"--cleanup"}).status, 0);
  EXPECT_THAT(routes(), testing::AllOf(HasSubstr("198.18.0.0/15"), Not(HasSubstr("10.96."))));
}

TEST_F(StreamEdges, BeyondTheLimitOfDescriptorsTheFirstAreServed) {
  const auto address = [](int i) { return "10.96.1." + std::to_string(1 + i); };
  constexpr int kServices = 200;  // there is room for 120 listening sockets
  for (int i = 0; i < kServices; ++i) put_small("s" + std::to_string(i), address(i));
  const std::string limit = std::to_string(384 + 8 * sysconf(_SC_NPROCESSORS_ONLN));
  const auto program = run_behind({"prlimit", "--nofile=" + limit + ":" + limit});
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.healthy(); }));
  const size_t beyond = unserved();
  EXPECT_GT(beyond, 0u);
  EXPECT_LT(beyond, size_t{kServices});
  const size_t served = kServices - beyond;
  ASSERT_TRUE(reaches("client", address(0) + ":80", "web-1"));
  EXPECT_EQ(cluster_.tcp("outside", address(static_cast<int>(served) - 1) + ":80").reached,
            "web-1");
  EXPECT_TRUE(cluster_.tcp("client", address(kServices - 1) + ":80").refused);
  // It still hears of changes: those that leave make room.
  for (size_t i = 0; i < beyond && i < served; ++i)
    cluster_.api().remove("/api/v1/services", "s" + std::to_string(i));
  ASSERT_TRUE(cluster_.run_until([&] { return unserved() < beyond; }));
  ASSERT_TRUE(
      cluster_.run_until([&] { return unserved() == (beyond > served ? beyond - served : 0); }));
}

TEST_F(StreamEdges, RulesOfModeNftablesStayUntilAllIsServed) {
  put_web(kOn1);
  cluster_.start();
  ASSERT_TRUE(reaches("client", "10.96.0.1:80", "web-1"));
  // A client that keeps its socket, and so its flow.
  const int socket = [&] {
    const auto inside = cluster_.at("client").enter();
    const int fd = new_udp_socket(AF_INET);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse("10.96.0.1:80").value().to_sockaddr(storage);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    return fd;
  }();
  std::string answer;
  const auto ask_again = [&] {
    (void)send(socket, "?", 1, 0);
    char buffer[200];
    for (ssize_t got = 0; (got = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      answer.assign(buffer, static_cast<size_t>(got));
  };
  ASSERT_TRUE(cluster_.run_until([&] { return ask_again(), answer.starts_with("web-1 "); }));
  cluster_.kill_with(SIGTERM);
  std::vector<std::string> flags = cluster_.flags();
  flags.insert(flags.end(), kUserspace.begin(), kUserspace.end());
  cluster_.launch(flags);
  int missed = 0;
  ASSERT_TRUE(cluster_.run_until([&] {
    missed += cluster_.tcp("client", "10.96.0.1:80").reached != "web-1";
    ask_again();
    return cluster_.at("node").must("nft list ruleset").empty();
  }));
  EXPECT_LE(missed, 1) << "one that was under way when they went";
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, "web-1") << i;
  cluster_.put_slice("web", {kOn2});
  ASSERT_TRUE(cluster_.run_until([&] { return ask_again(), answer.starts_with("web-2 "); }));
  EXPECT_THAT(cluster_.get("node", ProgramCluster::kHealthz), HasSubstr("200"));
  close(socket);
}

TEST_F(StreamEdges, AServiceSaysWhatItWantsByAnnotations) {
  const auto put_holding = [&](const std::string& hold) {
    cluster_.api().put(
        "/api/v1/services", "web",
        R"({"metadata":{"name":"web","namespace":"default","uid":"01-23","resourceVersion":"@RV@",)"
        R"("annotations":{"stream.fairlead.io/hold":")" +
            hold + R"("}},"spec":{)" + spec_json(1) + "}}");
  };
  // A client in "client" that asks at once; what it has heard so far.
  struct Client {
    int fd = -1;
    std::string heard;
    ~Client() { close(fd); }
    bool gone() {
      char buffer[200];
      ssize_t got = 0;
      while ((got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        heard.append(buffer, static_cast<size_t>(got));
      return got == 0 || errno != EAGAIN;
    }
  };
  const auto ask = [&](Client& client) {
    const auto inside = cluster_.at("client").enter();
    client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse("10.96.0.1:80").value().to_sockaddr(storage);
    EXPECT_EQ(connect(client.fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    EXPECT_EQ(send(client.fd, "?", 1, 0), 1);
  };
  put_holding("20s");
  cluster_.start(kUserspace);
  Client first;
  ask(first);
  const auto waiting = [&](const char* count) {
    return cluster_.get("node", "http://127.0.0.1:10249/metrics")
               .find("fairlead_stream_held{protocol=\"tcp\"} " + std::string(count) + "\n") !=
           std::string::npos;
  };
  ASSERT_TRUE(cluster_.run_until([&] { return waiting("1"); }));
  EXPECT_FALSE(first.gone());
  EXPECT_EQ(first.heard, "");
  cluster_.put_slice("web", {kOn1});
  ASSERT_TRUE(cluster_.run_until([&] { return first.gone(), first.heard.starts_with("web-1"); }));

  put_holding("soon");
  const auto told = [&] {
    for (const ClusterApi::Request& request : cluster_.api().requests())
      if (request.method == "POST" && request.target.ends_with("/events") &&
          request.body.find("InvalidAnnotation") != std::string::npos)
        return request.body;
    return std::string();
  };
  ASSERT_TRUE(cluster_.run_until([&] { return !told().empty(); }));
  EXPECT_THAT(told(), HasSubstr("metadata.annotations[stream.fairlead.io/hold]"));
  EXPECT_THAT(told(), HasSubstr(R"("kind":"Service")"));
  EXPECT_THAT(told(), HasSubstr(R"("uid":"01-23")")) << "kubectl describe looks for it";
  cluster_.put_slice("web", {"10.244.1.9 notready"});
  bool held = false;
  for (int i = 0; i < 200 && !held; ++i) {
    Client probe;
    ask(probe);
    cluster_.run_for(std::chrono::milliseconds(20));
    held = waiting("1");
    // A client that has gone waits as long as the others.
    ASSERT_TRUE(held || waiting("0"));
  }
  EXPECT_TRUE(held) << "the last good wish stays";
}

// The mode is nobody's business here.
TEST_F(StreamEdges, WhereNobodyKnowsWhetherEndpointsAreToBeToldTcpIsDropped) {
  const auto put_with = [&](const std::string& mode, const std::string& proxy_protocol) {
    cluster_.put_service("web", spec_json(1), "", "",
                         R"("stream.fairlead.io/mode":")" + mode +
                             R"(","stream.fairlead.io/proxy-protocol":")" + proxy_protocol + "\"");
    cluster_.put_slice("web", {kOn1});
  };
  put_with("userspce", "V2");
  cluster_.start(kUserspace);
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string(), "dropped");
  EXPECT_EQ(cluster_.udp("client", "10.96.0.1:80").reached, "web-1");
  put_with("userspce", "off");
  EXPECT_TRUE(cluster_.run_until(
      [&] { return cluster_.tcp("client", "10.96.0.1:80").reached == "web-1"; }));
}

}  // namespace
}  // namespace fairlead::proxy
