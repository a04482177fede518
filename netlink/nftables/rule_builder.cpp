// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/rule_builder.h"

#include <cassert>
#include <utility>

#include "netlink/nftables/netfilter.h"

namespace fairlead::netlink::nft {

namespace {

constexpr Register kFirst{0};

// nft gives each part of a statement registers from a 16-byte boundary on (netlink_linearize.c);
// doing the same makes a rule reload from its text to the same bytecode.
Register next_whole(Register at) {
  return {static_cast<uint8_t>((at.word + 3) / 4 * 4)};
}

Register behind(Register at, size_t size) {
  return {static_cast<uint8_t>(at.word + (size + 3) / 4)};
}

// The position of the port in the data "address . port" that starts at the first register.
Register port_behind(Family family) {
  return behind(kFirst, family == Family::kIpv4 ? 4 : 16);
}

Value ones(size_t size, int bits) {
  uint8_t bytes[16] = {};
  assert(size <= sizeof bytes);
  for (int bit = 0; bit < bits; ++bit)
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | 0x80 >> bit % 8);
  return Value::of(Bytes(bytes, size));
}

Value zeros(size_t size) {
  return ones(size, 0);
}

}  // namespace

RuleBuilder::RuleBuilder(const Chain& chain) : RuleBuilder(chain.family, chain.table, chain.name) {}

RuleBuilder::RuleBuilder(TableFamily family, std::string table, std::string chain) {
  rule_.family = family;
  rule_.table = std::move(table);
  rule_.chain = std::move(chain);
}

RuleBuilder& RuleBuilder::raw(Expression expression) {
  rule_.expressions.push_back(std::move(expression));
  return *this;
}

Rule RuleBuilder::build() const {
  return rule_;
}

// In a table of family inet a network header may be of either family: nft guards each rule that
// reads one by a match on nfproto, and so do we.
void RuleBuilder::guard(const Selector& selector) {
  const auto* payload = std::get_if<Payload>(&selector);
  if (rule_.family != TableFamily::kInet || payload == nullptr ||
      payload->base != NFT_PAYLOAD_NETWORK_HEADER || guarded_)
    return;
  guarded_ = true;
  const HeaderField* v6 = find_field(*payload, Family::kIpv6);
  const bool is_v6 = v6 != nullptr && v6->length == payload->length;
  match(meta_nfproto(), Value::u8(is_v6 ? NFPROTO_IPV6 : NFPROTO_IPV4));
}

Register RuleBuilder::load(const Selector& selector, Register at) {
  std::visit(
      [&](auto expression) {
        expression.to = at;
        raw(expression);
      },
      selector);
  return behind(at, size_of(selector));
}

Register RuleBuilder::load_all(const std::vector<Selector>& selectors, Register at) {
  for (const Selector& selector : selectors) guard(selector);
  for (const Selector& selector : selectors) at = load(selector, at);
  return at;
}

RuleBuilder& RuleBuilder::compare(const Selector& what, nft_cmp_ops op, const Value& value) {
  assert(value.size() == size_of(what));
  load_all({what}, kFirst);
  return raw(Cmp{op, kFirst, value});
}

RuleBuilder& RuleBuilder::match(const Selector& what, const Value& value) {
  return compare(what, NFT_CMP_EQ, value);
}
RuleBuilder& RuleBuilder::match_not(const Selector& what, const Value& value) {
  return compare(what, NFT_CMP_NEQ, value);
}
RuleBuilder& RuleBuilder::match(const Selector& what, const Cidr& cidr) {
  return compare(what, NFT_CMP_EQ, cidr);
}
RuleBuilder& RuleBuilder::match_not(const Selector& what, const Cidr& cidr) {
  return compare(what, NFT_CMP_NEQ, cidr);
}

// Whole bytes are compared by loading no more than these, as nft does it.
RuleBuilder& RuleBuilder::compare(const Selector& what, nft_cmp_ops op, const Cidr& cidr) {
  const auto address = cidr.address().bytes();
  assert(size_of(what) == address.size() && std::holds_alternative<Payload>(what));
  guard(what);
  if (cidr.prefix_length() % 8 == 0 && cidr.prefix_length() > 0) {
    Payload payload = std::get<Payload>(what);
    payload.length = static_cast<uint32_t>(cidr.prefix_length() / 8);
    load(payload, kFirst);
    return raw(Cmp{op, kFirst, Value::of(address.first(payload.length))});
  }
  load(what, kFirst);
  raw(Bitwise{kFirst, kFirst, ones(address.size(), cidr.prefix_length()), zeros(address.size())});
  return raw(Cmp{op, kFirst, Value::of(address)});
}

RuleBuilder& RuleBuilder::match_range(const Selector& what, const Value& first, const Value& last) {
  assert(first.size() == size_of(what) && last.size() == size_of(what));
  load_all({what}, kFirst);
  raw(Cmp{NFT_CMP_GTE, kFirst, first});
  return raw(Cmp{NFT_CMP_LTE, kFirst, last});
}

