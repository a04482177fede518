// SPDX-License-Identifier: Apache-2.0
// What kube-proxy promises of Services beyond cluster IPs, row by row of docs/proxy.md's table,
// with real packets of both families and asked of the tracer. The node is n1, its pods are web-1,
// web-2 and client; web-3 is a pod of another node.
#include "tests/kernel/proxy/rows.h"

#include <gtest/gtest.h>

namespace fairlead::proxy {
namespace {

using namespace test;

using kube::TrafficPolicy;

const Row kRows[] = {
    {"Row06_LocalSetIsReadyElseDraining",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1 + " terminating serving", kOn3}, kExternalLocal);
     },
     {{"outside reaches the draining one here", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80",
       kHere},
      {"a pod reaches the ready one elsewhere", "client", "198.51.100.1:80", "[2001:db8:ff::1]:80",
       kThere}}},
    {"Row07_NothingUsableHereDropsNowhereRefuses",
     [](Cluster& c) {
       put(c, "away", 1, {kOn3}, kExternalLocal);
       put(c, "none", 2, {}, kExternalLocal);
       put(c, "inner", 3, {kOn3}, kInternalLocal);
     },
     {{"load balancer address, endpoints elsewhere", "outside", "198.51.100.1:80", "", kDropped},
      {"node port, endpoints elsewhere", "outside", "192.0.2.1:30101", "", kDropped},
      {"cluster IP, internal policy Local, endpoints elsewhere", "client", "10.96.0.3:80", "",
       kDropped},
      {"no endpoints: load balancer address", "outside", "198.51.100.2:80", "[2001:db8:ff::2]:80",
       kRefused},
      {"no endpoints: external IP", "outside", "203.0.113.2:80", "[2001:db8:ee::2]:80", kRefused},
      {"no endpoints: node port", "outside", "192.0.2.1:30102", "[2001:db8::1]:30102", kRefused}},
     true},
    {"Row08_ZoneHints",
     [](Cluster& c) {
       kube::Node node;
       node.meta.labels["topology.kubernetes.io/zone"] = "a";
       node.internal_ips = {ip("192.0.2.1")};
       c.sink().set_node(node);
       c.sink().put(service("web", {"10.96.0.1"}, {"t 80/TCP", "u 80/UDP"}));
       kube::EndpointSlice hinted = slice("web", {kOn1, kOn2, kOn3}, {"t 8080/TCP", "u 8080/UDP"});
       hinted.endpoints[0].hint_zones = {"b"};
       hinted.endpoints[1].hint_zones = {"a"};
       hinted.endpoints[2].hint_zones = {"b", "c"};
       c.sink().put(hinted);
     },
     {{"only the zone's", "client", "10.96.0.1:80", "", {"web-2"}}}},
    {"Row09_InternalTrafficPolicyLocalIsForTheClusterIpOnly",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1, kOn3}, kInternalLocal);
     },
     {{"cluster IP from a pod", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere},
      {"cluster IP from this node", "node", "10.96.0.1:80", "[fd00:96::1]:80", kHere,
       Source::kMasqueraded},
      {"cluster IP from outside", "outside", "10.96.0.1:80", "[fd00:96::1]:80", kHere,
       Source::kMasqueraded},
      {"load balancer address", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80", kHereAndThere,
       Source::kMasqueraded},
      {"node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", kHereAndThere,
       Source::kMasqueraded}}},
    {"Row10_ExternalTrafficPolicyLocalKeepsTheSource",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1, kOn3}, kExternalLocal);
     },
     {{"load balancer address", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80", kHere},
      {"external IP", "outside", "203.0.113.1:80", "[2001:db8:ee::1]:80", kHere},
      {"node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", kHere},
      {"a pod goes to any, unmasqueraded", "client", "198.51.100.1:80", "[2001:db8:ff::1]:80",
       kHereAndThere},
      {"a pod by node port too", "client", "192.0.2.1:30101", "[2001:db8::1]:30101", kHereAndThere},
      {"this node goes to any, masqueraded", "node", "198.51.100.1:80", "[2001:db8:ff::1]:80",
       kHereAndThere, Source::kMasqueraded},
      {"the cluster IP goes to any", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHereAndThere}}},
    {"Row11_ExternalTrafficPolicyClusterAlwaysMasquerades",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1, kOn3}, kPlain);
     },
     {{"load balancer address", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80", kHereAndThere,
       Source::kMasqueraded},
      {"external IP, from a pod", "client", "203.0.113.1:80", "[2001:db8:ee::1]:80", kHereAndThere,
       Source::kMasqueraded},
      {"node port, from a pod", "client", "192.0.2.1:30101", "[2001:db8::1]:30101", kHereAndThere,
       Source::kMasqueraded}}},
    {"Row13_HairpinThroughAnAddressThatKeepsSources",
     [](Cluster& c) { put(c, "web", 1, {kOn1}, kExternalLocal); },
     {{"a pod to itself", "web-1", "198.51.100.1:80", "[2001:db8:ff::1]:80", kHere,
       Source::kMasqueraded}}},
    {"Row16_SourceRangesAreForLoadBalancerAddressesOnly",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1}, [](kube::Service& s) {
         s.load_balancer_source_ranges = {cidr("192.0.2.2/32"), cidr("2001:db8::2/128")};
       });
       put(c, "shut", 2, {kOn1}, [](kube::Service& s) {
         s.load_balancer_source_ranges = {cidr("10.9.0.0/16"), cidr("fd99::/16")};
         s.external_traffic_policy = TrafficPolicy::kLocal;
       });
       put(c, "open", 3, {kOn1}, [](kube::Service& s) {
         s.load_balancer_source_ranges = {cidr("10.9.0.0/16"), cidr("0.0.0.0/0"), cidr("::/0")};
       });
       put(c, "none", 4, {}, [](kube::Service& s) {
         s.load_balancer_source_ranges = {cidr("192.0.2.2/32"), cidr("2001:db8::2/128")};
       });
     },
     {{"a source inside", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80", kHere,
       Source::kMasqueraded},
      {"a pod is not inside", "client", "198.51.100.1:80", "", kDropped},
      {"nobody is inside", "outside", "198.51.100.2:80", "", kDropped},
      {"the cluster IP has none", "client", "10.96.0.2:80", "[fd00:96::2]:80", kHere},
      {"nor has the external IP", "outside", "203.0.113.2:80", "[2001:db8:ee::2]:80", kHere},
      {"nor the node port", "outside", "192.0.2.1:30102", "[2001:db8::1]:30102", kHere},
      {"a range of everything is none", "outside", "198.51.100.3:80", "[2001:db8:ff::3]:80", kHere,
       Source::kMasqueraded},
      {"no endpoints, a source inside", "outside", "198.51.100.4:80", "[2001:db8:ff::4]:80",
       kRefused},
      {"no endpoints, a pod is not inside", "client", "198.51.100.4:80", "", kDropped}},
     true},
    {"Row16_SourceRangesHoldForAClusterIpThatIsTheBalancersToo",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1, kOn3}, [](kube::Service& s) {
         s.load_balancer_ingress = {{ip("10.96.0.1"), true}, {ip("fd00:96::1"), true}};
         s.load_balancer_source_ranges = {cidr("192.0.2.2/32"), cidr("2001:db8::2/128")};
         s.external_traffic_policy = TrafficPolicy::kLocal;
       });
     },
     {{"a source inside", "outside", "10.96.0.1:80", "[fd00:96::1]:80", kHere},
      {"a pod is not inside", "client", "10.96.0.1:80", "", kDropped},
      {"another port", "outside", "10.96.0.1:81", "[fd00:96::1]:81", kRefused}},
     true},
    {"Row17_IpModeProxyHasNoRules",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1}, [](kube::Service& s) {
         s.load_balancer_ingress = {{ip("192.0.2.2"), false}, {ip("2001:db8::2"), false}};
       });
     },
     {{"not ours: goes to the balancer itself",
       "client",
       "192.0.2.2:8080",
       "[2001:db8::2]:8080",
       {"outside"}}}},
    {"Row20_UndefinedPortsOfExternalAddressesAreNotOurs",
     [](Cluster& c) {
       put(c, "web", 1, {kOn1}, [](kube::Service& s) {
         s.external_ips = {ip("192.0.2.2"), ip("2001:db8::2")};
       });
     },
     {{"not ours: another port of an external IP",
       "client",
       "192.0.2.2:8080",
       "[2001:db8::2]:8080",
       {"outside"}},
      {"another port of the cluster IP", "client", "10.96.0.1:8080", "[fd00:96::1]:8080",
       kRefused}}},
    {"Row32_NodePortsAreNotOnLoopback",
     [](Cluster& c) { put(c, "web", 1, {kOn1}); },
     {{"not ours: loopback", "node", "127.0.0.1:30101", "[::1]:30101", kRefused},
      {"another address of this node", "node", "10.244.1.1:30101", "[fd00:244:1::1]:30101", kHere,
       Source::kMasqueraded}}},
};

