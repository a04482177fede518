// SPDX-License-Identifier: Apache-2.0
// Changes, restarts and other people's hands: whatever happened, the kernel ends up with what a
// fresh start would have written, and connections that need no change do not notice.
#include <gtest/gtest.h>

#include <algorithm>

#include "netlink/nftables/transaction.h"
#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/rows.h"
#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

using namespace test;

// One more address of the node comes or goes, and with it its node ports.
void toggle_address(Cluster& cluster) {
  const auto has = [&] {
    const auto& ours = cluster.proxy().programmer(Family::kIpv4).programmed().parameters();
    return std::find(ours.node_addresses.begin(), ours.node_addresses.end(), ip("192.0.2.50")) !=
           ours.node_addresses.end();
  };
  const bool had = has();
  cluster.at("node").must(std::string("ip address ") + (had ? "del" : "add") +
                          " 192.0.2.50/32 dev veth0");
  EXPECT_TRUE(cluster.run_until([&] { return has() != had; }));
}

TEST(Changes, EveryRandomStepLeavesWhatAFreshStartWouldWriteAndDisturbsNobody) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  RandomChanges changes(cluster.proxy(), fairlead::test::random_seed());
  Traffic v4(cluster, "client", "10.96.0.1:80");
  Traffic v6(cluster, "client", "[fd00:96::1]:80");
  for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) {
    changes.change();
    if (step % 3 == 0) changes.change();  // two at once
    if (step % 20 == 10) toggle_address(cluster);
    cluster.settle();
    expect_settled(cluster, "step " + std::to_string(step));
  }
  expect_undisturbed(v4);
  expect_undisturbed(v6);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(cluster.proxy().programmer(family).status().readings, 1u)
        << "listed again without need";
    EXPECT_EQ(cluster.proxy().programmer(family).status().failures, 0u);
  }
}

// The same where Services go over to the stream proxy and come back, the one with traffic too.
TEST(Changes, ServicesThatAskToBeRelayedAndNoMoreDisturbNobody) {
  Cluster cluster;
  cluster.opt_in = true;
  cluster.start_proxy();
  put_web(cluster.sink());
  cluster.sink().start();
  cluster.settle();
  RandomChanges changes(cluster.sink(), fairlead::test::random_seed());
  Traffic v4(cluster, "client", "10.96.0.1:80");
  Traffic v6(cluster, "client", "[fd00:96::1]:80");
  UdpFlow flow(cluster, "client", "10.96.0.1:80");
  bool relayed = false;
  for (int step = 0; step < 100 && !testing::Test::HasFailure(); ++step) {
    changes.change();
    if (step % 20 == 10) toggle_address(cluster);
    if (step % 4 == 0) ask_web(cluster.sink(), relayed = !relayed);
    cluster.settle();
    expect_settled(cluster, "step " + std::to_string(step));
    EXPECT_EQ(cluster.proxy().services().relay(tcp("10.96.0.1", 80)).has_value(), relayed);
  }
  expect_undisturbed(v4);
  expect_undisturbed(v6);
  expect_undisturbed(flow);
}

TEST(Changes, UnusedChainsGo) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  EXPECT_NE(cluster.list_ruleset().find("chain sel_3"), std::string::npos);
  cluster.proxy().put(slice("web", {"10.244.2.2"}, {"p 8080"}));
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.proxy().programmer(Family::kIpv4).programmed().choice_chains().size() == 2;
  }));
  cluster.settle();
  EXPECT_EQ(cluster.list_ruleset().find("chain sel_3"), std::string::npos);
}

std::vector<std::string> endpoints_of(int count) {
  std::vector<std::string> result;
  for (int i = 0; i < count; ++i) result.push_back("10.244.9." + std::to_string(10 + i));
  return result;
}