RuleBuilder& RuleBuilder::match_not_range(const Selector& what, const Value& first,
                                          const Value& last) {
  assert(first.size() == size_of(what) && last.size() == size_of(what));
  load_all({what}, kFirst);
  return raw(Range{NFT_RANGE_NEQ, kFirst, first, last});
}

RuleBuilder& RuleBuilder::match_masked(const Selector& what, const Value& mask,
                                       const Value& value) {
  assert(mask.size() == size_of(what) && value.size() == size_of(what));
  load_all({what}, kFirst);
  raw(Bitwise{kFirst, kFirst, mask, zeros(mask.size())});
  return raw(Cmp{NFT_CMP_EQ, kFirst, value});
}

RuleBuilder& RuleBuilder::bits(const Selector& what, uint32_t bits, nft_cmp_ops op) {
  assert(size_of(what) == 4);
  load_all({what}, kFirst);
  raw(Bitwise{kFirst, kFirst, Value::host32(bits), Value::host32(0)});
  return raw(Cmp{op, kFirst, Value::host32(0)});
}
RuleBuilder& RuleBuilder::match_any_bit(const Selector& what, uint32_t mask) {
  return bits(what, mask, NFT_CMP_NEQ);
}
RuleBuilder& RuleBuilder::match_no_bit(const Selector& what, uint32_t mask) {
  return bits(what, mask, NFT_CMP_EQ);
}

RuleBuilder& RuleBuilder::name(const Selector& what, nft_cmp_ops op, std::string_view name) {
  assert(type_of(what) == DataType::kIfname);
  load(what, kFirst);
  if (!name.empty() && name.back() == '*') {
    name.remove_suffix(1);
    return raw(Cmp{op, kFirst,
                   Value::of(Bytes(reinterpret_cast<const uint8_t*>(name.data()),
                                   std::min<size_t>(name.size(), 15)))});
  }
  return raw(Cmp{op, kFirst, Value::ifname(name)});
}
RuleBuilder& RuleBuilder::match_name(const Selector& what, std::string_view text) {
  return name(what, NFT_CMP_EQ, text);
}
RuleBuilder& RuleBuilder::match_not_name(const Selector& what, std::string_view text) {
  return name(what, NFT_CMP_NEQ, text);
}

RuleBuilder& RuleBuilder::in_set(const std::vector<Selector>& key, std::string set) {
  load_all(key, kFirst);
  return raw(Lookup{std::move(set), kFirst, false, false, {}});
}
RuleBuilder& RuleBuilder::not_in_set(const std::vector<Selector>& key, std::string set) {
  load_all(key, kFirst);
  return raw(Lookup{std::move(set), kFirst, true, false, {}});
}
RuleBuilder& RuleBuilder::vmap(const std::vector<Selector>& key, std::string map) {
  load_all(key, kFirst);
  return raw(Lookup{std::move(map), kFirst, false, true, {}});
}

RuleBuilder& RuleBuilder::dnat_from_map(Family family, const std::vector<Selector>& key,
                                        std::string map, bool with_port) {
  return nat_from_map(NFT_NAT_DNAT, family, key, std::move(map), with_port);
}
RuleBuilder& RuleBuilder::snat_from_map(Family family, const std::vector<Selector>& key,
                                        std::string map, bool with_port) {
  return nat_from_map(NFT_NAT_SNAT, family, key, std::move(map), with_port);
}

RuleBuilder& RuleBuilder::nat_from_map(nft_nat_types type, Family family,
                                       const std::vector<Selector>& key, std::string map,
                                       bool with_port) {
  load_all(key, kFirst);
  raw(Lookup{std::move(map), kFirst, false, false, kFirst});
  Nat nat{type, family, kFirst, {}, 0};
  if (with_port) nat.port = port_behind(family);
  return raw(nat);
}

RuleBuilder& RuleBuilder::dnat(const IpAddress& address, uint16_t port) {
  return nat_constant(NFT_NAT_DNAT, address, port, 0);
}
RuleBuilder& RuleBuilder::snat(const IpAddress& address, uint16_t port, uint32_t flags) {
  return nat_constant(NFT_NAT_SNAT, address, port, flags);
}

RuleBuilder& RuleBuilder::nat_constant(nft_nat_types type, const IpAddress& address, uint16_t port,
                                       uint32_t flags) {
  Nat nat{type, address.family(), kFirst, {}, flags};
  raw(ImmediateData{kFirst, Value::of(address)});
  if (port != 0) {
    nat.port = next_whole(behind(kFirst, address.bytes().size()));
    raw(ImmediateData{*nat.port, Value::be16(port)});
  }
  return raw(nat);
}

RuleBuilder& RuleBuilder::change_mark(uint32_t keep, uint32_t flip) {
  load(meta_mark(), kFirst);
  raw(Bitwise{kFirst, kFirst, Value::host32(keep), Value::host32(flip)});
  return raw(MetaSet{NFT_META_MARK, kFirst});
}

RuleBuilder& RuleBuilder::set_mark(uint32_t value) {
  raw(ImmediateData{kFirst, Value::host32(value)});
  return raw(MetaSet{NFT_META_MARK, kFirst});
}

