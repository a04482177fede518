// SPDX-License-Identifier: Apache-2.0
// Row 15 of docs/proxy.md's table, affinity, with real packets.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy {
namespace {

using namespace test;

Adjust sticky(uint32_t seconds, const Adjust& more = kPlain) {
  return [=](kube::Service& object) {
    object.affinity_timeout_seconds = seconds;
    more(object);
  };
}

// Where 12 connections end.
std::set<std::string> ends(Cluster& cluster, const std::string& from, const std::string& to) {
  std::set<std::string> result;
  for (int i = 0; i < 12; ++i) result.insert(cluster.tcp(from, to).to_string());
  return result;
}

// By rules or, as its kernel twin, relayed.
class Row15 : public testing::TestWithParam<bool> {
 protected:
  Row15() { cluster.relay = GetParam(); }
  Cluster cluster;
};
INSTANTIATE_TEST_SUITE_P(, Row15, testing::Bool(),
                         [](const auto& p) { return p.param ? "Relayed" : "ByRules"; });

TEST_P(Row15, ASourceStaysWithItsEndpointWhateverTheAddress) {
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  for (const bool six : {false, true}) {
    const std::string cluster_ip = six ? "[fd00:96::1]:80" : "10.96.0.1:80";
    const auto first = ends(cluster, "client", cluster_ip);
    EXPECT_EQ(first.size(), 1u);
    const std::string name = first.begin()->substr(0, first.begin()->find(' '));
    const std::string address = cluster.address(name, six ? Family::kIpv6 : Family::kIpv4);
    const SocketAddress endpoint{ip(address), 8080};
    if (!GetParam()) {
      EXPECT_EQ(cluster.traced("client", cluster_ip + "/tcp"),
                "balanced to " + endpoint.to_string());
      EXPECT_NE(cluster.traced("outside", cluster_ip + "/tcp").find(", "), std::string::npos)
          << "not seen yet: to any";
    }
    for (const char* to : {six ? "[2001:db8:ff::1]:80" : "198.51.100.1:80",
                           six ? "[2001:db8:ee::1]:80" : "203.0.113.1:80",
                           six ? "[2001:db8::1]:30101" : "192.0.2.1:30101"}) {
      const auto others = ends(cluster, "client", to);
      EXPECT_EQ(others.size(), 1u) << to;
      EXPECT_EQ(others.begin()->substr(0, others.begin()->find(' ')), name) << to;
    }
  }
  EXPECT_EQ(ends(cluster, "node", "10.96.0.1:80").size(), 1u);
  EXPECT_EQ(ends(cluster, "outside", "192.0.2.1:30101").size(), 1u);
  EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).status().foreign_changes, 0u)
      << "what packets teach the maps is nobody's change";
}

// A nat hook that translates is the last one the kernel asks, and of one priority the later comes
// first: that of a CNI that began after us, and masquerades what goes from pods to elsewhere.
TEST(Row15_Affinity, IsLearntThoughAnotherMasquerades) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  cluster.at("node").must(
      "nft add table ip other; "
      "nft 'add chain ip other post { type nat hook postrouting priority srcnat; }'; "
      "nft add rule ip other post ip saddr 10.244.0.0/16 masquerade");
  const auto seen = ends(cluster, "client", "10.96.0.1:80");
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.begin()->find("sees 10.244.1.2"), std::string::npos)
      << "it is masqueraded: " << *seen.begin();
}

// A table of a version that had its hooks at another priority: moved in one transaction, and what
// has been learnt stays.
TEST(Row15_Affinity, HooksThatMoveForgetNothing) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  const auto before = ends(cluster, "client", "10.96.0.1:80");
  EXPECT_EQ(before.size(), 1u);
  cluster.stop_proxy();
  cluster.at("node").must(
      "f=$(mktemp); nft list chain ip fairlead postrouting | sed 's/srcnat - 1/srcnat/' > $f; "
      "nft 'flush chain ip fairlead postrouting; delete chain ip fairlead postrouting'; "
      "nft -f $f; rm $f; nft list chain ip fairlead postrouting | grep 'priority srcnat;'");
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  EXPECT_NE(cluster.at("node").must("nft list chain ip fairlead postrouting").find("srcnat - 1"),
            std::string::npos);
  EXPECT_EQ(ends(cluster, "client", "10.96.0.1:80"), before);
  EXPECT_TRUE(cluster.proxy().programmer(Family::kIpv4).status().taken_over);
}

