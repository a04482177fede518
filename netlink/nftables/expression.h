// SPDX-License-Identifier: Apache-2.0
// The expressions of a rule: what the kernel runs, one small struct each. Pure.
//
// Rules are normally written with RuleBuilder (rule_builder.h), which places registers; these
// structs are what it produces and what a rule parsed from the kernel consists of. Constants are
// the kernel's (linux/netfilter/nf_tables.h).
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "netlink/nftables/value.h"

namespace fairlead::netlink::nft {

// One of the sixteen 32-bit data registers by position, 0..15. Values longer than 4 bytes take the
// following ones too. Netlink calls positions 0, 4, 8 and 12 NFT_REG_1..4 and the others
// NFT_REG32_xx; that is how the kernel dumps them (nft_dump_register in
// net/netfilter/nf_tables_api.c).
struct Register {
  uint8_t word = 0;
  static Register from_netlink(uint32_t number);
  uint32_t to_netlink() const;
  auto operator<=>(const Register&) const = default;
};

// Loads: read something into `to`.
struct Payload {
  nft_payload_bases base = NFT_PAYLOAD_NETWORK_HEADER;
  uint32_t offset = 0;
  uint32_t length = 0;
  Register to;
  bool operator==(const Payload&) const = default;
};
struct Meta {
  nft_meta_keys key = NFT_META_L4PROTO;
  Register to;
  bool operator==(const Meta&) const = default;
};
struct Ct {
  nft_ct_keys key = NFT_CT_STATE;
  Register to;
  std::optional<uint8_t> direction;  // IP_CT_DIR_ORIGINAL or IP_CT_DIR_REPLY
  bool operator==(const Ct&) const = default;
};
struct Numgen {
  nft_ng_types type = NFT_NG_RANDOM;
  uint32_t modulus = 1;
  uint32_t offset = 0;
  Register to;
  bool operator==(const Numgen&) const = default;
};
struct Jhash {
  uint32_t modulus = 1;
  std::optional<uint32_t> seed;  // absent: the kernel draws one when the rule is added
  uint32_t offset = 0;
  uint32_t length = 0;  // bytes hashed, from `from`
  Register from;
  Register to;
  bool operator==(const Jhash&) const = default;
};
struct Fib {
  nft_fib_result result = NFT_FIB_RESULT_ADDRTYPE;
  uint32_t flags = NFTA_FIB_F_DADDR;
  Register to;
  bool operator==(const Fib&) const = default;
};

// to = (from & mask) ^ flip
struct Bitwise {
  Register from;
  Register to;
  Value mask;
  Value flip;
  bool operator==(const Bitwise&) const = default;
};
struct Cmp {
  nft_cmp_ops op = NFT_CMP_EQ;
  Register from;
  Value value;
  bool operator==(const Cmp&) const = default;
};
struct Range {
  nft_range_ops op = NFT_RANGE_EQ;
  Register from;
  Value first;
  Value last;
  bool operator==(const Range&) const = default;
};
struct Lookup {
  std::string set;
  Register from;
  bool inverted = false;       // only for plain sets
  bool verdict = false;        // vmap: the element's verdict is taken
  std::optional<Register> to;  // map: the element's data
  bool operator==(const Lookup&) const = default;
};
struct ImmediateData {
  Register to;
  Value value;
  bool operator==(const ImmediateData&) const = default;
};
struct ImmediateVerdict {
  Verdict verdict;
  bool operator==(const ImmediateVerdict&) const = default;
};
struct MetaSet {
  nft_meta_keys key = NFT_META_MARK;
  Register from;
  bool operator==(const MetaSet&) const = default;
};
struct CtSet {
  nft_ct_keys key = NFT_CT_MARK;
  Register from;
  bool operator==(const CtSet&) const = default;
};
struct Nat {
  nft_nat_types type = NFT_NAT_DNAT;
  Family family = Family::kIpv4;
  std::optional<Register> address;
  std::optional<Register> port;
  uint32_t flags = 0;  // NF_NAT_RANGE_*; the kernel adds MAP_IPS and PROTO_SPECIFIED itself
  bool operator==(const Nat&) const = default;
};
struct Masquerade {
  uint32_t flags = 0;  // NF_NAT_RANGE_PROTO_RANDOM_FULLY is "fully-random"
  bool operator==(const Masquerade&) const = default;
};
struct Reject {
  nft_reject_types type = NFT_REJECT_ICMP_UNREACH;
  uint8_t code = 3;  // ICMP(v6) code, or NFT_REJECT_ICMPX_*
  bool operator==(const Reject&) const = default;
};
struct Counter {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  bool operator==(const Counter&) const = default;
};
struct Notrack {
  bool operator==(const Notrack&) const = default;
};
// Adds or refreshes an element from the packet path.
struct Dynset {
  nft_dynset_ops op = NFT_DYNSET_OP_UPDATE;
  std::string set;
  Register key;
  std::optional<Register> data;
  uint64_t timeout_ms = 0;  // 0: the set's
  bool operator==(const Dynset&) const = default;
};
struct Limit {
  uint64_t rate = 1;
  uint64_t unit_seconds = 1;
  uint32_t burst = 5;  // packets
  bool over = false;
  bool operator==(const Limit&) const = default;
};
struct Log {
  std::string prefix;
  std::optional<uint16_t> group;
  bool operator==(const Log&) const = default;
};
// An expression we did not write: kept by name so that a foreign rule is not mistaken for ours.
struct Unknown {
  std::string name;
  bool operator==(const Unknown&) const = default;
};

using Expression = std::variant<Payload, Meta, Ct, Numgen, Jhash, Fib, Bitwise, Cmp, Range, Lookup,
                                ImmediateData, ImmediateVerdict, MetaSet, CtSet, Nat, Masquerade,
                                Reject, Counter, Notrack, Dynset, Limit, Log, Unknown>;

// What a key component or a match reads; `to` is ignored, whoever loads it places it.
using Selector = std::variant<Payload, Meta, Ct, Numgen, Fib>;

Selector ip_saddr(Family family);
Selector ip_daddr(Family family);
Selector th_sport();
Selector th_dport();
Selector meta_l4proto();
Selector meta_nfproto();
Selector meta_protocol();
Selector meta_mark();
Selector meta_iif();
Selector meta_oif();
Selector meta_iifname();
Selector meta_oifname();
Selector ct_state();
Selector ct_status();
Selector ct_mark();
// Of a flow's first packet, before translation: where it was sent.
Selector ct_original_daddr(Family family);
Selector ct_original_dport();  // nft prints it only after a match on meta l4proto
Selector numgen_random(uint32_t modulus);
Selector numgen_inc(uint32_t modulus);
Selector fib_saddr_type();
Selector fib_daddr_type();  // compare with RTN_LOCAL (4 bytes, host order)
// 4 bytes, host order: 0 when no route leads back to the source through the input interface
// ("missing"), else 1.
Selector fib_saddr_iif_oif();

size_t size_of(const Selector& selector);  // bytes it loads; 0 when we do not know
DataType type_of(const Selector& selector);

// Header fields we know by name, for text and user data.
struct HeaderField {
  std::string_view header;  // "ip"
  std::string_view field;   // "daddr"
  nft_payload_bases base;
  uint32_t offset;
  uint32_t length;
  DataType type;
  // Numbers of nft's own tables (include/proto.h), as they stand in a set's user data.
  uint32_t nft_header;
  uint32_t nft_field;
};
// The field that `payload` reads or whose first bytes it reads; nullptr when unknown. Network
// headers differ by family; without one (tables of family inet) they are unknown.
const HeaderField* find_field(const Payload& payload, std::optional<Family> family);
const HeaderField* find_field(uint32_t nft_header, uint32_t nft_field);

}  // namespace fairlead::netlink::nft