RuleBuilder& RuleBuilder::set_mark_from(const Selector& what) {
  assert(size_of(what) == 4);
  load_all({what}, kFirst);
  return raw(MetaSet{NFT_META_MARK, kFirst});
}

RuleBuilder& RuleBuilder::set_mark_from_map(const std::vector<Selector>& key, std::string map) {
  load_all(key, kFirst);
  raw(Lookup{std::move(map), kFirst, false, false, kFirst});
  return raw(MetaSet{NFT_META_MARK, kFirst});
}

RuleBuilder& RuleBuilder::load_jhash(const std::vector<Selector>& key, uint32_t modulus,
                                     std::optional<uint32_t> seed, uint32_t offset) {
  const Register from{4};
  const Register end = load_all(key, from);
  const auto length = static_cast<uint32_t>((end.word - from.word) * NFT_REG32_SIZE);
  return raw(Jhash{modulus, seed, offset, length, from, kFirst});
}

RuleBuilder& RuleBuilder::set_mark_from_jhash(const std::vector<Selector>& key, uint32_t modulus,
                                              std::optional<uint32_t> seed, uint32_t offset) {
  load_jhash(key, modulus, seed, offset);
  return raw(MetaSet{NFT_META_MARK, kFirst});
}

RuleBuilder& RuleBuilder::dnat_from_jhash(Family family, const std::vector<Selector>& key,
                                          uint32_t modulus, std::optional<uint32_t> seed,
                                          std::string map, bool with_port) {
  load_jhash(key, modulus, seed, 0);
  raw(Lookup{std::move(map), kFirst, false, false, kFirst});
  Nat nat{NFT_NAT_DNAT, family, kFirst, {}, 0};
  if (with_port) nat.port = port_behind(family);
  return raw(nat);
}

RuleBuilder& RuleBuilder::update_set(const std::vector<Selector>& key, std::string set,
                                     uint64_t timeout_ms) {
  load_all(key, kFirst);
  return raw(Dynset{NFT_DYNSET_OP_UPDATE, std::move(set), kFirst, {}, timeout_ms});
}
RuleBuilder& RuleBuilder::add_to_set(const std::vector<Selector>& key, std::string set,
                                     uint64_t timeout_ms) {
  load_all(key, kFirst);
  return raw(Dynset{NFT_DYNSET_OP_ADD, std::move(set), kFirst, {}, timeout_ms});
}

RuleBuilder& RuleBuilder::update_map(const std::vector<Selector>& key,
                                     const std::vector<Selector>& data, std::string map,
                                     uint64_t timeout_ms) {
  const Register at = next_whole(load_all(key, kFirst));
  load_all(data, at);
  return raw(Dynset{NFT_DYNSET_OP_UPDATE, std::move(map), kFirst, at, timeout_ms});
}

RuleBuilder& RuleBuilder::update_map(const std::vector<Selector>& key,
                                     const std::vector<Value>& data, std::string map,
                                     uint64_t timeout_ms) {
  const Register at = next_whole(load_all(key, kFirst));
  Register to = at;
  for (const Value& component : data) {
    raw(ImmediateData{to, component});
    to = behind(to, component.size());
  }
  return raw(Dynset{NFT_DYNSET_OP_UPDATE, std::move(map), kFirst, at, timeout_ms});
}

RuleBuilder& RuleBuilder::counter() {
  return raw(Counter{});
}
RuleBuilder& RuleBuilder::limit(uint64_t rate, uint64_t unit_seconds, uint32_t burst, bool over) {
  return raw(Limit{rate, unit_seconds, burst, over});
}
RuleBuilder& RuleBuilder::log(std::string prefix) {
  return raw(Log{std::move(prefix), {}});
}
RuleBuilder& RuleBuilder::notrack() {
  return raw(Notrack{});
}
RuleBuilder& RuleBuilder::masquerade(bool fully_random) {
  return raw(
      Masquerade{fully_random ? static_cast<uint32_t>(NF_NAT_RANGE_PROTO_RANDOM_FULLY) : 0u});
}

// ICMP destination unreachable, port: code 3 (RFC 792) or 4 (RFC 4443); icmpx lets the kernel
// choose.
RuleBuilder& RuleBuilder::reject() {
  if (rule_.family == TableFamily::kIp) return raw(Reject{NFT_REJECT_ICMP_UNREACH, 3});
  if (rule_.family == TableFamily::kIp6) return raw(Reject{NFT_REJECT_ICMP_UNREACH, 4});
  return raw(Reject{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH});
}
RuleBuilder& RuleBuilder::reject_tcp_reset() {
  return raw(Reject{NFT_REJECT_TCP_RST, 0});
}

RuleBuilder& RuleBuilder::verdict(Verdict verdict) {
  return raw(ImmediateVerdict{std::move(verdict)});
}

RuleBuilder& RuleBuilder::comment(std::string text) {
  rule_.comment = std::move(text);
  return *this;
}

}  // namespace fairlead::netlink::nft