class Rows : public testing::TestWithParam<std::tuple<Row, bool>> {};
INSTANTIATE_TEST_SUITE_P(TableA, Rows, testing::Combine(testing::ValuesIn(kRows), testing::Bool()),
                         [](const auto& p) { return name_of(p.param); });

TEST_P(Rows, HoldWithRealPacketsAndForTheTracer) {
  const auto& [row, relayed] = GetParam();
  check_row(row, relayed);
}

// By rules or, as its kernel twin, relayed.
class RowsByFlag : public testing::TestWithParam<bool> {
 protected:
  RowsByFlag() { cluster.relay = GetParam(); }
  Cluster cluster;
};
INSTANTIATE_TEST_SUITE_P(, RowsByFlag, testing::Bool(),
                         [](const auto& p) { return p.param ? "Relayed" : "ByRules"; });

// Row 18: the feature gate AllowServiceExternalIPs, off.
TEST_P(RowsByFlag, Row18_ExternalIpsCanBeRefused) {
  cluster.start_proxy([](Config& config) { config.accept_external_ips = false; });
  put(cluster, "web", 1, {kOn1}, [](kube::Service& s) {
    s.external_ips = {ip("192.0.2.2"), ip("2001:db8::2")};
  });
  cluster.sink().start();
  cluster.settle();
  for (const PacketCase& c : {PacketCase{"not ours: an external IP",
                                         "client",
                                         "192.0.2.2:8080",
                                         "[2001:db8::2]:8080",
                                         {"outside"}},
                              PacketCase{"a load balancer address", "client", "198.51.100.1:80",
                                         "[2001:db8:ff::1]:80", kHere, Source::kMasqueraded}})
    check_packets(cluster, c, true);
}

