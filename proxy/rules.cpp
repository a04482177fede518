// SPDX-License-Identifier: Apache-2.0
#include "proxy/rules.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>

#include <cassert>

#include "netlink/nftables/rule_builder.h"

namespace fairlead::proxy::rules {

namespace {

using nft::RuleBuilder;
using Key = std::vector<nft::Selector>;

// Hook priorities (linux/netfilter_ipv4.h, NF_IP_PRI_*): nft calls them raw, dstnat and srcnat.
constexpr int32_t kRaw = -300;
constexpr int32_t kDstNat = -100;
constexpr int32_t kSrcNat = 100;

class Writer {
 public:
  Writer(const Ruleset& ruleset, const nft::Chain& chain)
      : ruleset_(ruleset), config_(ruleset.config()), chain_(chain) {}

  std::vector<nft::Rule> take() { return std::move(rules_); }

  void services() {
    add(rule().vmap(frontend_key(), name(SetId::kServices)));
    for (const Cidr& cidr : config_.service_cidrs)
      add(rule().match(daddr(), cidr).verdict(go("missed")));
    if (config_.service_cidrs.empty())
      add(rule().in_set({daddr()}, name(SetId::kClusterIps)).verdict(go("missed")));
    for (const IpAddress& address : config_.local_dns)
      add(rule().match(daddr(), nft::Value::of(address)).verdict(nft::Verdict::returns()));
    for (const Cidr& cidr : config_.node_port_cidrs)
      add(rule().match(daddr(), cidr).verdict(go("node_ports")));
    if (config_.node_port_cidrs.empty()) node_ports();
  }

  // Not in `svc`. A service that is being replaced at this very moment is missing there for an
  // instant (kernels before 6.17): its first endpoint is as good as any, refusing would be wrong.
  void missed() {
    mark_foreign_sources();
    dnat(frontend_key(), SetId::kEndpoints, 1);
    add(rule().in_set({daddr()}, name(SetId::kClusterIps)).verdict(go("refuse")));
    add(rule().verdict(nft::Verdict::drop()));
  }

  // Asked twice for the same reason as `missed`: what is not found here goes to the host, which
  // would refuse it. The map is small, so the second reference costs little in the kernel's loop
  // check.
  void node_ports() {
    for (int i = 0; i < 2; ++i) add(rule().vmap(node_key(), name(SetId::kNodeServices)));
  }

  void refuse() { add(rule().reject()); }

  // The cheap test, protocol and port, has been made; only now ask for the address.
  void only_node_addresses() {
    add(rule()
            .match_not(nft::fib_daddr_type(), nft::Value::host32(RTN_LOCAL))
            .verdict(nft::Verdict::returns()));
    const Cidr loopback = config_.family == Family::kIpv4
                              ? Cidr(IpAddress::v4(127, 0, 0, 0), 8)
                              : Cidr::host(IpAddress::parse("::1").value());
    add(rule().match(daddr(), loopback).verdict(nft::Verdict::returns()));
  }

  // When every draw missed, endpoint 0 is tried; when that is missing too, the lookups of this
  // packet saw two generations of the ruleset: the client sends again. Passing it on unchanged
  // would bind the flow to the frontend's own address for good.
  void choose(const Key& key, SetId endpoints, uint32_t choices) {
    const int draws = choices <= 2 ? 1 : kDraws;
    for (int i = 0; i < draws; ++i) dnat(key, endpoints, choices);
    dnat(key, endpoints, 1);
    add(rule().verdict(nft::Verdict::drop()));
  }

  void service_choice(uint32_t choices) {
    mark_foreign_sources();
    choose(frontend_key(), SetId::kEndpoints, choices);
  }

  void node_choice(uint32_t choices) {
    only_node_addresses();
    add(rule().change_mark(~config_.masquerade_mark, config_.masquerade_mark));
    choose(node_key(), SetId::kNodeEndpoints, choices);
  }

  void jump_to_services() { add(rule().verdict(nft::Verdict::jump("services"))); }

  void postrouting() {
    add(rule().match_any_bit(nft::meta_mark(), config_.masquerade_mark).verdict(go("masq")));
    add(rule()
            .match_any_bit(nft::ct_status(), IPS_DST_NAT)
            .in_set({nft::ip_saddr(config_.family), daddr(), nft::meta_l4proto(), nft::th_dport()},
                    name(SetId::kHairpin))
            .masquerade(true));
  }

