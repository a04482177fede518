// SPDX-License-Identifier: Apache-2.0
#include "proxy/rules.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cassert>

#include "netlink/nftables/rule_builder.h"

namespace fairlead::proxy::rules {

namespace {

using nft::RuleBuilder;
using Key = std::vector<nft::Selector>;

// Hook priorities (linux/netfilter_ipv4.h, NF_IP_PRI_*): nft calls them raw, dstnat and srcnat.
constexpr int32_t kRaw = -300;
constexpr int32_t kDstNat = -100;
// Before those of others, whoever comes later: a nat hook that translates is the last one asked,
// and where a flow has gone is to be learnt.
constexpr int32_t kSrcNat = 100 - 1;

class Writer {
 public:
  Writer(const Ruleset& ruleset, const nft::Chain& chain)
      : ruleset_(ruleset), config_(ruleset.config()), chain_(chain) {}

  std::vector<nft::Rule> take() { return std::move(rules_); }

  // In both hooks themselves: a jump to one chain for both would cost each new flow.
  void services() {
    const Parameters& parameters = ruleset_.parameters();
    lookup(frontend_key(), SetId::kServices);
    for (const Cidr& cidr : parameters.service_cidrs)
      add(rule().match(daddr(), cidr).verdict(go("missed")));
    if (parameters.service_cidrs.empty() || parameters.stray_vips)
      add(rule().in_set({daddr()}, name(SetId::kClusterIps)).verdict(go("missed")));
    for (const IpAddress& address : config_.local_dns)
      add(rule().match(daddr(), nft::Value::of(address)).verdict(nft::Verdict::returns()));
    for (const IpAddress& address : parameters.node_addresses) to_node_ports(address);
  }

  void to_node_ports(const IpAddress& address) {
    add(rule().match(daddr(), nft::Value::of(address)).verdict(go("node_ports")));
  }

  // Not in `svc`. An address of this node's own that lies in a range of cluster IPs, and is no
  // Service's, is the node's, with its node ports. (kube-proxy, which refuses in forward and output
  // alone, lets whoever listens here answer on ports that a Service does not have, too.)
  void missed() {
    add(rule().in_set({daddr()}, name(SetId::kClusterIps)).verdict(go("refuse")));
    const Parameters& parameters = ruleset_.parameters();
    for (const IpAddress& address : parameters.node_addresses)
      if (std::any_of(parameters.service_cidrs.begin(), parameters.service_cidrs.end(),
                      [&](const Cidr& cidr) { return cidr.contains(address); }))
        to_node_ports(address);
    add(rule()
            .match(nft::fib_daddr_type(), nft::Value::host32(RTN_LOCAL))
            .verdict(nft::Verdict::returns()));
    add(rule().verdict(nft::Verdict::drop()));
  }

  void node_ports() { lookup(node_key(), SetId::kNodeServices); }

  void refuse() { add(rule().reject()); }

  void choice(const Choice& choice) {
    node_port_ = choice.node_port;
    if (choice.guard != 0) return guard(choice);
    switch (choice.treatment) {
      case Treatment::kRefuse:
      case Treatment::kDrop:
        break;
      case Treatment::kCluster:
        mark_foreign_sources();
        return choose(choice, false);
      case Treatment::kExternal:
        add(mark(rule()));
        return choose(choice, false);
      case Treatment::kLocal:
        own_sources(choice.needs().front(), true);
        return choose(choice, false);
      case Treatment::kRelay:
        return choose(choice, false);
      case Treatment::kInside:
        return choose(choice, true);
      case Treatment::kLearn:
        return remember(choice);
      case Treatment::kSplit:
        own_sources(choice.needs().back(), false);
        return add(rule().verdict(nft::Verdict::go_to(choice.needs().front().name())));
    }
    assert(false && "a choice without a chain");
  }

  // After translation, so that source and destination are client and endpoint.
  void learn() {
    learn_from(nft::ct_original_daddr(config_.family), SetId::kLearn);
    for (const IpAddress& address : ruleset_.parameters().node_addresses)
      add(rule()
              .match(nft::ct_original_daddr(config_.family), nft::Value::of(address))
              .verdict(go("learn_node")));
  }
  void learn_node() { learn_from(std::nullopt, SetId::kNodeLearn); }

  void jump_to_learn() {
    if (ruleset_.parameters().affinity)
      add(rule().match_any_bit(nft::ct_status(), IPS_DST_NAT).verdict(nft::Verdict::jump("learn")));
  }