// Row 12: masqueradeAll hides pods too, but not where the policy keeps sources.
TEST_P(RowsByFlag, Row12_MasqueradeAll) {
  cluster.start_proxy([](Config& config) { config.masquerade_all = true; });
  put(cluster, "web", 1, {kOn1}, kExternalLocal);
  cluster.sink().start();
  cluster.settle();
  for (const PacketCase& c : {PacketCase{"a pod to a cluster IP", "client", "10.96.0.1:80",
                                         "[fd00:96::1]:80", kHere, Source::kMasqueraded},
                              PacketCase{"from outside, policy Local", "outside", "198.51.100.1:80",
                                         "[2001:db8:ff::1]:80", kHere}})
    check_both(cluster, c);
}

// Row 19: by default the addresses the API names for this node, and a new one at once.
TEST_P(RowsByFlag, Row19_NodePortsOnPrimaryAddressesByDefault) {
  cluster.start_proxy([](Config& config) { config.node_port_cidrs.reset(); });
  put(cluster, "web", 1, {kOn1}, kPlain);
  kube::Node node;
  node.internal_ips = {ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.77")};
  cluster.sink().set_node(node);
  cluster.sink().start();
  cluster.settle();
  const PacketCase primary{"primary address",     "outside", "192.0.2.1:30101",
                           "[2001:db8::1]:30101", kHere,     Source::kMasqueraded};
  const PacketCase other{"not ours: another address", "client", "10.244.1.1:30101",
                         "[fd00:244:1::1]:30101", kRefused};
  check_packets(cluster, primary, true);
  check_packets(cluster, other, true);
  node.internal_ips = {ip("10.244.1.1"), ip("fd00:244:1::1")};
  cluster.sink().set_node(node);
  cluster.settle();
  PacketCase now = other;
  now.ends_at = kHere;
  now.source = Source::kMasqueraded;
  check_packets(cluster, now, true);
}

// A family of which the Node has no address, or only a loopback address that was chosen for it, has
// node ports on every address.
TEST_P(RowsByFlag, Row19_AFamilyWithoutPrimaryAddressHasNodePortsEverywhere) {
  cluster.start_proxy([](Config& config) { config.node_port_cidrs.reset(); });
  put(cluster, "web", 1, {kOn1}, kPlain);
  kube::Node node;
  node.internal_ips = {ip("127.0.0.1"), ip("192.0.2.1"), ip("2001:db8::1")};
  cluster.sink().set_node(node);
  cluster.sink().start();
  cluster.settle();
  const PacketCase four{"IPv4", "client", "10.244.1.1:30101", "", kHere, Source::kMasqueraded};
  PacketCase six{"not ours: IPv6", "client", "[fd00:244:1::1]:30101", "", kRefused};
  check_packets(cluster, four, true);
  check_packets(cluster, six, true);
  node.internal_ips = {ip("192.0.2.1")};
  cluster.sink().set_node(node);
  cluster.settle();
  six.ends_at = kHere;
  six.source = Source::kMasqueraded;
  check_packets(cluster, six, true);
}

TEST_P(RowsByFlag, Row19_ANewAddressOfTheNodeActsAtOnce) {
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().start();
  cluster.settle();
  cluster.at("node").must("ip link add kube-ipvs0 type bridge");  // as a kube-proxy left it
  cluster.at("node").must("ip address add 192.0.2.40/32 dev kube-ipvs0");
  cluster.at("node").must("ip address add 192.0.2.50/32 dev veth0");
  EXPECT_TRUE(cluster.run_until([&] {
    const auto& has = cluster.proxy().programmer(Family::kIpv4).programmed().parameters();
    return cluster.proxy().idle() && std::find(has.node_addresses.begin(), has.node_addresses.end(),
                                               ip("192.0.2.50")) != has.node_addresses.end();
  }));
  check_packets(cluster,
                {"new address", "outside", "192.0.2.50:30101", "", kHere, Source::kMasqueraded},
                true);
  const auto& has = cluster.proxy().programmer(Family::kIpv4).programmed().parameters();
  EXPECT_EQ(std::count(has.node_addresses.begin(), has.node_addresses.end(), ip("192.0.2.40")), 0);
}

TEST_P(RowsByFlag, Row20_ANewServiceCidrActsAtOnce) {
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().start();
  cluster.settle();
  const PacketCase unallocated{
      "not ours: unallocated", "client", "192.0.2.2:8080", "", {"outside"}};
  check_packets(cluster, unallocated, true);
  cluster.sink().set_service_cidrs({cidr("192.0.2.2/32")});
  cluster.settle();
  PacketCase now = unallocated;
  now.ends_at = kDropped;
  check_packets(cluster, now, true);
}

// A range that was changed, or given in part.
TEST(Row20, AClusterIpOutsideOfAllKnownRangesRefusesOtherPortsToo) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().start();
  cluster.settle();
  const auto rules = [&] {
    return cluster.at("node").must("nft list chain ip fairlead prerouting");
  };
  EXPECT_EQ(rules().find("@vips"), std::string::npos) << "one lookup for who goes to no Service";
  cluster.sink().put(service("old", {"172.20.0.1"}, {"p 80/TCP"}));
  cluster.sink().put(slice("old", {kOn1}, {"p 8080/TCP"}));
  cluster.settle();
  EXPECT_EQ(cluster.tcp("client", "172.20.0.1:80").reached, "web-1");
  EXPECT_EQ(cluster.tcp("client", "172.20.0.1:81").to_string(), "refused");
  EXPECT_EQ(cluster.tcp("client", "10.96.0.99:81").to_string(), "dropped");
  expect_settled(cluster, "with a cluster IP outside");
  cluster.stop_proxy();
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().put(service("old", {"172.20.0.1"}, {"p 80/TCP"}));
  cluster.sink().put(slice("old", {kOn1}, {"p 8080/TCP"}));
  cluster.sink().start();
  cluster.settle();
  EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).status().commits, 0u) << "a restart";
  cluster.sink().remove_service({"default", "old"});
  cluster.settle();
  EXPECT_EQ(rules().find("@vips"), std::string::npos);
}