  void masquerade() {
    add(rule().change_mark(~config_.masquerade_mark, 0));
    add(rule().masquerade(true));
  }

  void exempt_local_dns() {
    add(rule().in_set(frontend_key(), name(SetId::kLocalDns)).notrack());
    add(rule()
            .in_set({nft::ip_saddr(config_.family), nft::meta_l4proto(), nft::th_sport()},
                    name(SetId::kLocalDns))
            .notrack());
  }

 private:
  RuleBuilder rule() const { return RuleBuilder(chain_); }
  void add(const RuleBuilder& builder) { rules_.push_back(builder.build()); }
  std::string name(SetId id) const { return ruleset_.set(id).name; }
  static nft::Verdict go(const char* chain) { return nft::Verdict::go_to(chain); }
  nft::Selector daddr() const { return nft::ip_daddr(config_.family); }
  Key frontend_key() const { return {daddr(), nft::meta_l4proto(), nft::th_dport()}; }
  static Key node_key() { return {nft::meta_l4proto(), nft::th_dport()}; }

  void mark_foreign_sources() {
    RuleBuilder mark = rule();
    if (!config_.masquerade_all) {
      if (config_.cluster_cidrs.empty()) return;
      for (const Cidr& cidr : config_.cluster_cidrs)
        mark.match_not(nft::ip_saddr(config_.family), cidr);
    }
    add(mark.change_mark(~config_.masquerade_mark, config_.masquerade_mark));
  }

  void dnat(Key key, SetId endpoints, uint32_t choices) {
    key.push_back(nft::numgen_random(choices));
    add(rule().dnat_from_map(config_.family, key, name(endpoints), true));
  }

  const Ruleset& ruleset_;
  const Config& config_;
  const nft::Chain chain_;
  std::vector<nft::Rule> rules_;
};

}  // namespace

std::vector<std::string> fixed_chains(const Ruleset& ruleset) {
  std::vector<std::string> names = {"refuse", "node_refuse", "masq", "missed"};
  if (!ruleset.config().node_port_cidrs.empty()) names.push_back("node_ports");
  names.push_back("services");
  return names;
}

std::vector<std::pair<std::string, nft::BaseChain>> hooks(const Ruleset& ruleset) {
  const auto base = [](nft::ChainType type, uint32_t hook, int32_t priority) {
    nft::BaseChain chain;
    chain.type = type;
    chain.hook = hook;
    chain.priority = priority;
    return chain;
  };
  std::vector<std::pair<std::string, nft::BaseChain>> result;
  if (!ruleset.config().local_dns.empty()) {
    result.emplace_back("raw_prerouting", base(nft::ChainType::kFilter, NF_INET_PRE_ROUTING, kRaw));
    result.emplace_back("raw_output", base(nft::ChainType::kFilter, NF_INET_LOCAL_OUT, kRaw));
  }
  result.emplace_back("postrouting", base(nft::ChainType::kNat, NF_INET_POST_ROUTING, kSrcNat));
  result.emplace_back("output", base(nft::ChainType::kNat, NF_INET_LOCAL_OUT, kDstNat));
  result.emplace_back("prerouting", base(nft::ChainType::kNat, NF_INET_PRE_ROUTING, kDstNat));
  return result;
}

std::vector<nft::Rule> of_fixed(const Ruleset& ruleset, const std::string& chain) {
  Writer writer(ruleset, ruleset.chain(chain));
  if (chain == "services")
    writer.services();
  else if (chain == "missed")
    writer.missed();
  else if (chain == "refuse")
    writer.refuse();
  else if (chain == "node_refuse")
    writer.only_node_addresses(), writer.refuse();
  else if (chain == "node_ports")
    writer.node_ports();
  else if (chain == "masq")
    writer.masquerade();
  else if (chain == "prerouting" || chain == "output")
    writer.jump_to_services();
  else if (chain == "postrouting")
    writer.postrouting();
  else if (chain == "raw_prerouting" || chain == "raw_output")
    writer.exempt_local_dns();
  else
    assert(false && "no such chain");
  return writer.take();
}

std::vector<nft::Rule> of_choice(const Ruleset& ruleset, const Ruleset::ChoiceChain& choice) {
  Writer writer(ruleset, ruleset.chain(choice));
  const auto& [node_port, choices] = choice;
  if (node_port)
    writer.node_choice(choices);
  else
    writer.service_choice(choices);
  return writer.take();
}

}  // namespace fairlead::proxy::rules
