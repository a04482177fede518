// SPDX-License-Identifier: Apache-2.0
// Connections that are made are connections that are counted: with real packets, whatever happens
// to the elements that count them.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "netlink/conntrack.h"
#include "tests/kernel/proxy/changes.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using namespace std::chrono_literals;

class Counters : public testing::Test {
 protected:
  // More services than the first map has room for.
  void outgrow() {
    for (int i = 0; i < 1100; ++i)
      cluster_.proxy().put(service("s" + std::to_string(i),
                                   {"10.96.1." + std::to_string(i % 250 + 1)},
                                   {"p " + std::to_string(1000 + i / 250)}));
  }
  void start(bool repeat_lookups = false) {
    cluster_.start_proxy([=](Config& config) { config.repeat_lookups = repeat_lookups; });
    put_web(cluster_);
    cluster_.proxy().put(service("empty", {"10.96.0.3", "fd00:96::3"}, {"p 80"}));
    cluster_.proxy().start();
    cluster_.settle();
  }
  void endpoints(const std::vector<std::string>& of_web) {
    cluster_.proxy().put(slice("web", of_web, {"p 8080", "u 8080/UDP"}));
    cluster_.settle();
  }
  void connect(int times, const std::string& from = "client",
               const std::string& to = "10.96.0.1:80") {
    for (int i = 0; i < times; ++i) EXPECT_NE(cluster_.tcp(from, to).reached, "") << to;
  }
  void look() {
    cluster_.run_for(CounterReader::kFresh + 10ms);
    std::optional<Result<void>> looked;
    cluster_.proxy().look([&](Result<void> result) { looked = std::move(result); });
    EXPECT_FALSE(looked.has_value()) << "told inside the call";
    ASSERT_TRUE(cluster_.run_until([&] { return looked.has_value(); }));
    ASSERT_TRUE(looked->ok()) << looked->error().message();
  }
  // What is known, without a look.
  ServiceTotals known(const std::string& name, const std::string& port = "p",
                      Protocol protocol = Protocol::kTcp) {
    const auto& totals = cluster_.proxy().counters().totals();
    const auto found = totals.find({{"default", name}, port, protocol});
    return found == totals.end() ? ServiceTotals{} : found->second;
  }
  uint64_t connections() {
    look();
    return known("web").all_connections();
  }
  // Soon, and without a look.
  bool knows(uint64_t connections) {
    return cluster_.run_until([&] { return known("web").all_connections() == connections; });
  }
  // What the element itself says.
  std::string element(const std::string& of = "ip fairlead svc",
                      const std::string& key = "10.96.0.1 . tcp . 80") {
    const std::string text = cluster_.at("node").must("nft list map " + of);
    const size_t at = text.find(key);
    if (at == std::string::npos) return "";
    const std::string found = text.substr(at, text.find_first_of(",}\n", at) - at);
    return found.substr(0, found.find_last_not_of(' ') + 1);
  }

  Cluster cluster_;
};

class EveryKernel : public Counters, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(, EveryKernel, testing::Values(false, true), [](const auto& p) {
  return p.param ? "LooksTwice" : "LooksOnce";  // as before 6.17
});

TEST_P(EveryKernel, CountsEachConnectionOnceByTheAddressItWasSentTo) {
  start(GetParam());
  connect(9);
  connect(3, "node");  // its own packets pass other hooks, and loopback
  connect(2, "outside");
  connect(5, "client", "[fd00:96::1]:80");
  connect(4, "outside", "192.0.2.1:30080");
  connect(2, "outside", "[2001:db8::1]:30080");
  for (int i = 0; i < 6; ++i) EXPECT_NE(cluster_.udp("client", "10.96.0.1:80").reached, "");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(cluster_.tcp("client", "10.96.0.3:80").refused);
  EXPECT_TRUE(cluster_.tcp("client", "[fd00:96::3]:80").refused);
  connect(7, "client", "10.244.2.2:8080");  // to no Service
  look();
  const ServiceTotals web = known("web");
  EXPECT_EQ(web.connections[static_cast<size_t>(AddressKind::kClusterIp)], 9u + 3 + 2 + 5);
  EXPECT_EQ(web.connections[static_cast<size_t>(AddressKind::kNodePort)], 4u + 2);
  EXPECT_EQ(web.refused + web.dropped, 0u);
  EXPECT_EQ(known("web", "u", Protocol::kUdp).all_connections(), 6u);
  EXPECT_GE(known("empty").refused, 4u);  // more, where the kernel limits ICMP: asked again
  EXPECT_EQ(known("empty").all_connections(), 0u);
}

