// SPDX-License-Identifier: Apache-2.0
// The program in mode userspace: real packets between pods, a node and an outside host, relayed
// without any rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <random>
#include <thread>

#include "tests/kernel/proxy/stream_fixture.h"
#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

class Stream : public StreamTest {
 protected:
  void start(std::vector<std::string> more = {}) {
    more.push_back("--proxy-mode=userspace");
    more.push_back("--log-level=debug");
    cluster_.start(more);
  }
  // A client that ends first hears its own words, and the end.
  bool says_goodbye(const std::string& to) {
    const auto inside = cluster_.at("client").enter();
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse(to).value().to_sockaddr(storage);
    const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char heard[8];
    const bool well = connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0 &&
                      send(fd, "bye", 3, MSG_NOSIGNAL) == 3 && shutdown(fd, SHUT_WR) == 0 &&
                      recv(fd, heard, 3, MSG_WAITALL) == 3 && recv(fd, heard, 1, 0) == 0;
    close(fd);
    return well;
  }
};

TEST_F(Stream, ServesEveryKindOfAddressWithoutARule) {
  put("web", 1, {kOn1, kOn2, kOn3}, R"("externalIPs":["203.0.113.1","2001:db8:ee::1"])",
      balancer_json(1));
  start();
  check_every_address(kAll);
  EXPECT_EQ(cluster_.at("node").must("nft list ruleset"), "");
  const std::string text = metrics();
  EXPECT_THAT(text, HasSubstr("fairlead_stream_connections_total{protocol=\"tcp\"} "));
  EXPECT_THAT(text, HasSubstr("\nfairlead_stream_unserved_sockets 0\n"));
  EXPECT_THAT(text, HasSubstr("\nfairlead_stream_missing_routes 0\n"));
  EXPECT_THAT(cluster_.get("node", "http://127.0.0.1:10249/proxyMode"), HasSubstr("userspace"));
  EXPECT_THAT(cluster_.get("node", ProgramCluster::kHealthz), HasSubstr("200"));
  const CommandResult stat = cluster_.run({"stat", "--once", "--interval=1s"});
  EXPECT_THAT(stat.output, HasSubstr("node: relaying\n"));
  EXPECT_THAT(stat.output, testing::ContainsRegex("\ndefault/web:u +udp +[0-9]+ +[1-9][0-9]* +0 "));
}

// For all else that is on the node, as kube-proxy does in each of its modes (e2e "should set TCP
// CLOSE_WAIT timeout").
TEST_F(Stream, ConnectionTrackingIsSetUp) {
  put("web", 1, {kOn1});
  start();
  EXPECT_EQ(
      cluster_.at("node").must("cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait"),
      "3600\n");
}

TEST_F(Stream, EndpointsAndServicesComeAndGo) {
  start({"--service-metrics"});
  EXPECT_EQ(routes().find("10.96.0.1 "), std::string::npos);
  put("web", 1, {kOn1});
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  put_endpoints("web", {kOn2});
  ASSERT_TRUE(ends_at("client", "[fd00:96::1]:80", "web-2"));
  check("the other one", "client", "10.96.0.1:80", "[fd00:96::1]:80", {"web-2"});
  put_endpoints("web", {"10.244.2.2 notready"});
  ASSERT_TRUE(ends_at("client", "[fd00:96::1]:80", "refused"));
  check("nobody is ready", "client", "10.96.0.1:80", "[fd00:96::1]:80", kRefused);
  put_endpoints("web", {"10.244.2.2 terminating serving @node"});
  ASSERT_TRUE(ends_at("client", "[fd00:96::1]:80", "web-1"));
  EXPECT_THAT(metrics(), HasSubstr("fairlead_stream_service_connections_total{namespace="
                                   "\"default\",service=\"web\",port=\"t\",protocol=\"tcp\"}"));
  EXPECT_NE(routes().find("10.96.0.1 "), std::string::npos);
  EXPECT_NE(routes().find("fd00:96::1 "), std::string::npos);
  cluster_.api().remove("/api/v1/services", "web");
  ASSERT_TRUE(cluster_.run_until([&] { return routes().find("10.96.0.1 ") == std::string::npos; }));
  EXPECT_EQ(routes().find("fd00:96::1 "), std::string::npos);
  check("it has gone", "client", "10.96.0.1:80", "[fd00:96::1]:80", kDropped, false);
}

