// SPDX-License-Identifier: Apache-2.0
// What a packet to a Service meets, with real packets through a real kernel: the table reads as the
// proxy's contract.
#include <gtest/gtest.h>

#include "tests/kernel/proxy/packet_case.h"

namespace fairlead::proxy {
namespace {

using namespace test;

// Services: web (port 80, node port 30080) has web-1 and web-2 on this node, web-3 elsewhere; solo
// has web-1 alone; empty (port 80, node port 30081) has no endpoint.
const PacketCase kCases[] = {
    {"pod to cluster IP", "client", "10.96.0.1:80", "[fd00:96::1]:80", kAll},
    {"outside to cluster IP", "outside", "10.96.0.1:80", "[fd00:96::1]:80", kAll,
     Source::kMasqueraded},
    {"node to cluster IP", "node", "10.96.0.1:80", "[fd00:96::1]:80", kAll, Source::kMasqueraded},
    {"one endpoint", "client", "10.96.0.2:80", "[fd00:96::2]:80", {"web-1"}},
    {"hairpin: a pod to itself",
     "web-1",
     "10.96.0.2:80",
     "[fd00:96::2]:80",
     {"web-1"},
     Source::kMasqueraded},
    {"no endpoints", "client", "10.96.0.3:80", "[fd00:96::3]:80", kRefused},
    {"no endpoints, from the node", "node", "10.96.0.3:80", "[fd00:96::3]:80", kRefused},
    {"undefined port", "client", "10.96.0.1:81", "[fd00:96::1]:81", kRefused},
    {"unallocated address", "client", "10.96.0.99:80", "[fd00:96::99]:80", kDropped},
    {"node port from outside", "outside", "192.0.2.1:30080", "[2001:db8::1]:30080", kAll,
     Source::kMasqueraded},
    {"node port from a pod", "client", "10.244.1.1:30080", "[fd00:244:1::1]:30080", kAll,
     Source::kMasqueraded},
    {"node port from the node", "node", "192.0.2.1:30080", "[2001:db8::1]:30080", kAll,
     Source::kMasqueraded},
    {"node port without endpoints", "outside", "192.0.2.1:30081", "[2001:db8::1]:30081", kRefused},
    {"not ours: a pod's own address",
     "client",
     "10.244.2.2:8080",
     "[fd00:244:2::2]:8080",
     {"web-1"}},
};

void put_services(Cluster& cluster, const std::string& protocol) {
  const auto port = [&](const std::string& numbers) {
    const size_t space = numbers.find(' ');
    return "p " + numbers.substr(0, space) + "/" + protocol +
           (space == std::string::npos ? "" : numbers.substr(space));
  };
  ObjectSink& proxy = cluster.sink();
  proxy.put(service("web", {"10.96.0.1", "fd00:96::1"}, {port("80 30080")}));
  proxy.put(service("solo", {"10.96.0.2", "fd00:96::2"}, {port("80")}));
  proxy.put(service("empty", {"10.96.0.3", "fd00:96::3"}, {port("80 30081")}));
  proxy.put(
      slice("web", {"10.244.2.2 @node", "10.244.3.2 @node", "10.245.4.2 @other"}, {port("8080")}));
  proxy.put(slice("web", {"fd00:244:2::2 @node", "fd00:244:3::2 @node", "fd00:244:4::2 @other"},
                  {port("8080")}));
  proxy.put(slice("solo", {"10.244.2.2 @node"}, {port("8080")}));
  proxy.put(slice("solo", {"fd00:244:2::2 @node"}, {port("8080")}));
}

class Packets : public testing::TestWithParam<std::tuple<bool, bool>> {};
INSTANTIATE_TEST_SUITE_P(, Packets, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& p) {
                           return std::string(std::get<0>(p.param) ? "Tcp" : "Udp") +
                                  (std::get<1>(p.param) ? "_Relayed" : "");
                         });

TEST_P(Packets, ReachWhatTheTableSays) {
  const auto& [tcp, relayed] = GetParam();
  Cluster cluster;
  cluster.relay = relayed;
  cluster.start_proxy();
  put_services(cluster, tcp ? "TCP" : "UDP");
  cluster.sink().start();
  cluster.settle();
  for (const PacketCase& c : kCases) check_packets(cluster, c, tcp);
}

TEST(Ruleset, DebiansNftPrintsOurText) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) {
    config.local_dns = {config.family == Family::kIpv4 ? ip("10.96.0.10") : ip("fd00:96::a")};
  });
  put_services(cluster, "SCTP");
  cluster.http().status = 200;
  cluster.sink().start();
  ASSERT_TRUE(cluster.run_until([&] {
    return cluster.proxy().idle() && cluster.proxy()
                                         .programmer(Family::kIpv6)
                                         .programmed()
                                         .has_local_dns(udp("fd00:96::a", 53));
  }));
  cluster.settle();
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const Ruleset& ruleset = cluster.proxy().programmer(family).programmed();
    const std::string name = family == Family::kIpv4 ? "ip" : "ip6";
    // Elements come in the order of a hash, and chains in that of their making: compare as lines.
    const auto lines = [](const std::string& text) {
      std::multiset<std::string> result;
      std::string line;
      for (const char c : text) {
        if (c == '\t' || c == ' ') {
          if (!line.empty() && line.back() != ' ') line += ' ';
        } else if (c == '\n' || c == ',') {
          while (!line.empty() && line.back() == ' ') line.pop_back();
          if (line.ends_with(" }")) line.resize(line.size() - 2);
          if (line.starts_with("elements = { ")) line.erase(0, 13);
          if (!line.empty()) result.insert(line);
          line.clear();
        } else {
          line += c;
        }
      }
      return result;
    };
    const std::string printed = cluster.at("node").must("nft list table " + name + " fairlead");
    EXPECT_EQ(lines(printed), lines(ruleset.text())) << printed << "\nours:\n" << ruleset.text();
  }
  // And reads it again: what is listed loads.
  const std::string saved = cluster.list_ruleset();
  cluster.stop_proxy();
  const auto inside = cluster.at("node").enter();
  EXPECT_EQ(fairlead::test::run_command({"nft", "flush", "ruleset"}).status, 0);
  const auto loaded = fairlead::test::run_command({"nft", "-f", "-"}, saved);
  EXPECT_EQ(loaded.status, 0) << loaded.errors;
}

}  // namespace
}  // namespace fairlead::proxy