TEST(Row15_Affinity, AnEndpointThatLeavesIsForgottenAndOthersAreNot) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  const std::string to = "10.96.0.1:80";
  const std::string before = *ends(cluster, "client", to).begin();
  const std::map<std::string, std::vector<std::string>> without = {
      {"web-1", {kOn2, kOn3}}, {"web-2", {kOn1, kOn3}}, {"web-3", {kOn1, kOn2}}};
  put(cluster, "web", 1, without.at(before.substr(0, 5)), sticky(10800));
  cluster.settle();
  const auto after = ends(cluster, "client", to);
  EXPECT_EQ(after.size(), 1u);
  EXPECT_NE(*after.begin(), before);
  // It comes back: nobody moves. And a restart forgets nothing.
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.settle();
  EXPECT_EQ(ends(cluster, "client", to), after);
  cluster.stop_proxy();
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  EXPECT_EQ(ends(cluster, "client", to), after);
  // Forgotten while no proxy ran.
  cluster.stop_proxy();
  cluster.start_proxy();
  put(cluster, "web", 1, without.at(after.begin()->substr(0, 5)), sticky(10800));
  cluster.sink().start();
  cluster.settle();
  EXPECT_TRUE(
      cluster.run_until([&] { return *ends(cluster, "client", to).begin() != *after.begin(); }));
}

// Thousands of clients, some of whom time out while they are being forgotten: their neighbours wait
// for another look.
TEST(Row15_Affinity, AllClientsOfAnEndpointThatLeavesAreForgotten) {
  constexpr int kClients = 6000;
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  const auto remembered = [&](const std::string& endpoint) {
    const std::string text = cluster.list_ruleset();
    size_t count = 0;
    for (size_t at = 0; (at = text.find(" : " + endpoint + " . 8080", at)) != std::string::npos;
         ++at)
      count += text.rfind("timeout", at) > text.rfind('\n', at);
    return count;
  };
  const std::string map = cluster.list_ruleset().substr(cluster.list_ruleset().find("aff_"), 20);
  for (int network = 0; network < kClients / 250; ++network) {
    std::string clients;
    for (int i = 0; i < 250; ++i)
      clients += "172.16." + std::to_string(network) + "." + std::to_string(i) + " . tcp timeout " +
                 (i % 100 == 0 ? "2s" : "1h") + " : 10.244." + (i % 10 == 1 ? "3" : "2") +
                 ".2 . 8080, ";
    cluster.at("node").must("nft 'add element ip fairlead " + map + " {" + clients + "}'");
  }
  EXPECT_GT(remembered("10.244.2.2"), 5000u);
  const size_t others = remembered("10.244.3.2");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // some are about to go
  put(cluster, "web", 1, {kOn2}, sticky(10800));
  cluster.settle();
  EXPECT_TRUE(cluster.run_until([&] { return remembered("10.244.2.2") == 0; }));
  EXPECT_EQ(remembered("10.244.3.2"), others);
}

// As the kernel plane has it; whom nobody knows goes by a hash there.
TEST(Row15_Affinity, AnEndpointThatComesBackIsNotRemembered_Relayed) {
  Cluster cluster;
  cluster.relay = true;
  cluster.start_proxy();
  const auto put_all = [&](const std::vector<std::string>& endpoints) {
    put(cluster, "web", 1, endpoints, sticky(10800));
    cluster.settle();
  };
  cluster.sink().start();
  put_all({kOn1, kOn2, kOn3});
  const std::string to = "10.96.0.1:80";
  const std::string hashed = cluster.tcp("client", to).reached;
  const std::string other = hashed == "web-1" ? kOn2 : kOn1;
  put_all({other});
  const std::string place = cluster.tcp("client", to).reached;
  ASSERT_NE(place, hashed);
  put_all({kOn1, kOn2, kOn3});
  EXPECT_EQ(cluster.tcp("client", to).reached, place) << "it stays where it was";
  put_all(other == kOn1 ? std::vector<std::string>{kOn2, kOn3}
                        : std::vector<std::string>{kOn1, kOn3});
  put_all({kOn1, kOn2, kOn3});
  EXPECT_EQ(cluster.tcp("client", to).reached, hashed);
}