TEST_F(Counters, SayWhatWasDropped) {
  start();
  kube::Service inner = service("inner", {"10.96.0.4"}, {"p 80"});
  inner.internal_traffic_policy = kube::TrafficPolicy::kLocal;
  cluster_.proxy().put(inner);
  cluster_.proxy().put(slice("inner", {"10.245.4.2 @other"}, {"p 8080"}));
  cluster_.settle();
  EXPECT_EQ(cluster_.tcp("client", "10.96.0.4:80").to_string(), "dropped");
  look();
  EXPECT_GE(known("inner").dropped, 1u);
  EXPECT_EQ(known("inner").all_connections(), 0u);
}

TEST_F(Counters, OneFlowIsOneConnectionHoweverLongItLasts) {
  start();
  UdpFlow flow(cluster_, "client", "10.96.0.1:80");
  ASSERT_TRUE(cluster_.run_until([&] { return flow.answers() > 20; }));
  flow.stop();
  look();
  EXPECT_EQ(known("web", "u", Protocol::kUdp).all_connections(), 1u);
}

TEST_F(Counters, AcrossAChangeOfEndpoints) {
  start();
  connect(10);
  endpoints({"10.244.2.2 @node"});  // another shape: another element
  connect(5);
  EXPECT_EQ(element(), "10.96.0.1 . tcp . 80 counter packets 5 bytes 300 : goto sel_1");
  EXPECT_EQ(connections(), 15u);
  endpoints({});
  EXPECT_TRUE(cluster_.tcp("client", "10.96.0.1:80").refused);
  endpoints({"10.244.2.2 @node", "10.244.3.2 @node"});
  connect(4);
  EXPECT_EQ(connections(), 19u);
  EXPECT_EQ(known("web").refused, 1u);
  cluster_.proxy().remove_service({"default", "web"});
  cluster_.settle();
  EXPECT_EQ(connections(), 0u) << "a Service that is gone has no counters";
}

TEST_F(Counters, AcrossAGrownMap) {
  start();
  connect(6);
  EXPECT_EQ(connections(), 6u);
  connect(4);
  outgrow();
  const Programmer& programmer = cluster_.proxy().programmer(Family::kIpv4);
  EXPECT_TRUE(cluster_.run_until([&] { return programmer.tidy(); }));
  EXPECT_EQ(cluster_.at("node").must("nft list table ip fairlead").find("map svc {"),
            std::string::npos)
      << "it has not grown";
  EXPECT_NE(element("ip fairlead svc_1"), "");
  EXPECT_TRUE(knows(10)) << "told by the old one's elements as they went";
  connect(3);
  EXPECT_EQ(connections(), 13u);
  EXPECT_EQ(programmer.status().readings, 1u);
}

TEST_F(Counters, WhatAGrownMapCountedInAnEarlierLifeIsNotOurs) {
  start();
  connect(6);
  outgrow();
  const auto programmer = [&]() -> const Programmer& {
    return cluster_.proxy().programmer(Family::kIpv4);
  };
  EXPECT_TRUE(cluster_.run_until([&] {
    return programmer().programmed().set(SetId::kServices).name == "svc_1" && programmer().idle();
  }));
  cluster_.stop_proxy();
  start();
  outgrow();
  EXPECT_TRUE(cluster_.run_until([&] { return programmer().tidy(); }));
  EXPECT_EQ(cluster_.at("node").must("nft list table ip fairlead").find("map svc {"),
            std::string::npos);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Counters, ARestartBeginsAtNothingAndChangesNothing) {
  start();
  connect(10);
  EXPECT_EQ(connections(), 10u);
  cluster_.stop_proxy();
  connect(2);
  start();
  EXPECT_EQ(cluster_.proxy().programmer(Family::kIpv4).status().commits, 0u)
      << "what elements have counted is no difference";
  EXPECT_EQ(connections(), 0u);
  connect(5);
  EXPECT_EQ(connections(), 5u);
  endpoints({"10.244.2.2 @node"});
  EXPECT_TRUE(knows(5));
  connect(1);
  EXPECT_EQ(connections(), 6u);
}