// The kernel walks through all Services where one's own element changes; that waits, and is done
// for many at once.
TEST(Changes, AServiceIsServedAtOnceAndMovesToTheChainOfItsCountLater) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  for (const char* address : {"7", "8"}) {
    const std::string name = std::string("s") + address;
    cluster.proxy().put(service(name, {"10.96.0." + name.substr(1)}, {"p 80/TCP"}));
    cluster.proxy().put(slice(name, endpoints_of(10), {"p 8080"}));
  }
  cluster.proxy().start();
  cluster.settle();
  const Programmer& programmer = cluster.proxy().programmer(Family::kIpv4);
  const auto chain_of = [&](const char* address) {
    return programmer.programmed().find(tcp(address, 80))->choice->name();
  };
  EXPECT_EQ(chain_of("10.96.0.7"), "sel_12");
  const uint64_t before = programmer.status().commits;
  for (const char* name : {"s7", "s8"})
    cluster.proxy().put(slice(name, endpoints_of(12), {"p 8080"}));
  std::string then;  // when the kernel had first acknowledged
  EXPECT_TRUE(cluster.run_until([&] {
    if (programmer.status().commits == before || !programmer.idle()) return false;
    then = chain_of("10.96.0.7") + " " + chain_of("10.96.0.8");
    return true;
  }));
  EXPECT_EQ(then, "sel_12 sel_12");
  expect_settled(cluster, "served");
  const uint64_t served = programmer.status().commits;
  EXPECT_TRUE(cluster.run_until([&] { return programmer.tidy(); }));
  EXPECT_EQ(chain_of("10.96.0.7"), "sel_14");
  EXPECT_EQ(chain_of("10.96.0.8"), "sel_14");
  EXPECT_EQ(programmer.status().commits, served + 2)
      << "one moves both, one removes what they left";
  EXPECT_EQ(cluster.list_ruleset().find("sel_12"), std::string::npos);
  const Family family = Family::kIpv4;
  EXPECT_EQ(cluster.kernel_state(family, Fit::kAsItIs), cluster.wanted_state(family));
}

// Changes that never end do not keep anything from being cleaned up.
TEST(Changes, AServiceMovesAndAnUnusedChainGoesWhileOthersChange) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().put(service("s7", {"10.96.0.7"}, {"p 80/TCP"}));
  cluster.proxy().put(slice("s7", endpoints_of(10), {"p 8080"}));
  cluster.proxy().put(service("busy", {"10.96.0.8"}, {"p 80/TCP"}));
  cluster.proxy().start();
  cluster.settle();
  cluster.proxy().put(slice("s7", endpoints_of(12), {"p 8080"}));
  const Programmer& programmer = cluster.proxy().programmer(Family::kIpv4);
  const auto gone = [&] {
    const auto& chains = programmer.programmed().choice_chains();
    return std::none_of(chains.begin(), chains.end(),
                        [](const auto& chain) { return chain.first.name() == "sel_12"; });
  };
  uint64_t commits = 0;
  int last = 0;
  EXPECT_TRUE(cluster.run_until([&] {
    if (std::exchange(commits, programmer.status().commits) != programmer.status().commits)
      cluster.proxy().put(
          slice("busy", {"10.244.9." + std::to_string(10 + (last = 1 - last))}, {"p 8080"}));
    return gone();
  }));
}

// The API server does not tell of the Node for now: what the process before knew of it holds.
TEST(Row30_Restart, TakesNoNodePortAwayWhileTheNodeIsNotKnown) {
  Cluster cluster;
  const auto primary = [](Config& config) { config.node_port_cidrs.reset(); };
  kube::Node node;
  node.internal_ips = {ip("192.0.2.1"), ip("2001:db8::1")};
  cluster.start_proxy(primary);
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.proxy().set_node(node);
  cluster.proxy().start();
  cluster.settle();
  const std::string before = cluster.list_without_counts();
  EXPECT_EQ(cluster.tcp("outside", "192.0.2.1:30101").reached, "web-1");
  cluster.stop_proxy();
  cluster.start_proxy(primary);
  put(cluster, "web", 1, {kOn1}, kPlain);
  cluster.proxy().start();
  cluster.settle();
  EXPECT_EQ(cluster.list_without_counts(), before);
  EXPECT_EQ(cluster.tcp("outside", "192.0.2.1:30101").reached, "web-1");
  EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).status().commits, 0u);
  // Nor when it is read again and again, for what others have done to it.
  for (int i = 0; i < 3; ++i) {
    cluster.at("node").must("nft flush chain ip fairlead prerouting");
    EXPECT_TRUE(cluster.run_until(
        [&] { return cluster.proxy().idle() && cluster.list_without_counts() == before; }));
  }
  cluster.proxy().set_node(node);
  cluster.settle();
  EXPECT_EQ(cluster.list_without_counts(), before);
  node.internal_ips = {ip("10.244.1.1")};
  cluster.proxy().set_node(node);
  cluster.settle();
  EXPECT_NE(cluster.list_without_counts(), before) << "once it is known it decides";
}

