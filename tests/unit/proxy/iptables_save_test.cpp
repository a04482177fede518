// SPDX-License-Identifier: Apache-2.0
// iptables-save text as kube-proxy's iptables mode leaves it: what is read, what is refused and
// where, and what becomes of packets.
#include "proxy/iptables_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/proxy/iptables_text.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;

Packet packet(const std::string& from, const std::string& to, uint16_t port,
              Protocol protocol = Protocol::kTcp) {
  Packet packet{ip(from), ip(to), protocol, port};
  packet.interface = "veth1";
  packet.local = {ip("192.0.2.1")};
  if (from == "192.0.2.1") {
    packet.interface.clear();
    packet.source_is_local = true;
  }
  return packet;
}

std::string fate_text(const Tracer::Result& result) {
  std::string text;
  for (const Fate& fate : result.fates) text += (text.empty() ? "" : " or ") + fate.to_string();
  return text + (result.unknown.empty() ? "" : " (unknown: " + result.unknown + ")");
}

struct PacketCase {
  const char* what;
  const char* from;
  const char* to;
  uint16_t port;
  const char* fate;
};
const PacketCase kPackets[] = {
    {"a pod to a cluster IP", "10.244.1.2", "10.96.0.1", 80,
     "balanced to 10.244.2.2:8080, 10.244.3.2:8080"},
    {"somebody else to a cluster IP", "198.51.100.7", "10.96.0.1", 80,
     "balanced to 10.244.2.2:8080 (masqueraded), 10.244.3.2:8080 (masqueraded)"},
    {"an endpoint to itself", "10.244.2.2", "10.96.0.1", 80,
     "balanced to 10.244.2.2:8080 (masqueraded), 10.244.3.2:8080"},
    {"another port", "10.244.1.2", "10.96.0.1", 81, "passed"},
    {"a node port", "198.51.100.7", "192.0.2.1", 30080,
     "balanced to 10.244.2.2:8080 (masqueraded), 10.244.3.2:8080 (masqueraded)"},
    {"the same number elsewhere", "198.51.100.7", "192.0.2.9", 30080, "passed"},
    {"a balancer, source in range", "198.51.100.7", "203.0.113.10", 80,
     "balanced to 10.244.2.2:8080 (masqueraded)"},
    {"a balancer, source out of range", "192.0.2.200", "203.0.113.10", 80, "dropped"},
    {"Local, from outside", "198.51.100.7", "203.0.113.11", 80, "balanced to 10.244.2.2:8080"},
    {"Local, from a pod", "10.244.1.2", "203.0.113.11", 80,
     "balanced to 10.244.2.2:8080, 10.244.3.2:8080"},
    {"Local, from this node", "192.0.2.1", "203.0.113.11", 80,
     "balanced to 10.244.2.2:8080 (masqueraded), 10.244.3.2:8080 (masqueraded)"},
    {"affinity, never seen", "10.244.1.2", "10.96.0.4", 80,
     "balanced to 10.244.2.2:8080, 10.244.3.2:8080"},
    {"no endpoints", "10.244.1.2", "10.96.0.5", 80, "refused"},
    {"no endpoints, node port", "198.51.100.7", "192.0.2.1", 30084, "refused"},
    {"no endpoints, from this node", "192.0.2.1", "10.96.0.5", 80, "refused"},
    {"nobody's", "10.244.1.2", "10.97.0.5", 80, "passed"},
};

TEST(IptablesTrace, DecidesAsTheRulesSay) {
  const auto families = parse_iptables_save(kIptablesSave);
  ASSERT_TRUE(families.ok()) << families.error().message();
  for (const PacketCase& c : kPackets)
    EXPECT_EQ(fate_text(trace(families->at(Family::kIpv4), packet(c.from, c.to, c.port))), c.fate)
        << c.what;
  EXPECT_EQ(families->size(), 1u);
  EXPECT_EQ(fate_text(trace(families->at(Family::kIpv4),
                            packet("10.244.1.2", "10.96.0.1", 80, Protocol::kUdp))),
            "passed");
}

TEST(IptablesTrace, KnowsTheFrontends) {
  const auto families = parse_iptables_save(kIptablesSave);
  ASSERT_TRUE(families.ok());
  EXPECT_THAT(frontends_of(families->at(Family::kIpv4), Family::kIpv4),
              testing::UnorderedElementsAre(
                  tcp("10.96.0.1", 80), tcp("10.96.0.2", 80), tcp("10.96.0.3", 80),
                  tcp("10.96.0.4", 80), tcp("10.96.0.5", 80), tcp("203.0.113.10", 80),
                  tcp("203.0.113.11", 80), Frontend::node(Family::kIpv4, Protocol::kTcp, 30080),
                  Frontend::node(Family::kIpv4, Protocol::kTcp, 30084)));
}

std::string table(const std::string& rules) {
  return "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-X - [0:0]\n"
         "-A PREROUTING -j KUBE-SERVICES\n" +
         rules + "COMMIT\n";
}