// The shorter one holds for who has been there before.
TEST_P(Row15, AnEditedTimeoutSendsASourceElsewhere) {
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  EXPECT_EQ(ends(cluster, "client", "10.96.0.1:80").size(), 1u);
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(1));
  cluster.settle();
  std::set<std::string> seen;
  for (int i = 0; i < 20 && seen.size() < 2; ++i) {
    seen.insert(cluster.tcp("client", "10.96.0.1:80").reached);
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  }
  EXPECT_GT(seen.size(), 1u);
}

TEST(Row15_Affinity, TimesOutAndAnEditedTimeoutActs) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(10800));
  cluster.sink().start();
  cluster.settle();
  ends(cluster, "client", "10.96.0.1:80");
  EXPECT_NE(cluster.list_ruleset().find("10.244.1.2 . tcp"), std::string::npos);
  put(cluster, "web", 1, {kOn1, kOn2, kOn3}, sticky(1));
  cluster.settle();
  ends(cluster, "client", "10.96.0.1:80");
  EXPECT_TRUE(cluster.run_until(
      [&] { return cluster.list_ruleset().find("10.244.1.2 . tcp") == std::string::npos; }));
}

TEST_P(Row15, KeepsToTheTrafficPolicy) {
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn3}, sticky(10800, kExternalLocal));
  cluster.sink().start();
  cluster.settle();
  // From outside to the cluster IP: perhaps web-3; to the balancer's address: never.
  for (int i = 0; i < 3; ++i) {
    ends(cluster, "outside", "10.96.0.1:80");
    for (const std::string& end : ends(cluster, "outside", "198.51.100.1:80"))
      EXPECT_EQ(end, "web-1 sees 192.0.2.2");
  }
  EXPECT_EQ(ends(cluster, "client", "198.51.100.1:80").size(), 1u);
}

// Written by us, read by Debian's nft; and by nft -f what nft 1.0.6 can load, which IPv6 maps
// learnt from packets are not.
TEST(Row15_Affinity, DebiansNftListsIt) {
  Cluster cluster;
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1, kOn3}, sticky(10800, [](kube::Service& s) {
        kExternalLocal(s);
        s.load_balancer_source_ranges = {cidr("192.0.2.0/24"), cidr("2001:db8::/32")};
      }));
  cluster.sink().start();
  cluster.settle();
  ends(cluster, "outside", "198.51.100.1:80");
  ends(cluster, "outside", "[2001:db8:ff::1]:80");
  for (const char* family : {"ip", "ip6"}) {
    const std::string text =
        cluster.at("node").must(std::string("nft list table ") + family + " fairlead");
    EXPECT_NE(text.find(std::string("update @aff_")), std::string::npos) << text;
    EXPECT_NE(text.find(std::string("ct original ") + family + " daddr . meta l4proto"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(std::string(family) + " saddr . meta l4proto map @aff_"), std::string::npos)
        << text;
  }
  const std::string saved = cluster.at("node").must("nft list table ip fairlead");
  cluster.stop_proxy();
  const auto inside = cluster.at("node").enter();
  EXPECT_EQ(fairlead::test::run_command({"nft", "flush", "ruleset"}).status, 0);
  const auto loaded = fairlead::test::run_command({"nft", "-f", "-"}, saved);
  EXPECT_EQ(loaded.status, 0) << loaded.errors << saved;
}

}  // namespace
}  // namespace fairlead::proxy