TEST(Row30_Restart, TakesOverWithoutWritingAnything) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  Traffic traffic(cluster, "client", "10.96.0.1:80");
  const std::string before = cluster.list_without_counts();
  for (int i = 0; i < 3; ++i) {
    cluster.stop_proxy();
    cluster.start_proxy();
    put_web(cluster);
    cluster.proxy().start();
    cluster.settle();
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      EXPECT_EQ(cluster.proxy().programmer(family).status().commits, 0u);
      EXPECT_EQ(cluster.proxy().programmer(family).status().readings, 1u);
    }
  }
  EXPECT_EQ(cluster.list_without_counts(), before);
  // And what changed while it was away is made up for.
  cluster.stop_proxy();
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().put(service("other", {"10.96.0.7"}, {"p 80/UDP"}));
  cluster.proxy().put(slice("web", {"10.244.2.2 @node", "10.245.4.2"}, {"p 8080"}));
  cluster.proxy().start();
  cluster.settle();
  expect_settled(cluster, "after a change while away");
  traffic.stop();
  EXPECT_GT(traffic.connections(), 10);
  EXPECT_EQ(traffic.failures(), 0);
}

TEST(Row30_Restart, WithOtherFlagsRewritesRulesInPlace) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  Traffic traffic(cluster, "client", "10.96.0.1:80");
  for (int way = 0; way < 5; ++way) {
    cluster.stop_proxy();
    cluster.start_proxy([&](Config& config) {
      config.masquerade_all = way == 0;
      config.repeat_lookups = way == 3;  // as kernels before 6.17 need it
      if (way == 1) config.service_cidrs.clear();
      if (way == 2 && config.family == Family::kIpv4) config.local_dns = {ip("10.96.0.10")};
    });
    put_web(cluster);
    cluster.proxy().start();
    cluster.settle();
    expect_settled(cluster, "way " + std::to_string(way));
    EXPECT_GT(cluster.proxy().programmer(Family::kIpv4).status().commits, 0u);
    EXPECT_FALSE(cluster.tcp("outside", "192.0.2.1:30080").reached.empty());
    EXPECT_TRUE(cluster.tcp("outside", "192.0.2.1:30081").refused) << "nobody's node port";
  }
  const std::string text = cluster.list_ruleset();
  EXPECT_EQ(text.find("raw_output"), std::string::npos) << text;
  EXPECT_EQ(text.find("local_dns"), std::string::npos) << text;
  traffic.stop();
  EXPECT_EQ(traffic.failures(), 0);
}

// Before, both hooks jumped to one chain, and the counts that have a chain were others.
TEST(Row30_Restart, OverTheRulesOfAnEarlierVersion) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  Traffic traffic(cluster, "client", "10.96.0.1:80");
  cluster.stop_proxy();
  cluster.at("node").run([&] {
    const auto done = fairlead::test::run_command(
        {"nft",
         "add chain ip fairlead services; add chain ip fairlead sel_12;"
         "add rule ip fairlead services ip daddr . meta l4proto . th dport vmap @svc;"
         "flush chain ip fairlead prerouting; flush chain ip fairlead output;"
         "add rule ip fairlead prerouting jump services;"
         "add rule ip fairlead output jump services;"});
    EXPECT_EQ(done.status, 0) << done.errors;
  });
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  expect_settled(cluster, "after the earlier version");
  EXPECT_TRUE(cluster.run_until(
      [&] { return cluster.list_ruleset().find("sel_12") == std::string::npos; }));
  const std::string text = cluster.list_ruleset();
  EXPECT_EQ(text.find("services"), std::string::npos) << text;
  traffic.stop();
  EXPECT_GT(traffic.connections(), 0);
  EXPECT_EQ(traffic.failures(), 0);
}

// What cannot be taken over is replaced in one transaction, where no set can grow.
TEST(Row30_Restart, OverATableOfAnotherShape) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  for (int i = 0; i < 300; ++i) {
    const std::string address =
        "10.96." + std::to_string(1 + i / 250) + "." + std::to_string(i % 250);
    kube::Service made = service("many-" + std::to_string(i), {address}, {"p 80/TCP"});
    made.affinity_timeout_seconds = 60;
    made.ports.front().node_port = static_cast<uint16_t>(31000 + i);
    cluster.proxy().put(made);
    cluster.proxy().put(slice(made.meta.name, {"10.244.2.2 @node"}, {"p 8080"}));
  }
  cluster.at("node").must(
      "nft 'add table ip fairlead; add map ip fairlead svc { type mark : verdict; }'");
  cluster.proxy().start();
  cluster.settle();
  expect_settled(cluster, "after another's table");
  EXPECT_FALSE(cluster.tcp("client", "10.96.1.7:80").reached.empty());
}