// What listens on an address of the node's own is asked, whatever range it is in, unless it is a
// Service's.
TEST(Row20, AnAddressOfTheNodeItselfIsItsOwn) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().start();
  cluster.settle();
  EXPECT_EQ(cluster.tcp("client", "10.96.0.99:853").to_string(), "dropped");
  cluster.at("node").must("ip address add 10.96.0.99/32 dev lo");
  cluster.at("node").must("ip address add 10.96.0.1/32 dev lo");
  EXPECT_EQ(cluster.tcp("client", "10.96.0.99:853").to_string(), "refused") << "nobody listens";
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.tcp("client", "10.96.0.99:30101").reached == "web-1";
  })) << "it has node ports as any other";
  EXPECT_EQ(cluster.tcp("client", "10.96.0.1:80").reached, "web-1");
  Packet packet{ip(cluster.address("client", Family::kIpv4)), ip("10.96.0.98"), Protocol::kTcp,
                853};
  const Ruleset& programmed = cluster.proxy().programmer(Family::kIpv4).programmed();
  EXPECT_EQ(trace(programmed, packet).kind, Fate::Kind::kDropped);
  packet.local = {ip("10.96.0.98"), ip("10.96.0.1")};
  EXPECT_EQ(trace(programmed, packet).kind, Fate::Kind::kPassed);
  packet.destination = ip("10.96.0.1");
  EXPECT_EQ(trace(programmed, packet).kind, Fate::Kind::kRefused);
}