TEST_F(Counters, ListAndLoadWithDebiansNft) {
  start();
  connect(3);
  const std::string listed = cluster_.list_ruleset();
  EXPECT_EQ(element(), "10.96.0.1 . tcp . 80 counter packets 3 bytes 180 : goto sel_3");
  cluster_.stop_proxy();
  cluster_.at("node").must("nft flush ruleset");
  const auto loaded = [&] {
    const auto inside = cluster_.at("node").enter();
    return fairlead::test::run_command({"nft", "-f", "-"}, listed);
  }();
  ASSERT_EQ(loaded.status, 0) << loaded.errors;
  EXPECT_EQ(cluster_.list_ruleset(), listed) << "counts too";
  start();
  EXPECT_EQ(cluster_.proxy().programmer(Family::kIpv4).status().commits, 0u);
  connect(2);
  EXPECT_EQ(connections(), 2u);
}

TEST_F(Counters, AfterSomebodyElsesHands) {
  start();
  connect(4);
  cluster_.at("node").must("nft delete element ip fairlead svc '{ 10.96.0.1 . tcp . 80 }'");
  cluster_.run_for(50ms);
  cluster_.settle();
  connect(3);
  EXPECT_EQ(connections(), 7u);
  cluster_.at("node").must("nft delete table ip fairlead");
  cluster_.run_for(50ms);
  cluster_.settle();
  connect(9);
  EXPECT_EQ(connections(), 16u);
}

// A packet that finds an element in the moment it is replaced may count on it after it has had its
// last word: that is all that is lost.
TEST_F(Counters, WhileEverythingChanges) {
  start();
  Traffic traffic(cluster_, "client", "10.96.0.1:80");
  const std::vector<std::string> all = {"10.244.2.2 @node", "10.244.3.2 @node", "10.245.4.2"};
  for (size_t step = 0; step < 60; ++step) {
    endpoints({all.begin(), all.begin() + static_cast<long>(1 + step % 3)});
    cluster_.run_for(20ms);
    if (step % 20 == 7) look();
  }
  traffic.stop();
  EXPECT_EQ(traffic.failures(), 0);
  const auto made = static_cast<uint64_t>(traffic.connections());
  EXPECT_GT(made, 100u);
  const uint64_t counted = connections();
  EXPECT_LE(counted, made);
  EXPECT_GE(counted + 3, made);
}

TEST_F(Counters, AreNotReadBeforeThereIsSomething) {
  cluster_.start_proxy();
  std::optional<Result<void>> looked;
  cluster_.proxy().look([&](Result<void> result) { looked = std::move(result); });
  ASSERT_TRUE(cluster_.run_until([&] { return looked.has_value(); }));
  EXPECT_EQ(looked->error().message(), "Services are not programmed yet");
}

TEST_F(Counters, OneListingServesAllWhoAskAtOnce) {
  start();
  connect(2);
  int told = 0;
  for (int i = 0; i < 5; ++i)
    cluster_.proxy().look([&](const Result<void>& result) { told += result.ok() ? 1 : 0; });
  ASSERT_TRUE(cluster_.run_until([&] { return told == 5; }));
  EXPECT_EQ(known("web").all_connections(), 2u);
  connect(1);
  cluster_.proxy().look([&](const Result<void>&) { ++told; });
  ASSERT_TRUE(cluster_.run_until([&] { return told == 6; }));
  EXPECT_EQ(connections(), 3u);
  cluster_.proxy().look([](const Result<void>&) { ADD_FAILURE() << "told after the end"; });
  cluster_.stop_proxy();
}

// ---- what flows carried ----