TEST_F(Stream, TrafficPoliciesAndSourceRanges) {
  put("internal", 1, {kOn1, kOn3}, R"("internalTrafficPolicy":"Local")");
  put("internal-elsewhere", 2, {kOn3}, R"("internalTrafficPolicy":"Local")");
  put("external", 3, {kOn1, kOn3}, R"("externalTrafficPolicy":"Local")", balancer_json(3));
  put("external-elsewhere", 4, {kOn3}, R"("externalTrafficPolicy":"Local")", balancer_json(4));
  put("guarded", 5, {kOn1}, R"("loadBalancerSourceRanges":["10.244.1.0/24","fd00:244:1::/64"])",
      balancer_json(5));
  start();
  check("internal Local", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere);
  check("its node port is not", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", kHereAndThere);
  check("internal Local, none here", "client", "10.96.0.2:80", "[fd00:96::2]:80", kDropped, false);
  check("external Local", "outside", "198.51.100.3:80", "[2001:db8:ff::3]:80", kHere);
  check("external Local, node port", "outside", "192.0.2.1:30103", "[2001:db8::1]:30103", kHere);
  check("external Local, a pod", "client", "198.51.100.3:80", "[2001:db8:ff::3]:80", kHereAndThere);
  check("external Local, the node", "node", "198.51.100.3:80", "[2001:db8:ff::3]:80",
        kHereAndThere);
  check("external Local, cluster IP", "client", "10.96.0.3:80", "[fd00:96::3]:80", kHereAndThere);
  check("none here, outside", "outside", "198.51.100.4:80", "[2001:db8:ff::4]:80", kDropped, false);
  check("none here, a pod", "client", "198.51.100.4:80", "[2001:db8:ff::4]:80", kThere);
  check("none here, the node", "node", "198.51.100.4:80", "[2001:db8:ff::4]:80", kThere);
  check("in the ranges", "client", "198.51.100.5:80", "[2001:db8:ff::5]:80", kHere);
  check("not in them", "outside", "198.51.100.5:80", "[2001:db8:ff::5]:80", kDropped, false);
  check("a node port has none", "outside", "192.0.2.1:30105", "[2001:db8::1]:30105", kHere);
}

TEST_F(Stream, AffinityHoldsWhateverAddressIsUsed) {
  put("sticky", 1, {kOn1, kOn2, kOn3},
      R"("sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":100}})");
  start();
  for (const std::string from : {"client", "outside", "node"}) {
    SCOPED_TRACE(from);
    std::set<std::string> ends;
    for (int i = 0; i < 20; ++i) {
      ends.insert(cluster_.tcp(from, "10.96.0.1:80").reached);
      if (from != "node") ends.insert(cluster_.tcp(from, "192.0.2.1:30101").reached);
    }
    EXPECT_EQ(ends.size(), 1u);
    EXPECT_NE(*ends.begin(), "");
  }
  // It stays when endpoints come, and goes elsewhere when its own goes.
  const std::string first = cluster_.tcp("client", "10.96.0.1:80").reached;
  const std::map<std::string, std::string> kOn = {
      {"web-1", kOn1}, {"web-2", kOn2}, {"web-3", kOn3}};
  put_endpoints("sticky", {kOn.at(first)});
  ASSERT_TRUE(ends_at("outside", "10.96.0.1:80", first));
  put_endpoints("sticky", {kOn1, kOn2, kOn3});
  cluster_.run_for(std::chrono::milliseconds(300));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, first);
    EXPECT_EQ(cluster_.tcp("outside", "10.96.0.1:80").reached, first);
  }
  std::vector<std::string> others;
  for (const auto& [name, endpoint] : kOn)
    if (name != first) others.push_back(endpoint);
  put_endpoints("sticky", others);
  ASSERT_TRUE(
      cluster_.run_until([&] { return cluster_.tcp("client", "10.96.0.1:80").reached != first; }));
  const std::string second = cluster_.tcp("client", "10.96.0.1:80").reached;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").reached, second);
}

TEST_F(Stream, ConnectionsAreWholeWhileEndpointsChange) {
  std::mt19937_64 random(fairlead::test::random_seed());
  put("web", 1, {kOn1});
  put_echo();
  start();
  Echo echo(cluster_.at("web-1"));
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  Checker checker(cluster_.at("client"), "10.96.0.7:7", random());
  ASSERT_TRUE(cluster_.run_until([&] { return checker.compared() > 1000000; }));
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> some;
    for (const std::string& endpoint : {kOn1, kOn2, kOn3})
      if (random() % 2 == 0) some.push_back(endpoint);
    put_endpoints("web", some.empty() ? std::vector<std::string>{kOn2} : some);
    put_echo_endpoints(round % 2 == 0 ? kEcho2
                                      : kEcho1 + "," + kEcho2);  // its own leaves, and comes back
    const Outcome outcome = cluster_.tcp("client", "10.96.0.1:80");
    EXPECT_NE(outcome.reached, "") << outcome.to_string();
    cluster_.run_for(std::chrono::milliseconds(10));
  }
  const size_t before = checker.compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker.compared() > before + 10000000; }));
  EXPECT_TRUE(checker.good());
}

