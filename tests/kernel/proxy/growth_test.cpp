// SPDX-License-Identifier: Apache-2.0
// Sets that grow and tables that go, under the packets that are on their way through them.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <deque>
#include <set>

#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy {
namespace {

using namespace test;

// What the kernel says that goes with the next commit.
std::set<std::string> removed_by_a_commit(Cluster& cluster, std::deque<uint8_t>& told) {
  std::set<std::string> result;
  EXPECT_TRUE(cluster.run_until(
      [&] { return std::find(told.begin(), told.end(), NFT_MSG_NEWGEN) != told.end(); }));
  for (; !told.empty() && told.front() != NFT_MSG_NEWGEN; told.pop_front()) {
    if (told.front() == NFT_MSG_DELCHAIN) result.insert("chain");
    if (told.front() == NFT_MSG_DELSET) result.insert("set");
    if (told.front() == NFT_MSG_DELTABLE) result.insert("table");
  }
  if (!told.empty()) told.pop_front();
  return result;
}

// A packet on its way through the table would find its maps empty, and its addresses not.
TEST(CleanUp, TakesTheHooksBeforeTheTables) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  cluster.stop_proxy();
  const auto inside = cluster.at("node").enter();
  auto listener = netlink::Connection::open(cluster.loop(), netlink::Protocol::kNetfilter).value();
  ASSERT_TRUE(listener->subscribe(NFNLGRP_NFTABLES).ok());
  std::deque<uint8_t> told;
  listener->set_on_notification([&](const netlink::MessageView& message) {
    told.push_back(static_cast<uint8_t>(message.type & 0xff));
  });
  ASSERT_TRUE(clean_up(cluster.loop()).ok());
  EXPECT_EQ(removed_by_a_commit(cluster, told), std::set<std::string>{"chain"});
  EXPECT_EQ(removed_by_a_commit(cluster, told), (std::set<std::string>{"chain", "set", "table"}));
  EXPECT_EQ(cluster.list_ruleset(), "");
  EXPECT_TRUE(clean_up(cluster.loop()).ok()) << "nothing is left";
}

void put_idle(Cluster& cluster, int services) {
  for (int s = 0; s < services; ++s)
    cluster.proxy().put(service(
        "s" + std::to_string(s),
        {"10.96." + std::to_string(10 + s / 100) + "." + std::to_string(1 + s % 100)}, {"p 80"}));
}

// Rules in the kernel name the larger map of services.
bool names_the_larger(Cluster& cluster) {
  return cluster.proxy().programmer(Family::kIpv4).programmed().set(SetId::kServices).name ==
             "svc_1" &&
         cluster.at("node").must("nft list chain ip fairlead prerouting").find("@svc_1") !=
             std::string::npos;
}

void start_and_outgrow(Cluster& cluster) {
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  put_idle(cluster, 1200);
  EXPECT_TRUE(cluster.run_until([&] { return names_the_larger(cluster); }));
}

void expect_tidied(Cluster& cluster) {
  const Programmer& programmer = cluster.proxy().programmer(Family::kIpv4);
  EXPECT_TRUE(cluster.run_until([&] { return programmer.tidy(); }));
  const std::string table = cluster.at("node").must("nft list table ip fairlead");
  EXPECT_EQ(table.find("map svc {"), std::string::npos);
  EXPECT_EQ(table.find("set vips {"), std::string::npos);
  expect_settled(cluster, "tidied");
  EXPECT_EQ(programmer.status().failures, 0u);
  EXPECT_EQ(programmer.status().readings, 1u);
}

// A packet that entered before the rules named the larger set still looks up the smaller one.
TEST(Growth, TheSmallerSetStaysForPacketsOnTheirWay) {
  Cluster cluster;
  start_and_outgrow(cluster);
  EXPECT_NE(cluster.at("node").must("nft list map ip fairlead svc").find("10.96.0.1 "),
            std::string::npos);
  expect_tidied(cluster);
}

// The one after it removes what is left, and finds nothing to repair.
TEST(Growth, ARestartWhileTheSmallerSetIsThere) {
  Cluster cluster;
  start_and_outgrow(cluster);
  cluster.stop_proxy();
  cluster.start_proxy();
  put_web(cluster);
  put_idle(cluster, 1200);
  cluster.proxy().start();
  cluster.settle();
  expect_tidied(cluster);
}

// 900 services on 900 addresses, 9,000 endpoints: svc and vips hold 1,024, ep 4,096.
void put_many(Cluster& cluster) {
  for (int s = 0; s < 900; ++s) {
    const std::string name = "s" + std::to_string(s);
    std::vector<std::string> endpoints;
    for (int i = 0; i < 10; ++i)
      endpoints.push_back("10.244." + std::to_string(100 + s / 100) + "." + std::to_string(10 + i));
    cluster.proxy().put(slice(name, endpoints, {"p 8080"}));
    cluster.proxy().put(
        service(name, {"10.96." + std::to_string(10 + s / 100) + "." + std::to_string(1 + s % 100)},
                {"p 80"}));
  }
}

TEST(Growth, SetsDoubleUnderTraffic) {
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  Traffic traffic(cluster, "client", "10.96.0.1:80");
  put_many(cluster);
  cluster.settle();
  expect_settled(cluster, "after growth");
  const Ruleset& ruleset = cluster.proxy().programmer(Family::kIpv4).programmed();
  EXPECT_EQ(ruleset.set(SetId::kEndpoints).name.substr(0, 3), "ep_");
  EXPECT_GE(ruleset.state(SetId::kEndpoints).size, 12000u);
  EXPECT_EQ(ruleset.set(SetId::kServices).name, "svc_1");
  EXPECT_EQ(ruleset.set(SetId::kClusterIps).name, "vips_1");
  traffic.stop();
  EXPECT_EQ(traffic.failures(), 0);
  // A restart finds the grown sets and keeps them.
  cluster.stop_proxy();
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  expect_settled(cluster, "after a restart with fewer services");
  EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).programmed().set(SetId::kServices).name,
            "svc_1");
}

// A hook that the kernel has, by which packets enter meanwhile, names the set that is to go.
TEST(Growth, WhileAHookIsMovedOrMissing) {
  for (const char* change :
       {"f=$(mktemp); nft list chain ip fairlead postrouting | sed 's/srcnat - 1/srcnat/' > $f; "
        "nft 'flush chain ip fairlead postrouting; delete chain ip fairlead postrouting'; "
        "nft -f $f; rm $f",
        "nft 'flush chain ip fairlead postrouting; delete chain ip fairlead postrouting'"}) {
    Cluster cluster;
    cluster.start_proxy();
    put_web(cluster);
    cluster.proxy().start();
    cluster.settle();
    cluster.stop_proxy();
    cluster.at("node").must(change);
    cluster.start_proxy();
    put_web(cluster);
    put_many(cluster);
    cluster.proxy().start();
    cluster.settle();
    expect_settled(cluster, change);
    EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).programmed().set(SetId::kServices).name,
              "svc_1");
    EXPECT_EQ(cluster.proxy().programmer(Family::kIpv4).status().failures, 0u);
  }
}

}  // namespace
}  // namespace fairlead::proxy