class Bytes : public Counters {
 protected:
  // Ends every UDP flow of the node at once, as their time-out would some time later.
  void end_flows() {
    namespace conntrack = netlink::conntrack;
    const auto inside = cluster_.at("node").enter();
    auto opened = netlink::Connection::open(cluster_.loop(), netlink::Protocol::kNetfilter);
    ASSERT_TRUE(opened.ok());
    std::optional<Result<std::vector<conntrack::Entry>>> flows;
    conntrack::Filter filter;
    filter.protocol = IPPROTO_UDP;
    conntrack::list(**opened, filter, [&](auto rows) { flows = std::move(rows); });
    ASSERT_TRUE((*opened)->wait([&] { return flows.has_value(); }, 10s));
    ASSERT_TRUE(flows->ok());
    for (const conntrack::Entry& flow : **flows)
      EXPECT_TRUE((*opened)->request_sync(conntrack::delete_entry(flow), 10s).ok());
  }
  void ask_udp(int times, const std::string& from, const std::string& to) {
    for (int i = 0; i < times; ++i) EXPECT_NE(cluster_.udp(from, to).reached, "");
  }
};

TEST_F(Bytes, OfFlowsThatHaveEnded) {
  cluster_.count_bytes = true;
  cluster_.at("node").set_sysctl("net.netfilter.nf_conntrack_acct", "1");
  start();
  ask_udp(3, "client", "10.96.0.1:80");
  ask_udp(2, "outside", "192.0.2.1:30080");
  ask_udp(2, "client", "10.244.2.2:8080");  // to no Service
  EXPECT_EQ(known("web", "u", Protocol::kUdp).flows.flows, 0u) << "still open";
  end_flows();
  ASSERT_TRUE(
      cluster_.run_until([&] { return known("web", "u", Protocol::kUdp).flows.flows == 5; }));
  const FlowTotals flows = known("web", "u", Protocol::kUdp).flows;
  EXPECT_EQ(flows.client_packets, 5u);
  EXPECT_EQ(flows.server_packets, 5u);
  EXPECT_EQ(flows.client_bytes, 5u * (20 + 8 + 1)) << "\"?\", with its headers";
  // "web-1 10.244.1.2" to the client; masqueraded from outside, "web-1 10.244.2.1".
  EXPECT_EQ(flows.server_bytes, 5u * (20 + 8 + 16));
  EXPECT_EQ(cluster_.proxy().flow_counter()->uncounted(), 0u);
  EXPECT_EQ(cluster_.proxy().counters().totals().size(), 1u);
}

TEST_F(Bytes, SayThatTheKernelDoesNotAccount) {
  cluster_.count_bytes = true;
  cluster_.at("node").set_sysctl("net.netfilter.nf_conntrack_acct", "0");
  start();
  ask_udp(2, "client", "10.96.0.1:80");
  end_flows();
  ASSERT_TRUE(
      cluster_.run_until([&] { return cluster_.proxy().flow_counter()->uncounted() == 2; }));
  EXPECT_EQ(known("web", "u", Protocol::kUdp).flows.flows, 0u);
}

TEST_F(Bytes, EventsTheKernelDropsAreCountedAndNoMore) {
  cluster_.at("node").set_sysctl("net.netfilter.nf_conntrack_acct", "1");
  start();
  ServiceCounters counters(cluster_.proxy().services());
  Metrics metrics;
  const ServicePort port = {{"default", "web"}, "u", Protocol::kUdp};
  std::unique_ptr<FlowCounter> slow;
  {
    const auto inside = cluster_.at("node").enter();
    auto opened = FlowCounter::open(
        cluster_.loop(), metrics, counters, [&](const auto&) { return port; }, 1);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    slow = std::move(*opened);
  }
  ask_udp(30, "client", "10.96.0.1:80");
  end_flows();
  ASSERT_TRUE(cluster_.run_until([&] { return slow->losses() > 0; }));
  EXPECT_NE(metrics.text().find("fairlead_proxy_conntrack_event_losses_total"), std::string::npos);
  const uint64_t before =
      counters.totals().contains(port) ? counters.totals().at(port).flows.flows : 0;
  EXPECT_LT(before, 30u);
  ask_udp(1, "client", "10.96.0.1:80");
  end_flows();
  ASSERT_TRUE(cluster_.run_until([&] {
    return counters.totals().contains(port) && counters.totals().at(port).flows.flows == before + 1;
  })) << "it goes on: "
      << before << " then " << counters.totals().at(port).flows.flows << ", losses "
      << slow->losses() << ", uncounted " << slow->uncounted();
}

}  // namespace
}  // namespace fairlead::proxy
