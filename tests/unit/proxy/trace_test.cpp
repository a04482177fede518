// SPDX-License-Identifier: Apache-2.0
// The tracer on rules that are not ours: everything a rule can say that decides where a packet
// goes.
#include "proxy/trace.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include "netlink/nftables/rule_builder.h"
#include "proxy/trace_command.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using nft::RuleBuilder;
using nft::Verdict;

// A table with hooks named after what they hook, and chain "other".
class Rules {
 public:
  Rules() {
    content_.table.name = "t";
    add("prerouting", nft::ChainType::kNat, NF_INET_PRE_ROUTING);
    add("output", nft::ChainType::kNat, NF_INET_LOCAL_OUT);
    add("forward", nft::ChainType::kFilter, NF_INET_FORWARD);
    add("input", nft::ChainType::kFilter, NF_INET_LOCAL_IN);
    add("postrouting", nft::ChainType::kNat, NF_INET_POST_ROUTING);
    content_.chains.push_back({nft::TableFamily::kIp, "t", "other", std::nullopt, 0});
  }
  static RuleBuilder in(const std::string& chain) {
    return RuleBuilder(nft::TableFamily::kIp, "t", chain);
  }
  Rules& operator<<(const RuleBuilder& rule) {
    content_.rules.push_back(rule.build());
    return *this;
  }
  Rules& set(nft::Set set, std::vector<nft::Element> elements) {
    set.family = nft::TableFamily::kIp;
    set.table = "t";
    content_.sets.push_back(std::move(set));
    content_.elements.push_back(std::move(elements));
    return *this;
  }
  void policy(const std::string& chain, nft::Policy policy) {
    for (nft::Chain& one : content_.chains)
      if (one.name == chain) one.base->policy = policy;
  }
  std::string fate(const Packet& packet) const {
    std::string text;
    for (const Fate& fate : Tracer({content_}).trace(packet).fates)
      text += (text.empty() ? "" : " or ") + fate.to_string();
    return text;
  }
  Tracer::Result trace(const Packet& packet) const {
    return Tracer({content_}).trace(packet, true);
  }

 private:
  void add(const std::string& name, nft::ChainType type, uint32_t hook) {
    content_.chains.push_back({nft::TableFamily::kIp, "t", name, nft::BaseChain{type, hook}, 0});
  }
  nft::TableContent content_;
};

const Packet kForwarded{ip("10.0.0.1"), ip("10.96.0.1"), Protocol::kTcp, 80, false, "eth0"};
const Packet kOwn{ip("10.0.0.9"), ip("10.96.0.1"), Protocol::kTcp, 80, true, ""};
const nft::Selector kDaddr = nft::ip_daddr(Family::kIpv4);

TEST(Tracer, RunsTheHooksOfItsWay) {
  Rules rules;
  rules << Rules::in("output").verdict(Verdict::drop());
  EXPECT_EQ(rules.fate(kForwarded), "passed");
  EXPECT_EQ(rules.fate(kOwn), "dropped");
  Rules input;
  input << Rules::in("input").verdict(Verdict::drop());
  EXPECT_EQ(input.fate(kForwarded), "passed");
  Packet to_node = kForwarded;
  to_node.local = {to_node.destination};
  EXPECT_EQ(input.fate(to_node), "dropped");
}

TEST(Tracer, GotoDoesNotComeBackJumpAndReturnDo) {
  Rules rules;
  rules << Rules::in("prerouting")
               .match(nft::th_dport(), nft::Value::be16(80))
               .verdict(Verdict::jump("other"));
  rules << Rules::in("prerouting").dnat(ip("10.1.1.1"), 1);
  rules << Rules::in("other").match(kDaddr, cidr("10.0.0.0/8")).verdict(Verdict::returns());
  rules << Rules::in("other").verdict(Verdict::drop());
  EXPECT_EQ(rules.fate(kForwarded), "balanced to 10.1.1.1:1");
  Rules gone;
  gone << Rules::in("prerouting").verdict(Verdict::go_to("other"));
  gone << Rules::in("prerouting").dnat(ip("10.1.1.1"), 1);
  EXPECT_EQ(gone.fate(kForwarded), "passed");
}

TEST(Tracer, TranslatesOnceAndLaterHooksSeeTheNewDestination) {
  Rules rules;
  rules << Rules::in("prerouting").dnat(ip("10.1.1.1"), 8080);
  rules << Rules::in("prerouting").verdict(Verdict::drop());
  rules << Rules::in("forward").match(kDaddr, nft::Value::of(ip("10.96.0.1"))).reject();
  rules << Rules::in("postrouting")
               .match_any_bit(nft::ct_status(), 1u << 5)
               .match(nft::th_dport(), nft::Value::be16(8080))
               .match(nft::ct_original_daddr(Family::kIpv4), nft::Value::of(ip("10.96.0.1")))
               .masquerade(true);
  EXPECT_EQ(rules.fate(kForwarded), "balanced to 10.1.1.1:8080 (masqueraded)");
}