struct RuleCase {
  const char* rules;  // of KUBE-SERVICES, for 10.244.1.2 to 10.96.0.1:80 on veth1
  const char* fate;
};
constexpr const char* kTo = " -j DNAT --to-destination 10.1.1.1:1\n";
const RuleCase kRules[] = {
    {"-A KUBE-SERVICES -j DNAT --to-destination 10.1.1.1", "balanced to 10.1.1.1:80"},
    {"-A KUBE-SERVICES -i veth+ -j DROP", "dropped"},
    {"-A KUBE-SERVICES ! -i veth+ -j DROP", "passed"},
    {"-A KUBE-SERVICES ! -i eth0 -j DROP", "dropped"},
    {"-A KUBE-SERVICES -p 6 --dport 79:80 -j DROP", "dropped"},
    {"-A KUBE-SERVICES -p udp -j DROP", "passed"},
    {"-A KUBE-SERVICES ! -p udp -j DROP", "dropped"},
    {"-A KUBE-SERVICES -p all -s 10.244.0.0/16 -j DROP", "dropped"},
    {"-A KUBE-SERVICES ! -d 10.96.0.1 -j DROP", "passed"},
    {"-A KUBE-SERVICES -m mark --mark 0x1 -j DROP", "passed"},
    {"-A KUBE-SERVICES -m mark ! --mark 0x1/0x1 -j DROP", "dropped"},
    {"-A KUBE-SERVICES -j MARK --set-xmark 0x5/0xf\n-A KUBE-SERVICES -m mark --mark 5 -j DROP",
     "dropped"},
    {"-A KUBE-SERVICES -j MARK --set-mark 7\n-A KUBE-SERVICES -j MARK --and-mark 0x2\n"
     "-A KUBE-SERVICES -j MARK --or-mark 0x8\n-A KUBE-SERVICES -j MARK --xor-mark 0x2\n"
     "-A KUBE-SERVICES -m mark --mark 0x8/0xffffffff -j DROP",
     "dropped"},
    {"-A KUBE-SERVICES -m statistic --mode random --probability 0.25 -j DROP", "passed or dropped"},
    {"-A KUBE-SERVICES -m statistic --mode random --probability 0.00001 -j DROP",
     "passed or dropped"},
    {"-A KUBE-SERVICES -m statistic --mode random --probability 1.0 -j DROP", "dropped"},
    {"-A KUBE-SERVICES -m statistic --mode random --probability 0 -j DROP", "passed"},
    {"-A KUBE-SERVICES -m statistic --mode nth --every 2 --packet 0 -j DROP", "passed or dropped"},
    {"-A KUBE-SERVICES -m recent --rcheck --seconds 10 --reap --name a --mask 255.255.255.255 "
     "--rsource -j DROP",
     "passed"},
    {"-A KUBE-SERVICES -m recent --set --name a --rsource -j DROP", "dropped"},
    {"-A KUBE-SERVICES -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", "passed"},
    {"-A KUBE-SERVICES -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP", "dropped"},
    {"-A KUBE-SERVICES -m conntrack --ctstate INVALID -m nfacct --nfacct-name x -j DROP", "passed"},
    {"-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j DROP", "passed"},
    {"-A KUBE-SERVICES -m addrtype ! --src-type LOCAL -j DROP", "dropped"},
    {"-A KUBE-SERVICES -m comment --comment \"a \\\"b\\\" -j ACCEPT\" -j DROP", "dropped"},
    {"[3:180] -A KUBE-SERVICES -j DROP", "dropped"},
    {"-A KUBE-SERVICES -j KUBE-X\n-A KUBE-SERVICES -j DROP\n-A KUBE-X -j RETURN", "dropped"},
    {"-A KUBE-SERVICES -g KUBE-X\n-A KUBE-SERVICES -j DROP\n-A KUBE-X -j RETURN", "passed"},
    {"-A KUBE-SERVICES -j KUBE-X\n-A KUBE-SERVICES -j DROP\n-A KUBE-X -j ACCEPT", "passed"},
    {"-A KUBE-SERVICES -j REJECT --reject-with icmp-port-unreachable", "refused"},
    {"-A KUBE-SERVICES -m comment --comment \"counts\"", "passed"},
    {"-A KUBE-SERVICES -m set --match-set s dst -j DROP", "passed (unknown: -m set)"},
    {"-A KUBE-SERVICES -p udp -m set --match-set s dst -j DROP", "passed"},
    {"-A KUBE-SERVICES -m addrtype --dst-type BROADCAST -j DROP",
     "passed (unknown: --dst-type BROADCAST)"},
    {"-A KUBE-SERVICES -j TPROXY --on-port 1", "passed (unknown: --on-port)"},
    {"-A KUBE-SERVICES -j CT", "passed (unknown: -j CT)"},
    {"-A KUBE-SERVICES -j KUBE-NONE", "passed (unknown: chain KUBE-NONE)"},
    {"-A KUBE-SERVICES -j KUBE-SERVICES", "passed (unknown: chain KUBE-SERVICES)"},
    {"-A PREROUTING -m weird --thing -j DROP", "passed"},
};

