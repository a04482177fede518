// SPDX-License-Identifier: Apache-2.0
// What a packet to a Service meets, with real packets through a real kernel: the table reads as the
// proxy's contract.
#include <gtest/gtest.h>

#include <set>

#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy {
namespace {

using namespace test;

enum class Source { kKept, kMasqueraded };

struct PacketCase {
  const char* what;
  const char* from;
  const char* to4;
  const char* to6;
  std::set<std::string> ends_at;  // exactly these, each at least once; or one of the words below
  Source source = Source::kKept;
};
const std::set<std::string> kRefused = {"refused"};
const std::set<std::string> kDropped = {"dropped"};
const std::set<std::string> kAll = {"web-1", "web-2", "web-3"};

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
    {"node port never on loopback", "node", "127.0.0.1:30080", "[::1]:30080", kRefused},
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
  Proxy& proxy = cluster.proxy();
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

void check(Cluster& cluster, const PacketCase& c, const std::string& to, bool tcp) {
  SCOPED_TRACE(std::string(c.what) + ", " + (tcp ? "TCP" : "UDP") + " from " + c.from + " to " +
               to);
  std::set<std::string> ends;
  const bool answered = c.ends_at != kRefused && c.ends_at != kDropped;
  const Family family = to[0] == '[' ? Family::kIpv6 : Family::kIpv4;
  // Enough that missing one of three ends by chance is a matter of 1 in 10^8.
  const int attempts = !answered ? 1 : c.ends_at.size() == 1 ? 8 : 50;
  for (int i = 0; i < attempts; ++i) {
    const Outcome outcome = tcp ? cluster.tcp(c.from, to) : cluster.udp(c.from, to);
    ends.insert(outcome.reached.empty() ? outcome.to_string() : outcome.reached);
    if (outcome.reached.empty()) continue;
    const bool kept = outcome.source == cluster.address(c.from, family);
    // A node's own packet carries the address of the link it leaves by, masqueraded or not.
    if (std::string(c.from) != "node")
      EXPECT_EQ(kept, c.source == Source::kKept) << outcome.to_string();
  }
  EXPECT_EQ(ends, c.ends_at);
}

class Packets : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, Packets, testing::Values(true, false),
                         [](const auto& p) { return p.param ? "Tcp" : "Udp"; });

TEST_P(Packets, ReachWhatTheTableSays) {
  Cluster cluster;
  cluster.start_proxy();
  put_services(cluster, GetParam() ? "TCP" : "UDP");
  cluster.proxy().start();
  cluster.settle();
  for (const PacketCase& c : kCases) {
    check(cluster, c, c.to4, GetParam());
    check(cluster, c, c.to6, GetParam());
  }
}

// The same cases once more, asked of the tracer about the same ruleset.
TEST(Tracer, SaysTheSame) {
  Cluster cluster;
  cluster.start_proxy();
  put_services(cluster, "TCP");
  cluster.proxy().start();
  cluster.settle();
  const std::map<std::string, std::string> names = {
      {"10.244.2.2", "web-1"},    {"10.244.3.2", "web-2"},    {"10.245.4.2", "web-3"},
      {"fd00:244:2::2", "web-1"}, {"fd00:244:3::2", "web-2"}, {"fd00:244:4::2", "web-3"}};
  for (const PacketCase& c : kCases) {
    for (const char* text : {c.to4, c.to6}) {
      SCOPED_TRACE(std::string(c.what) + " to " + text);
      const SocketAddress to = SocketAddress::parse(text).value();
      const Family family = to.address.family();
      const bool local =
          to.address.to_string().ends_with(".1") || to.address.to_string().ends_with("::1");
      const Fate fate =
          trace(cluster.proxy().programmer(family).programmed(),
                {ip(cluster.address(c.from, family)), to.address, Protocol::kTcp, to.port,
                 local && !to.address.to_string().starts_with("10.96") &&
                     !to.address.to_string().starts_with("fd00:96")});
      if (c.ends_at == kDropped) {
        EXPECT_EQ(fate.kind, Fate::Kind::kDropped);
      } else if (fate.kind == Fate::Kind::kPassed) {
        EXPECT_TRUE(std::string(c.what).find("not ours") != std::string::npos ||
                    std::string(c.what).find("loopback") != std::string::npos);
      } else if (c.ends_at == kRefused) {
        EXPECT_EQ(fate.kind, Fate::Kind::kRefused);
      } else {
        std::set<std::string> ends;
        for (const Fate::End& end : fate.ends) {
          ends.insert(names.at(end.backend.address.to_string()));
          EXPECT_EQ(end.masqueraded, c.source == Source::kMasqueraded);
        }
        EXPECT_EQ(ends, c.ends_at);
      }
    }
  }
}

TEST(Ruleset, DebiansNftPrintsOurText) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) {
    config.local_dns = {config.family == Family::kIpv4 ? ip("10.96.0.10") : ip("fd00:96::a")};
  });
  put_services(cluster, "SCTP");
  cluster.http().status = 200;
  cluster.proxy().start();
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