TEST(Tracer, FollowsEveryDraw) {
  nft::Set map;
  map.name = "m";
  map.key = {nft::numgen_random(2)};
  map.data = {nft::Field(kDaddr), nft::Field(nft::th_dport())};
  std::vector<nft::Element> elements;
  for (const uint32_t index : {0u, 2u}) {
    nft::Element& element = elements.emplace_back();
    element.key = nft::Value::host32(index);
    element.data =
        nft::Value().concat(IpAddress::v4(10, 1, 1, static_cast<uint8_t>(index))).concat_be16(80);
  }
  Rules rules;
  rules.set(map, elements);
  rules << Rules::in("prerouting").dnat_from_map(Family::kIpv4, {nft::numgen_random(3)}, "m", true);
  rules << Rules::in("prerouting").verdict(Verdict::drop());
  EXPECT_EQ(rules.fate(kForwarded), "balanced to 10.1.1.0:80, 10.1.1.2:80 or dropped");
  const Tracer::Result result = rules.trace(kForwarded);
  ASSERT_EQ(result.steps.size(), 2u);
  EXPECT_EQ(result.steps[0].chain, "ip t prerouting");
  EXPECT_EQ(result.steps[0].effect, "no element, to 10.1.1.0:80, to 10.1.1.2:80");
  EXPECT_EQ(result.steps[1].effect, "drop");
}

TEST(Tracer, IntervalsBeginAtAnElementAndEndBeforeTheNext) {
  nft::Set ranges;
  ranges.name = "r";
  ranges.key = {nft::Field(nft::ip_saddr(Family::kIpv4))};
  ranges.interval = true;
  const auto at = [](const char* address, bool end) {
    nft::Element element;
    element.key = nft::Value::of(ip(address));
    element.interval_end = end;
    return element;
  };
  Rules rules;
  rules.set(ranges, {at("10.0.1.0", true), at("10.0.0.0", false), at("0.0.0.0", true)});
  rules << Rules::in("prerouting")
               .not_in_set({nft::ip_saddr(Family::kIpv4)}, "r")
               .verdict(Verdict::drop());
  const std::pair<const char*, const char*> cases[] = {{"9.255.255.255", "dropped"},
                                                       {"10.0.0.0", "passed"},
                                                       {"10.0.0.255", "passed"},
                                                       {"10.0.1.0", "dropped"}};
  for (const auto& [source, fate] : cases) {
    Packet packet = kForwarded;
    packet.source = ip(source);
    EXPECT_EQ(rules.fate(packet), fate) << source;
  }
}

TEST(Tracer, PoliciesAndMarksAndFib) {
  Rules rules;
  rules.policy("forward", nft::Policy::kDrop);
  rules << Rules::in("prerouting").change_mark(~0x10u, 0x10);
  rules << Rules::in("forward")
               .match_any_bit(nft::meta_mark(), 0x10)
               .match(nft::fib_saddr_type(), nft::Value::host32(RTN_LOCAL))
               .verdict(Verdict::accept());
  EXPECT_EQ(rules.fate(kForwarded), "dropped");
  Packet local = kForwarded;
  local.source_is_local = true;
  EXPECT_EQ(rules.fate(local), "passed");
}

TEST(Tracer, SaysWhatItCannotKnow) {
  Rules rules;
  rules << Rules::in("prerouting").raw(nft::Unknown{"socket"}).verdict(Verdict::drop());
  const Tracer::Result result = rules.trace(kForwarded);
  EXPECT_EQ(result.fate().kind, Fate::Kind::kPassed);
  EXPECT_EQ(result.unknown, "socket");
}

TEST(Tracer, AChainThatGoesToItselfEnds) {
  Rules rules;
  rules << Rules::in("prerouting").verdict(Verdict::jump("other"));
  rules << Rules::in("other").verdict(Verdict::jump("other"));
  EXPECT_EQ(rules.trace(kForwarded).unknown, "chain other");
}

struct OptionCase {
  std::vector<std::string> arguments;
  const char* error;  // part of it; empty: fine
};
const OptionCase kOptions[] = {
    {{"--from", "10.0.0.1", "--to", "10.96.0.1:80/tcp"}, ""},
    {{"--from", "10.0.0.1", "--to", "10.96.0.1:53/udp", "--table", "kube-proxy"}, ""},
    {{"--from", "fd00::1", "--to", "[fd00:96::1]:80"}, ""},
    {{"--to", "10.96.0.1:80"}, "--from"},
    {{"--from", "here", "--to", "10.96.0.1:80"}, "\"here\" is not an IP address"},
    {{"--from", "10.0.0.1", "--to", "10.96.0.1"}, "is not ADDRESS:PORT/PROTOCOL"},
    {{"--from", "10.0.0.1", "--to", "10.96.0.1:80/icmp"}, "none of tcp, udp, sctp"},
    {{"--from", "fd00::1", "--to", "10.96.0.1:80"}, "different IP families"},
    {{"--from", "10.0.0.1", "--to", "10.96.0.1:80", "--fast"}, "--fast"},
};

TEST(TraceCommand, Options) {
  for (const OptionCase& c : kOptions) {
    const auto options = parse_trace_options(c.arguments);
    ASSERT_EQ(options.ok(), c.error[0] == '\0') << c.error;
    if (!options.ok())
      EXPECT_NE(options.error().message().find(c.error), std::string::npos)
          << options.error().message();
  }
  EXPECT_FALSE(parse_trace_options({"--help"})->print.empty());
}

TEST(TraceCommand, PrintsRulesAndFate) {
  Rules rules;
  rules << Rules::in("prerouting").dnat(ip("10.1.1.1"), 8080);
  EXPECT_EQ(to_text(kForwarded, rules.trace(kForwarded)),
            "from 10.0.0.1 to 10.96.0.1:80/tcp\n"
            "  ip t prerouting  dnat to 10.1.1.1:8080  -> to 10.1.1.1:8080\n"
            "balanced to 10.1.1.1:8080\n");
}

}  // namespace
}  // namespace fairlead::proxy