// Rows 12 and 10 with pods known by the interface they come in by.
TEST(Row12, PodsKnownByInterface) {
  for (const bool bridge : {true, false}) {
    Cluster cluster;
    cluster.start_proxy([&](Config& config) {
      config.cluster_cidrs.clear();
      (bridge ? config.bridge_interface : config.interface_prefix) = bridge ? "veth1" : "veth";
    });
    put(cluster, "web", 1, {kOn1, kOn3}, kExternalLocal);
    cluster.sink().start();
    cluster.settle();
    const auto masqueraded_if = [](bool yes) { return yes ? Source::kMasqueraded : Source::kKept; };
    // client is behind veth1, web-2 behind veth3, and outside behind veth0.
    check_packets(cluster, {"a pod", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHereAndThere},
                  true);
    check_packets(cluster,
                  {"another interface", "web-2", "10.96.0.1:80", "[fd00:96::1]:80", kHereAndThere,
                   masqueraded_if(bridge)},
                  true);
    check_packets(cluster,
                  {"a pod, external address", "client", "198.51.100.1:80", "[2001:db8:ff::1]:80",
                   kHereAndThere},
                  true);
    check_packets(cluster,
                  {"another interface, external address", "web-2", "198.51.100.1:80",
                   "[2001:db8:ff::1]:80", bridge ? kHere : kHereAndThere},
                  true);
  }
}

// Only the configured bit of the mark is touched, and it is gone when the packet leaves.
TEST(Row14, OnlyOurBitOfTheMark) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) { config.masquerade_mark = 1u << 20; });
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.sink().start();
  cluster.settle();
  cluster.at("node").must(
      "nft add table ip other; "
      "nft 'add chain ip other pre { type filter hook prerouting priority -200; }'; "
      "nft 'add chain ip other post { type filter hook postrouting priority 300; }'; "
      "nft add rule ip other pre meta mark set 0xa5004001; "
      "nft add rule ip other post meta mark 0xa5004001 counter; "
      "nft add rule ip other post meta mark '!=' 0xa5004001 ip daddr 10.244.2.2 counter drop");
  check_packets(cluster,
                {"marked by others", "outside", "198.51.100.1:80", "", kHere, Source::kMasqueraded},
                true);
}

}  // namespace
}  // namespace fairlead::proxy