TEST_F(Stream, KilledAndStartedAgainItServesAgainAndCleanupLeavesNothing) {
  put("web", 1, {kOn1});
  start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  const std::string before = routes();
  cluster_.kill_with(SIGKILL);
  EXPECT_EQ(routes(), before);
  // A Service less and one more than it knew.
  put("other", 2, {kOn2});
  cluster_.api().remove("/api/v1/services", "web");
  start();
  ASSERT_TRUE(ends_at("client", "10.96.0.2:80", "web-2"));
  ASSERT_TRUE(cluster_.run_until([&] { return routes().find("10.96.0.1 ") == std::string::npos; }));
  EXPECT_NE(routes().find("10.96.0.2 "), std::string::npos);
  // Somebody else takes a route away.
  cluster_.at("node").must("ip route del local 10.96.0.2 dev lo table local");
  ASSERT_TRUE(ends_at("client", "10.96.0.2:80", "web-2"));
  cluster_.kill_with(SIGTERM);
  check("its address refuses while nobody serves", "client", "10.96.0.2:80", "[fd00:96::2]:80",
        kRefused);
  const CommandResult cleaned = cluster_.run({"--cleanup"});
  EXPECT_EQ(cleaned.status, 0) << cleaned.errors;
  EXPECT_EQ(routes(), "");
  // A node's own address stays.
  EXPECT_THAT(cluster_.at("node").must("ip route show table local"), HasSubstr("192.0.2.1"));
}

TEST_F(Stream, FollowsModeNftablesAndIsFollowedByIt) {
  put("web", 1, {kOn1});
  cluster_.start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  EXPECT_NE(cluster_.at("node").must("nft list ruleset"), "");
  cluster_.kill_with(SIGTERM);
  start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  EXPECT_EQ(cluster_.at("node").must("nft list ruleset"), "");
  cluster_.kill_with(SIGTERM);
  cluster_.start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  EXPECT_EQ(routes(), "");
}

TEST_F(Stream, AtItsEndOpenConnectionsMayEndByThemselves) {
  put_echo();
  start({"--stream-drain-timeout=5m"});
  Echo echo(cluster_.at("web-1"));
  auto checker = std::make_unique<Checker>(cluster_.at("client"), "10.96.0.7:7", 1);
  ASSERT_TRUE(cluster_.run_until([&] { return checker->compared() > 1000000; }));
  kill(cluster_.process().pid(), SIGTERM);
  ASSERT_TRUE(ends_at("client", "10.96.0.7:7", "refused")) << "it accepts no more";
  EXPECT_THAT(cluster_.get("node", ProgramCluster::kHealthz), HasSubstr("503"))
      << "and balancers are told";
  const size_t before = checker->compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 1000000; }));
  EXPECT_TRUE(checker->good());
  EXPECT_TRUE(cluster_.running());
  checker.reset();
  EXPECT_TRUE(cluster_.run_until([&] { return !cluster_.running(); })) << "with the last of them";
}

TEST_F(Stream, AtItsEndOpenConnectionsHaveSoLongAndNoLonger) {
  put_echo();
  start({"--stream-drain-timeout=4s"});
  Echo echo(cluster_.at("web-1"));
  auto checker = std::make_unique<Checker>(cluster_.at("client"), "10.96.0.7:7", 1);
  ASSERT_TRUE(cluster_.run_until([&] { return checker->compared() > 1000000; }));
  kill(cluster_.process().pid(), SIGTERM);
  ASSERT_TRUE(ends_at("client", "10.96.0.7:7", "refused"));
  const size_t before = checker->compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 100000; }));
  EXPECT_TRUE(checker->good()) << "it may go on for a while";
  EXPECT_TRUE(cluster_.run_until([&] { return !cluster_.running(); }));
  EXPECT_TRUE(cluster_.run_until([&] { return !checker->good(); })) << "and then it is reset";
}

// Clients that close first leave the relay with the ports of what has ended.
TEST_F(Stream, PortsOfConnectionsThatClientsHaveEndedAreUsedAgain) {
  put_echo();
  cluster_.at("node").set_sysctl("net.ipv4.ip_local_port_range", "40000 40019");
  start();
  Echo echo(cluster_.at("web-1"));
  ASSERT_TRUE(cluster_.run_until([&] { return says_goodbye("10.96.0.7:7"); }));
  for (int round = 0; round < 4; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    for (int i = 0; i < 15; ++i) EXPECT_TRUE(says_goodbye("10.96.0.7:7")) << round << " " << i;
  }
}