const char* const kDamage[] = {
    "flush ruleset",
    "delete table ip fairlead",
    "delete table ip fairlead; add table ip fairlead",
    "flush chain ip fairlead prerouting",
    "flush chain ip fairlead sel_3",
    "delete chain ip fairlead output",
    "flush map ip fairlead svc",
    "flush map ip fairlead ep",
    "flush set ip fairlead vips",
    "delete element ip fairlead ep { 10.96.0.1 . tcp . 80 . 1 }",
    "add element ip fairlead ep { 10.96.0.1 . tcp . 80 . 3 : 192.0.2.2 . 8080 }",
    "add element ip fairlead ep { 10.96.0.1 . tcp . 80 . 9 : 192.0.2.2 . 8080 }",
    "add element ip fairlead svc { 10.96.0.1 . udp . 9 : goto refuse }",
    "add element ip fairlead hairpin { 10.9.9.9 . 10.9.9.9 . tcp . 80 }",
    "insert rule ip fairlead prerouting drop",
    "add chain ip fairlead theirs; add rule ip fairlead prerouting jump theirs",
    "add set ip fairlead theirs { type ipv4_addr; }",
    "delete table ip fairlead; add table ip fairlead; add map ip fairlead svc { type mark : "
    "verdict; }",
};

TEST(Repair, PutsRightWhatOthersChange) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  Duration longest{};
  for (const char* damage : kDamage) {
    SCOPED_TRACE(damage);
    const uint64_t seen = cluster.proxy().programmer(Family::kIpv4).status().foreign_changes;
    cluster.at("node").run([&] {
      const auto done = fairlead::test::run_command({"nft", damage});
      EXPECT_EQ(done.status, 0) << done.errors;
    });
    const MonoTime done = cluster.loop().clock().now();
    const Programmer& programmer = cluster.proxy().programmer(Family::kIpv4);
    EXPECT_TRUE(cluster.run_until(
        [&] { return programmer.status().foreign_changes > seen && programmer.idle(); }));
    longest = std::max(longest, cluster.loop().clock().now() - done);
    cluster.settle();
    expect_settled(cluster, damage);
    EXPECT_EQ(cluster.list_ruleset().find("theirs"), std::string::npos);
    EXPECT_FALSE(cluster.tcp("client", "10.96.0.1:80").reached.empty());
    EXPECT_TRUE(cluster.proxy().check().ok());
  }
  // Reported, not asserted: 100 ms is what an idle machine stays well below.
  RecordProperty("longest_repair_us", static_cast<int>(longest / std::chrono::microseconds(1)));
}

// A table that is loaded anew is not listened to meanwhile. So many services that a thread sends
// them, during which this one comes in between.
TEST(Repair, WhatOthersChangeWhileItIsLoadedIsNoticedAfterwards) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  for (int i = 0; i < 500; ++i) {
    const std::string name = "many-" + std::to_string(i);
    const auto address =
        IpAddress::v4(10, 96, static_cast<uint8_t>(1 + i / 250), static_cast<uint8_t>(i % 250));
    cluster.proxy().put(service(name, {address.to_string()}, {"p 80/TCP"}));
    cluster.proxy().put(slice(name, {"10.244.2.2 @node", "10.245.4.2", "10.245.4.3"}, {"p 8080"}));
  }
  cluster.proxy().start();
  cluster.settle();
  const Programmer& programmer = cluster.proxy().programmer(Family::kIpv4);
  for (const char* change : {"add chain ip fairlead theirs", "flush map ip fairlead ep"}) {
    SCOPED_TRACE(change);
    uint64_t commits = 0;
    const auto loads = [&] {
      return programmer.loading() && programmer.status().commits > commits;
    };
    const auto is_caught = [&] {
      cluster.at("node").must("nft delete table ip fairlead");
      commits = programmer.status().commits;
      const uint64_t changes = programmer.status().foreign_changes;
      EXPECT_TRUE(cluster.run_until([&] {
        return loads() || (programmer.status().foreign_changes > changes && programmer.idle());
      }));
      return loads();
    };
    // On a busy machine all of it may pass within one turn of the loop.
    bool caught = is_caught();
    for (int tries = 0; !caught && tries < 20; ++tries) caught = is_caught();
    ASSERT_TRUE(caught);
    const Programmer::Status before = programmer.status();
    cluster.at("node").must(std::string("nft ") + change);
    ASSERT_TRUE(cluster.run_until([&] { return programmer.status().readings > before.readings; }));
    cluster.settle();
    if (std::string(change).starts_with("add"))  // missing elements are just written
      EXPECT_GT(programmer.status().foreign_changes, before.foreign_changes) << "it is told of";
    expect_settled(cluster, change);
    EXPECT_EQ(cluster.list_ruleset().find("theirs"), std::string::npos);
    EXPECT_FALSE(cluster.tcp("client", "10.96.0.1:80").reached.empty());
  }
  // And what they change once it is there, by notification.
  const uint64_t seen = programmer.status().foreign_changes;
  cluster.at("node").must("nft add chain ip fairlead theirs");
  EXPECT_TRUE(cluster.run_until([&] { return programmer.status().foreign_changes > seen; }));
  cluster.settle();
  expect_settled(cluster, "afterwards");
}