TEST(IptablesTrace, EveryMatchAndTarget) {
  for (const RuleCase& c : kRules) {
    const auto families = parse_iptables_save(table(std::string(c.rules) + "\n"));
    ASSERT_TRUE(families.ok()) << c.rules << ": " << families.error().message();
    EXPECT_EQ(fate_text(trace(families->at(Family::kIpv4), packet("10.244.1.2", "10.96.0.1", 80))),
              c.fate)
        << c.rules;
  }
}

TEST(IptablesTrace, ChainsThatMultiplyEnd) {
  std::string declared = "*nat\n:PREROUTING ACCEPT\n", rules = "-A PREROUTING -j KUBE-0\n";
  for (int chain = 0; chain < 15; ++chain) {
    declared += ":KUBE-" + std::to_string(chain) + " -\n";
    for (int i = 0; i < 10 && chain < 14; ++i)
      rules += "-A KUBE-" + std::to_string(chain) + " -j KUBE-" + std::to_string(chain + 1) + "\n";
  }
  const auto families = parse_iptables_save(declared + rules + "COMMIT\n");
  ASSERT_TRUE(families.ok()) << families.error().message();
  EXPECT_EQ(trace(families->at(Family::kIpv4), packet("10.244.1.2", "10.96.0.1", 80)).unknown,
            "chains that multiply");
}

TEST(IptablesSave, BothFamiliesInOneText) {
  const std::string v6 =
      "*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d fd00:96::1/128 -p tcp -m tcp --dport 80 "
      "-j DNAT --to-destination [fd00:244::2]:8080\n:PREROUTING ACCEPT\n"
      "-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n";
  for (const std::string name : {"tables-save", "tables-nft-save", "tables-legacy-save"}) {
    const auto both = parse_iptables_save("# Generated by ip" + name + " v1.8.9\n" +
                                          table(std::string("-A KUBE-SERVICES") + kTo) +
                                          "# Generated by ip6" + name + " v1.8.9\n" + v6);
    ASSERT_TRUE(both.ok()) << both.error().message();
    EXPECT_EQ(both->size(), 2u);
    EXPECT_EQ(fate_text(trace(both->at(Family::kIpv6), packet("fd00::9", "fd00:96::1", 80))),
              "balanced to [fd00:244::2]:8080");
  }
  const auto alone = parse_iptables_save(v6);
  ASSERT_TRUE(alone.ok());
  EXPECT_TRUE(alone->contains(Family::kIpv6)) << "by its addresses";
}

struct ErrorCase {
  std::string text;
  const char* error;
};
const ErrorCase kErrors[] = {
    {"", "line 1: there is no table in it"},
    {"hello\n", "line 1: expected *nat"},
    {"*nat\n:KUBE-X - [0:0]\n", "line 2: the text ends before COMMIT"},
    {"*nat\n*filter\n", "line 2: a table begins before COMMIT"},
    {"*nat\nCOMMIT\n*nat\n:A -\nCOMMIT\n*nat\nCOMMIT\n", "line 7: table nat is there twice"},
    {"*nat\n-A KUBE-X -j DROP\n", "line 2: chain KUBE-X is not declared"},
    {"*nat\n-A\n", "line 2: expected -A"},
    {"*nat\n: - [0:0]\n", "line 2: a chain without a name"},
    {"*nat\n[1:2\n", "line 2: counters without an end"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -m comment --comment \"open\n", "line 3: a quote is not closed"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -s here -j DROP\n", "line 3: -s: \"here\" is not understood"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -p tcp --dport 70000 -j DROP\n", "line 3: --dport: \"70000\""},
    {"*nat\n:KUBE-X -\n-A KUBE-X --probability 2 -j DROP\n", "line 3: --probability: \"2\""},
    {"*nat\n:KUBE-X -\n-A KUBE-X -m mark --mark x -j DROP\n", "line 3: --mark: \"x\""},
    {"*nat\n:KUBE-X -\n-A KUBE-X -j MARK --set-xmark 1/y\n", "line 3: --set-xmark: \"1/y\""},
    {"*nat\n:KUBE-X -\n-A KUBE-X -j\n", "line 3: -j needs a value"},
    {"*nat\n:KUBE-X -\n-A KUBE-X !\n", "line 3: nothing follows !"},
    {"*nat\n:KUBE-X -\n-A KUBE-X DROP\n", "line 3: \"DROP\" stands where an option should"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -j DNAT\n", "line 3: DNAT to no destination"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -j DNAT --to-destination x:1\n", "line 3: --to-destination"},
    {"*nat\n:KUBE-X -\n-A KUBE-X -s 10.0.0.1 -d fd00::1 -j DROP\n",
     "line 3: addresses of two IP families"},
};

TEST(IptablesSave, SaysWhereItIsWrong) {
  for (const ErrorCase& c : kErrors) {
    const auto families = parse_iptables_save(c.text);
    ASSERT_FALSE(families.ok()) << c.text;
    EXPECT_THAT(families.error().message(), testing::StartsWith(c.error)) << c.text;
  }
}

}  // namespace
}  // namespace fairlead::proxy