TEST_F(Stream, AThousandServicesAreServedAndTakenOverByTheNextProcess) {
  const auto address = [](int i) {
    return "10.96." + std::to_string(1 + i / 200) + "." + std::to_string(1 + i % 200);
  };
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "s" + std::to_string(i);
    cluster_.put_service(name, R"("clusterIP":")" + address(i) + R"(","clusterIPs":[")" +
                                   address(i) +
                                   R"("],"ipFamilies":["IPv4"],"ports":[{"name":"t","port":80}])");
    cluster_.put_slice(name, {i % 2 == 0 ? kOn1 : kOn2});
  }
  const auto count_routes = [&] {
    const std::string text = routes();
    size_t count = 0;
    for (size_t at = 0; (at = text.find("local 10.96.", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again);
    start();
    ASSERT_TRUE(cluster_.run_until([&] { return count_routes() == 1000; }));
    for (int i = 0; i < 1000; i += 37)
      EXPECT_EQ(cluster_.tcp("client", address(i) + ":80").reached, i % 2 == 0 ? "web-1" : "web-2");
    EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unserved_sockets 0\n"));
    cluster_.kill_with(SIGKILL);
    EXPECT_EQ(count_routes(), 1000u);
  }
  EXPECT_EQ(cluster_.run({"--cleanup"}).status, 0);
  EXPECT_EQ(routes(), "");
}

TEST_F(Stream, WithoutTheRightToRoutesNodePortsAreServedAndHealthSaysSo) {
  put("web", 1, {kOn1});
  std::vector<std::string> argv = {"setpriv",
                                   "--bounding-set=-net_admin",
                                   "--inh-caps=-net_admin",
                                   Cluster::program(),
                                   "--proxy-mode=userspace",
                                   "--cluster-cidr=10.244.0.0/15,fd00:244::/32"};
  for (const std::string& flag : cluster_.flags()) argv.push_back(flag);
  const auto powerless = [&] {
    const auto inside = cluster_.at("node").enter();
    return std::make_unique<BackgroundProcess>(argv);
  }();
  ASSERT_TRUE(ends_at("outside", "192.0.2.1:30101", "web-1"));
  check("node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", kHere);
  EXPECT_TRUE(cluster_.run_until([&] {
    return metrics().find("\nfairlead_stream_missing_routes 4\n") != std::string::npos;
  })) << "two addresses, two ranges\n"
      << metrics();
  EXPECT_THAT(cluster_.get("node", ProgramCluster::kHealthz),
              testing::AllOf(HasSubstr("503"), HasSubstr("CAP_NET_ADMIN")));
  EXPECT_EQ(routes(), "");
}

TEST_F(Stream, WhatItMayNotDoIsSaidAndTheRestIsServed) {
  // Somebody has a node port, and this node's own address is an external IP.
  put("web", 1, {kOn1}, R"("externalIPs":["192.0.2.1"])");
  const int squatter = [&] {
    const auto inside = cluster_.at("node").enter();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse("192.0.2.1:30101").value().to_sockaddr(storage);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    EXPECT_EQ(listen(fd, 1), 0);
    return fd;
  }();
  cluster_.put_service("sctp", R"("clusterIP":"10.96.0.8","clusterIPs":["10.96.0.8"],"ipFamilies":)"
                               R"(["IPv4"],"ports":[{"name":"s","port":80,"protocol":"SCTP"}])");
  const auto put_sctp = [&](const std::string& endpoint) {
    cluster_.api().put(
        "/apis/discovery.k8s.io/v1/endpointslices", "sctp",
        R"({"metadata":{"namespace":"default","name":"sctp","resourceVersion":"@RV@","labels":)"
        R"({"kubernetes.io/service-name":"sctp"}},"addressType":"IPv4","endpoints":[)" +
            endpoint + R"(],"ports":[{"name":"s","port":80,"protocol":"SCTP"}]})");
  };
  put_sctp(R"({"addresses":["10.244.2.2"]})");
  start();
  ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unserved_sockets 2\n"));
  put_sctp("");
  ASSERT_TRUE(cluster_.run_until([&] {
    return metrics().find("\nfairlead_stream_unserved_sockets 1\n") != std::string::npos;
  })) << metrics();
  check("another address of the node", "client", "10.244.1.1:30101", "", kHere);
  check("this node's own address", "outside", "192.0.2.1:80", "", kHere);
  EXPECT_THAT(cluster_.get("node", ProgramCluster::kHealthz), HasSubstr("\"healthy\":true"));
  close(squatter);
  ASSERT_TRUE(ends_at("outside", "192.0.2.1:30101", "web-1"));
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unserved_sockets 0\n"));
  const CommandResult cleaned = (cluster_.kill_with(SIGTERM), cluster_.run({"--cleanup"}));
  EXPECT_EQ(cleaned.status, 0) << cleaned.errors;
  EXPECT_EQ(cluster_.tcp("outside", "192.0.2.1:80").to_string(), "refused")
      << "the address is still this node's";
}

}  // namespace
}  // namespace fairlead::proxy