// ENOBUFS: others change so much that the kernel drops what it has for us, that our table goes.
TEST(Repair, NoticesWhatItCouldNotBeTold) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  netlink::nft::Set set;
  set.table = "theirs";
  set.name = "many";
  set.key = {netlink::nft::DataType::kIpv4Addr};
  const netlink::nft::Table table{netlink::nft::TableFamily::kIp, "theirs", false, "", 0};
  const auto inside = cluster.at("node").enter();
  // A loop of its own: the proxy does not read meanwhile.
  Loop loop;
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  ASSERT_TRUE(connection.ok());
  const auto commit = [&](netlink::nft::Transaction transaction) {
    const auto done = commit_sync(**connection, std::move(transaction), std::chrono::seconds(20));
    ASSERT_TRUE(done.ok()) << done.error().message();
  };
  for (int round = 0; round < 12; ++round) {
    netlink::nft::Transaction fill, remove;
    fill.add(table);
    fill.add(set);
    for (uint32_t i = 0; i < 30000; ++i) {
      netlink::nft::Element element;
      element.key = netlink::nft::Value().concat(
          IpAddress::v4(10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)));
      fill.add_element(set, element);
    }
    remove.remove(table);
    commit(std::move(fill));
    commit(std::move(remove));
  }
  netlink::nft::Transaction ours;
  ours.remove(cluster.proxy().programmer(Family::kIpv4).programmed().table());
  commit(std::move(ours));
  EXPECT_NE(cluster.at("node").must("awk '$2 == 12 { lost += $9 } END { print lost }' "
                                    "/proc/thread-self/net/netlink"),
            "0\n")
      << "nothing was dropped: this tests nothing";
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.proxy().programmer(Family::kIpv4).status().foreign_changes > 0 &&
           cluster.proxy().idle();
  }));
  expect_settled(cluster, "after ENOBUFS");
  EXPECT_FALSE(cluster.tcp("client", "10.96.0.1:80").reached.empty());
}

TEST(Repair, HealthTellsWhenTheTableIsGone) {
  Cluster cluster;
  cluster.start_proxy();
  EXPECT_FALSE(cluster.proxy().check().ok()) << "nothing is known yet";
  put_web(cluster);
  cluster.proxy().start();
  EXPECT_FALSE(cluster.proxy().check().ok()) << "nothing is programmed yet";
  cluster.settle();
  EXPECT_TRUE(cluster.proxy().check().ok());
  cluster.at("node").must("nft delete table ip fairlead");
  EXPECT_FALSE(cluster.proxy().check().ok()) << "the kernel is asked, not our memory";
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.proxy().idle() && cluster.proxy().check().ok();
  })) << "repaired";
  cluster.at("node").must("nft flush chain ip fairlead output");
  const Result<void> flushed = cluster.proxy().check();
  ASSERT_FALSE(flushed.ok());
  EXPECT_NE(flushed.error().message().find("chain output has no rules"), std::string::npos);
}

// ENFILE: the set is full although we know of room.
TEST(Repair, AFullSetIsReadAgain) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  std::string fill = "add element ip fairlead vips { ";
  for (int i = 0; i < 1023; ++i)
    fill +=
        (i ? ", " : "") +
        IpAddress::v4(172, 16, static_cast<uint8_t>(i / 256), static_cast<uint8_t>(i)).to_string();
  cluster.at("node").run([&] {
    EXPECT_EQ(fairlead::test::run_command({"nft", "-f", "-"}, fill + " }").status, 0);
  });
  // Before the loop can hear of it.
  cluster.proxy().put(service("other", {"10.96.0.7"}, {"p 80/TCP"}));
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.proxy().programmer(Family::kIpv4).status().failures > 0 &&
           cluster.proxy().idle();
  }));
  expect_settled(cluster, "after ENFILE");
  EXPECT_EQ(cluster.tcp("client", "10.96.0.7:80").to_string(), "refused");
}

}  // namespace
}  // namespace fairlead::proxy
