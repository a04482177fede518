// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/packet_case.h"

#include <gtest/gtest.h>

namespace fairlead::proxy::test {

namespace {

bool is_not_ours(const PacketCase& c) {
  return std::string(c.what).find("not ours") != std::string::npos;
}

void check_one(Cluster& cluster, const PacketCase& c, const std::string& to, bool tcp) {
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

// The link of the node behind which that host is; from the node itself none.
std::string link_of(const std::string& host) {
  static const std::map<std::string, std::string> kLinks = {
      {"node", ""},       {"outside", "veth0"}, {"client", "veth1"},
      {"web-1", "veth2"}, {"web-2", "veth3"},   {"web-3", "veth4"}};
  return kLinks.at(host);
}

void trace_one(Cluster& cluster, const PacketCase& c, const std::string& text, bool tcp) {
  static const std::map<std::string, std::string> kNames = {
      {"10.244.2.2", "web-1"},    {"10.244.3.2", "web-2"},    {"10.245.4.2", "web-3"},
      {"fd00:244:2::2", "web-1"}, {"fd00:244:3::2", "web-2"}, {"fd00:244:4::2", "web-3"}};
  SCOPED_TRACE(std::string("trace: ") + c.what + " to " + text);
  const SocketAddress to = SocketAddress::parse(text).value();
  const Family family = to.address.family();
  const Fate fate =
      trace(cluster.proxy().programmer(family).programmed(),
            {ip(cluster.address(c.from, family)), to.address, tcp ? Protocol::kTcp : Protocol::kUdp,
             to.port, std::string(c.from) == "node", link_of(c.from)});
  if (c.ends_at == kDropped) {
    // By the rules, or, where endpoints elsewhere are for pods alone, by the relay's socket.
    const bool for_pods = std::string(c.what).find("endpoints elsewhere") != std::string::npos;
    if (fate.kind != Fate::Kind::kBalanced || !cluster.relay || !for_pods)
      EXPECT_EQ(fate.kind, Fate::Kind::kDropped);
  } else if (fate.kind == Fate::Kind::kPassed) {
    EXPECT_TRUE(is_not_ours(c));
  } else if (c.ends_at == kRefused) {
    EXPECT_EQ(fate.kind, Fate::Kind::kRefused);
  } else {
    std::set<std::string> ends;
    for (const Fate::End& end : fate.ends) {
      if (cluster.relay) {
        EXPECT_FALSE(end.masqueraded);
        EXPECT_EQ(kNames.count(end.to.address.to_string()), 0u) << "of a socket of the node";
        return;
      }
      ends.insert(kNames.at(end.to.address.to_string()));
      EXPECT_EQ(end.masqueraded, c.source == Source::kMasqueraded);
    }
    EXPECT_EQ(ends, c.ends_at);
  }
}

}  // namespace

void check_packets(Cluster& cluster, const PacketCase& c, bool tcp) {
  for (const std::string to : {c.to4, c.to6}) {
    if (to.empty()) continue;
    if (cluster.has_proxy()) trace_one(cluster, c, to, tcp);
    check_one(cluster, c, to, tcp);
  }
}

void check_both(Cluster& cluster, const PacketCase& c) {
  check_packets(cluster, c, true);
  if (c.ends_at != kDropped) check_packets(cluster, c, false);
}

}  // namespace fairlead::proxy::test