  void postrouting() {
    jump_to_learn();
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

  RuleBuilder mark(RuleBuilder builder) const {
    return builder.change_mark(~config_.masquerade_mark, config_.masquerade_mark);
  }

  // On kernels that may miss an element that is being replaced, once more: what is not found is
  // refused or goes on untranslated.
  void lookup(const Key& key, SetId set) {
    for (int i = config_.repeat_lookups ? 2 : 1; i > 0; --i) add(rule().vmap(key, name(set)));
  }

  Key affinity_key() const { return {nft::ip_saddr(config_.family), nft::meta_l4proto()}; }

  // Where flows have gone; known ones are remembered for so much longer, where they go stays.
  void remember(const Choice& choice) {
    add(rule().update_map(affinity_key(), {daddr(), nft::th_dport()},
                          affinity_map_name(choice.affinity), uint64_t{choice.choices} * 1000));
  }

  // nft prints the original port only where the protocol has been matched.
  void learn_from(const std::optional<nft::Selector>& address, SetId map) {
    Key key;
    if (address) key.push_back(*address);
    key.push_back(nft::meta_l4proto());
    key.push_back(nft::ct_original_dport());
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
      add(rule()
              .match(nft::meta_l4proto(), nft::Value::u8(protocol_number(protocol)))
              .vmap(key, name(map)));
  }

  void mark_foreign_sources() {
    RuleBuilder foreign = rule();
    if (!config_.masquerade_all) {
      if (!config_.knows_pods()) return;
      for (const Cidr& cidr : config_.cluster_cidrs)
        foreign.match_not(nft::ip_saddr(config_.family), cidr);
      if (!config_.bridge_interface.empty())
        foreign.match_not_name(nft::meta_iifname(), config_.bridge_interface);
      if (!config_.interface_prefix.empty())
        foreign.match_not_name(nft::meta_iifname(), config_.interface_prefix + "*");
    }
    add(mark(foreign));
  }

  // External traffic policy Local: a pod goes to any endpoint with its own address, this node with
  // one that every endpoint can answer.
  void own_sources(const Choice& inside, bool first_packet) {
    const std::string chain = inside.name();
    const auto to_inside = [&](RuleBuilder builder) {
      add(builder.verdict(nft::Verdict::go_to(chain)));
    };
    for (const Cidr& cidr : config_.cluster_cidrs)
      to_inside(rule().match(nft::ip_saddr(config_.family), cidr));
    if (!config_.bridge_interface.empty())
      to_inside(rule().match_name(nft::meta_iifname(), config_.bridge_interface));
    if (!config_.interface_prefix.empty())
      to_inside(rule().match_name(nft::meta_iifname(), config_.interface_prefix + "*"));
    const auto from_this_node = [&] {
      return rule().match(nft::fib_saddr_type(), nft::Value::host32(RTN_LOCAL));
    };
    if (first_packet) add(mark(from_this_node()));
    to_inside(from_this_node());
  }

  void guard(const Choice& choice) {
    const auto state = ruleset_.choice_chains().find(choice);
    if (state == ruleset_.choice_chains().end() || !state->second.ranges) return;
    for (const Cidr& range : *state->second.ranges)
      add(rule()
              .match(nft::ip_saddr(config_.family), range)
              .verdict(nft::Verdict::go_to(choice.needs().front().name())));
    add(rule().verdict(nft::Verdict::drop()));
  }

  // When every draw missed, endpoint 0 is tried; when that is missing too, the lookups of this
  // packet saw two generations of the ruleset: the client sends again. Passing it on unchanged
  // would bind the flow to the frontend's own address for good.
  void choose(const Choice& choice, bool inside) {
    if (choice.affinity != 0)
      add(rule().dnat_from_map(config_.family, affinity_key(), affinity_map_name(choice.affinity),
                               true));
    const uint32_t choices = choice.choices;
    const Key key = node_port_ ? node_key() : frontend_key();
    const SetId endpoints = endpoints_set(node_port_, inside);
    const bool full = choices <= kExact;
    const int draws = choices == 0 ? 0 : full ? 1 : kDraws;
    for (int i = 0; i < draws; ++i) dnat(key, endpoints, choices);
    if (choices != 0) dnat(key, endpoints, 1);
    add(rule().verdict(nft::Verdict::drop()));
  }

  void dnat(Key key, SetId endpoints, uint32_t choices) {
    key.push_back(nft::numgen_random(choices));
    add(rule().dnat_from_map(config_.family, key, name(endpoints), true));
  }

  const Ruleset& ruleset_;
  const Config& config_;
  const nft::Chain chain_;
  bool node_port_ = false;
  std::vector<nft::Rule> rules_;
};

}  // namespace

std::vector<std::string> fixed_chains() {
  return {"refuse", "masq", "missed", "node_ports", "learn_node", "learn"};
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
  result.emplace_back("input", base(nft::ChainType::kNat, NF_INET_LOCAL_IN, kSrcNat));
  result.emplace_back("postrouting", base(nft::ChainType::kNat, NF_INET_POST_ROUTING, kSrcNat));
  result.emplace_back("output", base(nft::ChainType::kNat, NF_INET_LOCAL_OUT, kDstNat));
  result.emplace_back("prerouting", base(nft::ChainType::kNat, NF_INET_PRE_ROUTING, kDstNat));
  return result;
}

std::vector<nft::Rule> of_fixed(const Ruleset& ruleset, const std::string& chain) {
  Writer writer(ruleset, ruleset.chain(chain));
  if (chain == "missed")
    writer.missed();
  else if (chain == "refuse")
    writer.refuse();
  else if (chain == "node_ports")
    writer.node_ports();
  else if (chain == "learn")
    writer.learn();
  else if (chain == "learn_node")
    writer.learn_node();
  else if (chain == "input")
    writer.jump_to_learn();
  else if (chain == "masq")
    writer.masquerade();
  else if (chain == "prerouting" || chain == "output")
    writer.services();
  else if (chain == "postrouting")
    writer.postrouting();
  else if (chain == "raw_prerouting" || chain == "raw_output")
    writer.exempt_local_dns();
  else
    assert(false && "no such chain");
  return writer.take();
}

std::vector<nft::Rule> of_choice(const Ruleset& ruleset, const Choice& choice) {
  Writer writer(ruleset, ruleset.chain(choice.name()));
  writer.choice(choice);
  return writer.take();
}

}  // namespace fairlead::proxy::rules
