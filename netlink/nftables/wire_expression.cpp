// SPDX-License-Identifier: Apache-2.0
// Expressions: NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA { attributes of the expression } }.
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <type_traits>

#include "netlink/nftables/netfilter.h"
#include "netlink/nftables/wire.h"
#include "netlink/nftables/wire_data.h"

namespace fairlead::netlink::nft {

namespace {

// Flags of NAT a user gives; the kernel adds others of its own when it dumps a rule.
constexpr uint32_t kNatUserFlags =
    NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PERSISTENT | NF_NAT_RANGE_PROTO_RANDOM_FULLY;

// Writers: one overload each, the attributes inside NFTA_EXPR_DATA.

void put(MessageWriter& w, const Payload& e) {
  w.put_be32(NFTA_PAYLOAD_DREG, e.to.to_netlink());
  w.put_be32(NFTA_PAYLOAD_BASE, e.base);
  w.put_be32(NFTA_PAYLOAD_OFFSET, e.offset);
  w.put_be32(NFTA_PAYLOAD_LEN, e.length);
}
void put(MessageWriter& w, const Meta& e) {
  w.put_be32(NFTA_META_KEY, e.key);
  w.put_be32(NFTA_META_DREG, e.to.to_netlink());
}
void put(MessageWriter& w, const MetaSet& e) {
  w.put_be32(NFTA_META_KEY, e.key);
  w.put_be32(NFTA_META_SREG, e.from.to_netlink());
}
void put(MessageWriter& w, const Ct& e) {
  w.put_be32(NFTA_CT_KEY, e.key);
  w.put_be32(NFTA_CT_DREG, e.to.to_netlink());
  if (e.direction) w.put_u8(NFTA_CT_DIRECTION, *e.direction);
}
void put(MessageWriter& w, const CtSet& e) {
  w.put_be32(NFTA_CT_KEY, e.key);
  w.put_be32(NFTA_CT_SREG, e.from.to_netlink());
}
void put(MessageWriter& w, const Numgen& e) {
  w.put_be32(NFTA_NG_DREG, e.to.to_netlink());
  w.put_be32(NFTA_NG_MODULUS, e.modulus);
  w.put_be32(NFTA_NG_TYPE, e.type);
  w.put_be32(NFTA_NG_OFFSET, e.offset);
}
void put(MessageWriter& w, const Jhash& e) {
  w.put_be32(NFTA_HASH_SREG, e.from.to_netlink());
  w.put_be32(NFTA_HASH_DREG, e.to.to_netlink());
  w.put_be32(NFTA_HASH_LEN, e.length);
  w.put_be32(NFTA_HASH_MODULUS, e.modulus);
  if (e.seed) w.put_be32(NFTA_HASH_SEED, *e.seed);
  if (e.offset != 0) w.put_be32(NFTA_HASH_OFFSET, e.offset);
  w.put_be32(NFTA_HASH_TYPE, NFT_HASH_JENKINS);
}
void put(MessageWriter& w, const Fib& e) {
  w.put_be32(NFTA_FIB_DREG, e.to.to_netlink());
  w.put_be32(NFTA_FIB_RESULT, e.result);
  w.put_be32(NFTA_FIB_FLAGS, e.flags);
}
void put(MessageWriter& w, const Bitwise& e) {
  w.put_be32(NFTA_BITWISE_SREG, e.from.to_netlink());
  w.put_be32(NFTA_BITWISE_DREG, e.to.to_netlink());
  w.put_be32(NFTA_BITWISE_LEN, static_cast<uint32_t>(e.mask.size()));
  w.put_be32(NFTA_BITWISE_OP, NFT_BITWISE_BOOL);
  put_value(w, NFTA_BITWISE_MASK, e.mask);
  put_value(w, NFTA_BITWISE_XOR, e.flip);
}
void put(MessageWriter& w, const Cmp& e) {
  w.put_be32(NFTA_CMP_SREG, e.from.to_netlink());
  w.put_be32(NFTA_CMP_OP, e.op);
  put_value(w, NFTA_CMP_DATA, e.value);
}
void put(MessageWriter& w, const Range& e) {
  w.put_be32(NFTA_RANGE_SREG, e.from.to_netlink());
  w.put_be32(NFTA_RANGE_OP, e.op);
  put_value(w, NFTA_RANGE_FROM_DATA, e.first);
  put_value(w, NFTA_RANGE_TO_DATA, e.last);
}
void put(MessageWriter& w, const Lookup& e) {
  w.put_string(NFTA_LOOKUP_SET, e.set);
  w.put_be32(NFTA_LOOKUP_SREG, e.from.to_netlink());
  if (e.verdict) {
    w.put_be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
  } else if (e.to) {
    w.put_be32(NFTA_LOOKUP_DREG, e.to->to_netlink());
  }
  if (e.inverted) w.put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}
void put(MessageWriter& w, const ImmediateData& e) {
  w.put_be32(NFTA_IMMEDIATE_DREG, e.to.to_netlink());
  put_value(w, NFTA_IMMEDIATE_DATA, e.value);
}
void put(MessageWriter& w, const ImmediateVerdict& e) {
  w.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  put_verdict(w, NFTA_IMMEDIATE_DATA, e.verdict);
}
void put(MessageWriter& w, const Nat& e) {
  w.put_be32(NFTA_NAT_TYPE, e.type);
  w.put_be32(NFTA_NAT_FAMILY, e.family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  if (e.address) w.put_be32(NFTA_NAT_REG_ADDR_MIN, e.address->to_netlink());
  if (e.port) w.put_be32(NFTA_NAT_REG_PROTO_MIN, e.port->to_netlink());
  if (e.flags != 0) w.put_be32(NFTA_NAT_FLAGS, e.flags);
}
void put(MessageWriter& w, const Masquerade& e) {
  if (e.flags != 0) w.put_be32(NFTA_MASQ_FLAGS, e.flags);
}
void put(MessageWriter& w, const Reject& e) {
  w.put_be32(NFTA_REJECT_TYPE, e.type);
  w.put_u8(NFTA_REJECT_ICMP_CODE, e.code);
}
void put(MessageWriter& w, const Counter& e) {
  w.put_be64(NFTA_COUNTER_BYTES, e.bytes);
  w.put_be64(NFTA_COUNTER_PACKETS, e.packets);
}
void put(MessageWriter&, const Notrack&) {}
void put(MessageWriter& w, const Dynset& e) {
  w.put_string(NFTA_DYNSET_SET_NAME, e.set);
  w.put_be32(NFTA_DYNSET_OP, e.op);
  w.put_be32(NFTA_DYNSET_SREG_KEY, e.key.to_netlink());
  if (e.data) w.put_be32(NFTA_DYNSET_SREG_DATA, e.data->to_netlink());
  if (e.timeout_ms != 0) w.put_be64(NFTA_DYNSET_TIMEOUT, e.timeout_ms);
}
void put(MessageWriter& w, const Limit& e) {
  w.put_be64(NFTA_LIMIT_RATE, e.rate);
  w.put_be64(NFTA_LIMIT_UNIT, e.unit_seconds);
  w.put_be32(NFTA_LIMIT_BURST, e.burst);
  w.put_be32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
  w.put_be32(NFTA_LIMIT_FLAGS, e.over ? NFT_LIMIT_F_INV : 0);
}
void put(MessageWriter& w, const Log& e) {
  if (e.group) w.put_be16(NFTA_LOG_GROUP, *e.group);
  if (!e.prefix.empty()) w.put_string(NFTA_LOG_PREFIX, e.prefix);
}
void put(MessageWriter&, const Unknown&) {}

// Parsers. Fields with a closed set of values are checked: what we do not know stays Unknown.

Register register_of(const Attribute& attribute) {
  return Register::from_netlink(attribute.be32());
}

template <typename Enum>
std::optional<Enum> enum_of(const Attribute& attribute, uint32_t last) {
  const uint32_t value = attribute.be32();
  if (value > last) return std::nullopt;
  return static_cast<Enum>(value);
}

using Parsed = std::optional<Expression>;

Parsed parse_payload(Bytes bytes) {
  const AttributeTable<NFTA_PAYLOAD_MAX> t(bytes);
  const auto base = enum_of<nft_payload_bases>(t[NFTA_PAYLOAD_BASE], NFT_PAYLOAD_TRANSPORT_HEADER);
  if (!base || t.has(NFTA_PAYLOAD_SREG)) return {};
  return Payload{*base, t[NFTA_PAYLOAD_OFFSET].be32(), t[NFTA_PAYLOAD_LEN].be32(),
                 register_of(t[NFTA_PAYLOAD_DREG])};
}
Parsed parse_meta(Bytes bytes) {
  const AttributeTable<NFTA_META_MAX> t(bytes);
  const auto key = enum_of<nft_meta_keys>(t[NFTA_META_KEY], NFT_META_SDIFNAME);
  if (!key) return {};
  if (t.has(NFTA_META_SREG)) return MetaSet{*key, register_of(t[NFTA_META_SREG])};
  return Meta{*key, register_of(t[NFTA_META_DREG])};
}
Parsed parse_ct(Bytes bytes) {
  const AttributeTable<NFTA_CT_MAX> t(bytes);
  const auto key = enum_of<nft_ct_keys>(t[NFTA_CT_KEY], NFT_CT_ID);
  if (!key) return {};
  if (t.has(NFTA_CT_SREG)) return CtSet{*key, register_of(t[NFTA_CT_SREG])};
  Ct ct{*key, register_of(t[NFTA_CT_DREG]), {}};
  if (t.has(NFTA_CT_DIRECTION)) ct.direction = t[NFTA_CT_DIRECTION].u8();
  return ct;
}
Parsed parse_numgen(Bytes bytes) {
  const AttributeTable<NFTA_NG_MAX> t(bytes);
  const auto type = enum_of<nft_ng_types>(t[NFTA_NG_TYPE], NFT_NG_RANDOM);
  if (!type) return {};
  return Numgen{*type, t[NFTA_NG_MODULUS].be32(), t[NFTA_NG_OFFSET].be32(),
                register_of(t[NFTA_NG_DREG])};
}
Parsed parse_hash(Bytes bytes) {
  const AttributeTable<NFTA_HASH_MAX> t(bytes);
  if (t[NFTA_HASH_TYPE].be32() != NFT_HASH_JENKINS) return {};
  Jhash hash{t[NFTA_HASH_MODULUS].be32(),    {},
             t[NFTA_HASH_OFFSET].be32(),     t[NFTA_HASH_LEN].be32(),
             register_of(t[NFTA_HASH_SREG]), register_of(t[NFTA_HASH_DREG])};
  if (t.has(NFTA_HASH_SEED)) hash.seed = t[NFTA_HASH_SEED].be32();
  return hash;
}
Parsed parse_fib(Bytes bytes) {
  const AttributeTable<NFTA_FIB_MAX> t(bytes);
  const auto result = enum_of<nft_fib_result>(t[NFTA_FIB_RESULT], NFT_FIB_RESULT_ADDRTYPE);
  if (!result) return {};
  return Fib{*result, t[NFTA_FIB_FLAGS].be32(), register_of(t[NFTA_FIB_DREG])};
}
Parsed parse_bitwise(Bytes bytes) {
  const AttributeTable<NFTA_BITWISE_MAX> t(bytes);
  if (t[NFTA_BITWISE_OP].be32() != NFT_BITWISE_BOOL) return {};
  return Bitwise{register_of(t[NFTA_BITWISE_SREG]), register_of(t[NFTA_BITWISE_DREG]),
                 parse_value(t[NFTA_BITWISE_MASK]), parse_value(t[NFTA_BITWISE_XOR])};
}
Parsed parse_cmp(Bytes bytes) {
  const AttributeTable<NFTA_CMP_MAX> t(bytes);
  const auto op = enum_of<nft_cmp_ops>(t[NFTA_CMP_OP], NFT_CMP_GTE);
  if (!op) return {};
  return Cmp{*op, register_of(t[NFTA_CMP_SREG]), parse_value(t[NFTA_CMP_DATA])};
}
Parsed parse_range(Bytes bytes) {
  const AttributeTable<NFTA_RANGE_MAX> t(bytes);
  const auto op = enum_of<nft_range_ops>(t[NFTA_RANGE_OP], NFT_RANGE_NEQ);
  if (!op) return {};
  return Range{*op, register_of(t[NFTA_RANGE_SREG]), parse_value(t[NFTA_RANGE_FROM_DATA]),
               parse_value(t[NFTA_RANGE_TO_DATA])};
}
Parsed parse_lookup(Bytes bytes) {
  const AttributeTable<NFTA_LOOKUP_MAX> t(bytes);
  Lookup lookup{std::string(t[NFTA_LOOKUP_SET].text()),
                register_of(t[NFTA_LOOKUP_SREG]),
                (t[NFTA_LOOKUP_FLAGS].be32() & NFT_LOOKUP_F_INV) != 0,
                false,
                {}};
  if (t.has(NFTA_LOOKUP_DREG)) {
    lookup.verdict = t[NFTA_LOOKUP_DREG].be32() == NFT_REG_VERDICT;
    if (!lookup.verdict) lookup.to = register_of(t[NFTA_LOOKUP_DREG]);
  }
  return lookup;
}
Parsed parse_immediate(Bytes bytes) {
  const AttributeTable<NFTA_IMMEDIATE_MAX> t(bytes);
  if (t[NFTA_IMMEDIATE_DREG].be32() != NFT_REG_VERDICT)
    return ImmediateData{register_of(t[NFTA_IMMEDIATE_DREG]), parse_value(t[NFTA_IMMEDIATE_DATA])};
  auto verdict = parse_verdict(t[NFTA_IMMEDIATE_DATA]);
  if (!verdict) return {};
  return ImmediateVerdict{std::move(*verdict)};
}
Parsed parse_nat(Bytes bytes) {
  const AttributeTable<NFTA_NAT_MAX> t(bytes);
  const auto type = enum_of<nft_nat_types>(t[NFTA_NAT_TYPE], NFT_NAT_DNAT);
  const uint32_t family = t[NFTA_NAT_FAMILY].be32();
  if (!type || (family != NFPROTO_IPV4 && family != NFPROTO_IPV6)) return {};
  Nat nat{*type,
          family == NFPROTO_IPV4 ? Family::kIpv4 : Family::kIpv6,
          {},
          {},
          t[NFTA_NAT_FLAGS].be32() & kNatUserFlags};
  if (t.has(NFTA_NAT_REG_ADDR_MIN)) nat.address = register_of(t[NFTA_NAT_REG_ADDR_MIN]);
  if (t.has(NFTA_NAT_REG_PROTO_MIN)) nat.port = register_of(t[NFTA_NAT_REG_PROTO_MIN]);
  return nat;
}
Parsed parse_masquerade(Bytes bytes) {
  const AttributeTable<NFTA_MASQ_MAX> t(bytes);
  if (t.has(NFTA_MASQ_REG_PROTO_MIN)) return {};  // to a port: not ours
  return Masquerade{t[NFTA_MASQ_FLAGS].be32() & kNatUserFlags};
}
Parsed parse_reject(Bytes bytes) {
  const AttributeTable<NFTA_REJECT_MAX> t(bytes);
  const auto type = enum_of<nft_reject_types>(t[NFTA_REJECT_TYPE], NFT_REJECT_ICMPX_UNREACH);
  if (!type) return {};
  return Reject{*type, t[NFTA_REJECT_ICMP_CODE].u8()};
}
Parsed parse_counter(Bytes bytes) {
  const AttributeTable<NFTA_COUNTER_MAX> t(bytes);
  return Counter{t[NFTA_COUNTER_PACKETS].be64(), t[NFTA_COUNTER_BYTES].be64()};
}
Parsed parse_notrack(Bytes) {
  return Notrack{};
}
Parsed parse_dynset(Bytes bytes) {
  const AttributeTable<NFTA_DYNSET_MAX> t(bytes);
  const auto op = enum_of<nft_dynset_ops>(t[NFTA_DYNSET_OP], NFT_DYNSET_OP_DELETE);
  if (!op || t.has(NFTA_DYNSET_EXPR) || t.has(NFTA_DYNSET_EXPRESSIONS)) return {};
  Dynset dynset{*op,
                std::string(t[NFTA_DYNSET_SET_NAME].text()),
                register_of(t[NFTA_DYNSET_SREG_KEY]),
                {},
                t[NFTA_DYNSET_TIMEOUT].be64()};
  if (t.has(NFTA_DYNSET_SREG_DATA)) dynset.data = register_of(t[NFTA_DYNSET_SREG_DATA]);
  return dynset;
}
Parsed parse_limit(Bytes bytes) {
  const AttributeTable<NFTA_LIMIT_MAX> t(bytes);
  if (t[NFTA_LIMIT_TYPE].be32() != NFT_LIMIT_PKTS) return {};
  return Limit{t[NFTA_LIMIT_RATE].be64(), t[NFTA_LIMIT_UNIT].be64(), t[NFTA_LIMIT_BURST].be32(),
               (t[NFTA_LIMIT_FLAGS].be32() & NFT_LIMIT_F_INV) != 0};
}
Parsed parse_log(Bytes bytes) {
  const AttributeTable<NFTA_LOG_MAX> t(bytes);
  Log log{std::string(t[NFTA_LOG_PREFIX].text()), {}};
  if (t.has(NFTA_LOG_GROUP)) log.group = t[NFTA_LOG_GROUP].be16();
  return log;
}

struct Parser {
  std::string_view name;
  Parsed (*parse)(Bytes);
};
constexpr Parser kParsers[] = {
    {"payload", parse_payload},
    {"meta", parse_meta},
    {"ct", parse_ct},
    {"numgen", parse_numgen},
    {"hash", parse_hash},
    {"fib", parse_fib},
    {"bitwise", parse_bitwise},
    {"cmp", parse_cmp},
    {"range", parse_range},
    {"lookup", parse_lookup},
    {"immediate", parse_immediate},
    {"nat", parse_nat},
    {"masq", parse_masquerade},
    {"reject", parse_reject},
    {"counter", parse_counter},
    {"notrack", parse_notrack},
    {"dynset", parse_dynset},
    {"limit", parse_limit},
    {"log", parse_log},
};

struct NameOf {
  const char* operator()(const Payload&) const { return "payload"; }
  const char* operator()(const Meta&) const { return "meta"; }
  const char* operator()(const MetaSet&) const { return "meta"; }
  const char* operator()(const Ct&) const { return "ct"; }
  const char* operator()(const CtSet&) const { return "ct"; }
  const char* operator()(const Numgen&) const { return "numgen"; }
  const char* operator()(const Jhash&) const { return "hash"; }
  const char* operator()(const Fib&) const { return "fib"; }
  const char* operator()(const Bitwise&) const { return "bitwise"; }
  const char* operator()(const Cmp&) const { return "cmp"; }
  const char* operator()(const Range&) const { return "range"; }
  const char* operator()(const Lookup&) const { return "lookup"; }
  const char* operator()(const ImmediateData&) const { return "immediate"; }
  const char* operator()(const ImmediateVerdict&) const { return "immediate"; }
  const char* operator()(const Nat&) const { return "nat"; }
  const char* operator()(const Masquerade&) const { return "masq"; }
  const char* operator()(const Reject&) const { return "reject"; }
  const char* operator()(const Counter&) const { return "counter"; }
  const char* operator()(const Notrack&) const { return "notrack"; }
  const char* operator()(const Dynset&) const { return "dynset"; }
  const char* operator()(const Limit&) const { return "limit"; }
  const char* operator()(const Log&) const { return "log"; }
  const char* operator()(const Unknown& e) const { return e.name.c_str(); }
};

}  // namespace

void put_expression(MessageWriter& writer, const Expression& expression, uint16_t attribute) {
  const size_t outer = writer.open(attribute);
  writer.put_string(NFTA_EXPR_NAME, std::visit(NameOf(), expression));
  const size_t data = writer.open(NFTA_EXPR_DATA);
  std::visit([&](const auto& what) { put(writer, what); }, expression);
  writer.close(data);
  writer.close(outer);
}

Expression parse_expression(Bytes attributes) {
  const AttributeTable<NFTA_EXPR_MAX> table(attributes);
  const std::string_view name = table[NFTA_EXPR_NAME].text();
  const auto* parser = std::find_if(std::begin(kParsers), std::end(kParsers),
                                    [&](const Parser& p) { return p.name == name; });
  if (parser != std::end(kParsers))
    if (Parsed parsed = parser->parse(table[NFTA_EXPR_DATA].value)) return std::move(*parsed);
  return Unknown{std::string(name)};
}

}  // namespace fairlead::netlink::nft
