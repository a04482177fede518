// SPDX-License-Identifier: Apache-2.0
// Rules written statement by statement, in the order nft prints them. Pure.
//
//   Rule rule = RuleBuilder(chain)                        // nft's words for each line:
//       .match_not(ip_saddr(Family::kIpv4), pod_cidr)     //   ip saddr != 10.244.0.0/16
//       .vmap({ip_daddr(Family::kIpv4), meta_l4proto(), th_dport()}, "svc")
//       .build();                                         //   ip daddr . meta l4proto . th dport
//                                                         //     vmap @svc
//
// Each statement loads what it needs into registers from position 0 on: a statement never depends
// on the registers of the one before. Keys are laid out as Value::concat lays out elements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

class RuleBuilder {
 public:
  explicit RuleBuilder(const Chain& chain);
  RuleBuilder(TableFamily family, std::string table, std::string chain);

  // Comparisons. Sizes of values must be those of the selector (asserted).
  RuleBuilder& match(const Selector& what, const Value& value);      // th dport 80
  RuleBuilder& match_not(const Selector& what, const Value& value);  // th dport != 80
  RuleBuilder& match(const Selector& what, const Cidr& cidr);        // ip saddr 10.0.0.0/8
  RuleBuilder& match_not(const Selector& what, const Cidr& cidr);
  RuleBuilder& match_range(const Selector& what, const Value& first, const Value& last);
  RuleBuilder& match_not_range(const Selector& what, const Value& first, const Value& last);
  // (what & mask) == value
  RuleBuilder& match_masked(const Selector& what, const Value& mask, const Value& value);
  // what & bits != 0: "ct status dnat", "ct state new,established", "meta mark & 0x4000 != 0x0".
  RuleBuilder& match_any_bit(const Selector& what, uint32_t mask);
  RuleBuilder& match_no_bit(const Selector& what, uint32_t mask);
  RuleBuilder& match_name(const Selector& what, std::string_view text);  // "veth*" is a prefix
  RuleBuilder& match_not_name(const Selector& what, std::string_view text);

  // Lookups in named sets and maps; the selectors are concatenated.
  RuleBuilder& in_set(const std::vector<Selector>& key, std::string set);
  RuleBuilder& not_in_set(const std::vector<Selector>& key, std::string set);
  RuleBuilder& vmap(const std::vector<Selector>& key, std::string map);
  // dnat ip to KEY map @map. The map's data is an address, or address . port when `with_port`.
  RuleBuilder& dnat_from_map(Family family, const std::vector<Selector>& key, std::string map,
                             bool with_port);
  RuleBuilder& snat_from_map(Family family, const std::vector<Selector>& key, std::string map,
                             bool with_port);
  RuleBuilder& dnat(const IpAddress& address, uint16_t port = 0);  // port 0: unchanged
  RuleBuilder& snat(const IpAddress& address, uint16_t port = 0, uint32_t flags = 0);

  // meta mark set meta mark & keep ^ flip: set a bit with keep=~bit, flip=bit; clear it with
  // flip=0.
  RuleBuilder& change_mark(uint32_t keep, uint32_t flip);
  RuleBuilder& set_mark(uint32_t value);
  // These write all 32 bits: other users of the mark lose theirs.
  RuleBuilder& set_mark_from(const Selector& what);  // meta mark set numgen random mod 5
  RuleBuilder& set_mark_from_map(const std::vector<Selector>& key, std::string map);
  // meta mark set jhash KEY mod N seed S offset O
  RuleBuilder& set_mark_from_jhash(const std::vector<Selector>& key, uint32_t modulus,
                                   std::optional<uint32_t> seed, uint32_t offset);
  // dnat to jhash KEY mod N map @map: the map's key is one 4-byte index in host order.
  RuleBuilder& dnat_from_jhash(Family family, const std::vector<Selector>& key, uint32_t modulus,
                               std::optional<uint32_t> seed, std::string map, bool with_port);

  // update @set { KEY timeout 3h } and add @set { KEY }; timeout 0: the set's own.
  RuleBuilder& update_set(const std::vector<Selector>& key, std::string set,
                          uint64_t timeout_ms = 0);
  RuleBuilder& add_to_set(const std::vector<Selector>& key, std::string set,
                          uint64_t timeout_ms = 0);
  // update @map { KEY timeout 3h : DATA }. DATA from a selector: nft lists it. (Data that comes
  // from a map makes nft abort while listing; it cannot be expressed here.)
  RuleBuilder& update_map(const std::vector<Selector>& key, const std::vector<Selector>& data,
                          std::string map, uint64_t timeout_ms = 0);
  RuleBuilder& update_map(const std::vector<Selector>& key, const std::vector<Value>& data,
                          std::string map, uint64_t timeout_ms = 0);

  RuleBuilder& counter();
  RuleBuilder& limit(uint64_t rate, uint64_t unit_seconds, uint32_t burst, bool over = false);
  RuleBuilder& log(std::string prefix);
  RuleBuilder& notrack();
  RuleBuilder& masquerade(bool fully_random);
  RuleBuilder& reject();            // port-unreachable, the way the table's family says it
  RuleBuilder& reject_tcp_reset();  // match meta l4proto tcp first
  RuleBuilder& verdict(Verdict verdict);
  RuleBuilder& comment(std::string text);
  RuleBuilder& raw(Expression expression);

  Rule build() const;

 private:
  // Loads at `at`; returns the position behind.
  Register load(const Selector& selector, Register at);
  Register load_all(const std::vector<Selector>& selectors, Register at);
  void guard(const Selector& selector);
  RuleBuilder& compare(const Selector& what, nft_cmp_ops op, const Value& value);
  RuleBuilder& compare(const Selector& what, nft_cmp_ops op, const Cidr& cidr);
  RuleBuilder& bits(const Selector& what, uint32_t bits, nft_cmp_ops op);
  RuleBuilder& name(const Selector& what, nft_cmp_ops op, std::string_view name);
  RuleBuilder& nat_from_map(nft_nat_types type, Family family, const std::vector<Selector>& key,
                            std::string map, bool with_port);
  RuleBuilder& nat_constant(nft_nat_types type, const IpAddress& address, uint16_t port,
                            uint32_t flags);
  RuleBuilder& load_jhash(const std::vector<Selector>& key, uint32_t modulus,
                          std::optional<uint32_t> seed, uint32_t offset);

  bool guarded_ = false;
  Rule rule_;
};

}  // namespace fairlead::netlink::nft
