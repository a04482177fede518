// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/expression.h"

#include <linux/netfilter/nf_conntrack_tuple_common.h>

#include <type_traits>

namespace fairlead::netlink::nft {

namespace {

constexpr uint32_t kWordsPerRegister = NFT_REG_SIZE / NFT_REG32_SIZE;

// nft's numbers of headers: include/proto.h, enum proto_desc_id.
constexpr uint32_t kTh = 11;
constexpr uint32_t kIp = 12;
constexpr uint32_t kIp6 = 13;

constexpr HeaderField kFields[] = {
    {"ip", "saddr", NFT_PAYLOAD_NETWORK_HEADER, 12, 4, DataType::kIpv4Addr, kIp, 11},
    {"ip", "daddr", NFT_PAYLOAD_NETWORK_HEADER, 16, 4, DataType::kIpv4Addr, kIp, 12},
    {"ip", "protocol", NFT_PAYLOAD_NETWORK_HEADER, 9, 1, DataType::kInetProto, kIp, 9},
    {"ip6", "saddr", NFT_PAYLOAD_NETWORK_HEADER, 8, 16, DataType::kIpv6Addr, kIp6, 8},
    {"ip6", "daddr", NFT_PAYLOAD_NETWORK_HEADER, 24, 16, DataType::kIpv6Addr, kIp6, 9},
    {"ip6", "nexthdr", NFT_PAYLOAD_NETWORK_HEADER, 6, 1, DataType::kInetProto, kIp6, 6},
    {"th", "sport", NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, DataType::kInetService, kTh, 1},
    {"th", "dport", NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, DataType::kInetService, kTh, 2},
};

DataType type_of_meta(nft_meta_keys key) {
  switch (static_cast<uint32_t>(key)) {
    case NFT_META_L4PROTO:
      return DataType::kInetProto;
    case NFT_META_NFPROTO:
      return DataType::kNfproto;
    case NFT_META_PROTOCOL:
      return DataType::kEtherType;
    case NFT_META_MARK:
      return DataType::kMark;
    case NFT_META_IIF:
    case NFT_META_OIF:
      return DataType::kIfindex;
    case NFT_META_IIFNAME:
    case NFT_META_OIFNAME:
      return DataType::kIfname;
    default:
      return DataType::kNone;
  }
}

DataType type_of_ct(nft_ct_keys key) {
  switch (static_cast<uint32_t>(key)) {
    case NFT_CT_STATE:
      return DataType::kCtState;
    case NFT_CT_STATUS:
      return DataType::kCtStatus;
    case NFT_CT_MARK:
      return DataType::kMark;
    case NFT_CT_SRC_IP:
    case NFT_CT_DST_IP:
      return DataType::kIpv4Addr;
    case NFT_CT_SRC_IP6:
    case NFT_CT_DST_IP6:
      return DataType::kIpv6Addr;
    case NFT_CT_PROTO_SRC:
    case NFT_CT_PROTO_DST:
      return DataType::kInetService;
    default:
      return DataType::kNone;
  }
}

DataType type_of_fib(const Fib& fib) {
  if ((fib.flags & NFTA_FIB_F_PRESENT) != 0) return DataType::kFibPresence;
  switch (static_cast<uint32_t>(fib.result)) {
    case NFT_FIB_RESULT_ADDRTYPE:
      return DataType::kFibAddress;
    case NFT_FIB_RESULT_OIF:
      return DataType::kIfindex;
    case NFT_FIB_RESULT_OIFNAME:
      return DataType::kIfname;
    default:
      return DataType::kNone;
  }
}

}  // namespace

Register Register::from_netlink(uint32_t number) {
  if (number >= NFT_REG32_00 && number <= NFT_REG32_15)
    return {static_cast<uint8_t>(number - NFT_REG32_00)};
  if (number >= NFT_REG_1 && number <= NFT_REG_4)
    return {static_cast<uint8_t>((number - NFT_REG_1) * kWordsPerRegister)};
  return {};
}

uint32_t Register::to_netlink() const {
  return word % kWordsPerRegister == 0 ? NFT_REG_1 + word / kWordsPerRegister : NFT_REG32_00 + word;
}

Selector ip_saddr(Family family) {
  return family == Family::kIpv4 ? Payload{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, {}}
                                 : Payload{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, {}};
}
Selector ip_daddr(Family family) {
  return family == Family::kIpv4 ? Payload{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, {}}
                                 : Payload{NFT_PAYLOAD_NETWORK_HEADER, 24, 16, {}};
}
Selector th_sport() {
  return Payload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, {}};
}
Selector th_dport() {
  return Payload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, {}};
}
Selector meta_l4proto() {
  return Meta{NFT_META_L4PROTO, {}};
}
Selector meta_nfproto() {
  return Meta{NFT_META_NFPROTO, {}};
}
Selector meta_protocol() {
  return Meta{NFT_META_PROTOCOL, {}};
}
Selector meta_mark() {
  return Meta{NFT_META_MARK, {}};
}
Selector meta_iif() {
  return Meta{NFT_META_IIF, {}};
}
Selector meta_oif() {
  return Meta{NFT_META_OIF, {}};
}
Selector meta_iifname() {
  return Meta{NFT_META_IIFNAME, {}};
}
Selector meta_oifname() {
  return Meta{NFT_META_OIFNAME, {}};
}
Selector ct_state() {
  return Ct{NFT_CT_STATE, {}, {}};
}
Selector ct_status() {
  return Ct{NFT_CT_STATUS, {}, {}};
}
Selector ct_original_daddr(Family family) {
  return Ct{family == Family::kIpv4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, {}, IP_CT_DIR_ORIGINAL};
}
Selector ct_original_dport() {
  return Ct{NFT_CT_PROTO_DST, {}, IP_CT_DIR_ORIGINAL};
}
Selector ct_mark() {
  return Ct{NFT_CT_MARK, {}, {}};
}
Selector numgen_random(uint32_t modulus) {
  return Numgen{NFT_NG_RANDOM, modulus, 0, {}};
}
Selector numgen_inc(uint32_t modulus) {
  return Numgen{NFT_NG_INCREMENTAL, modulus, 0, {}};
}
Selector fib_saddr_type() {
  return Fib{NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR, {}};
}
Selector fib_daddr_type() {
  return Fib{NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, {}};
}
Selector fib_saddr_iif_oif() {
  return Fib{NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, {}};
}

size_t size_of(const Selector& selector) {
  if (const auto* payload = std::get_if<Payload>(&selector)) return payload->length;
  return size_of(type_of(selector));
}

DataType type_of(const Selector& selector) {
  return std::visit(
      [](const auto& what) -> DataType {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, Payload>) {
          // Lengths tell the families' address fields apart.
          const HeaderField* field =
              find_field(what, what.length == 16 ? Family::kIpv6 : Family::kIpv4);
          return field != nullptr ? field->type : DataType::kNone;
        } else if constexpr (std::is_same_v<T, Meta>) {
          return type_of_meta(what.key);
        } else if constexpr (std::is_same_v<T, Ct>) {
          return type_of_ct(what.key);
        } else if constexpr (std::is_same_v<T, Numgen>) {
          return DataType::kInteger;
        } else {
          return type_of_fib(what);
        }
      },
      selector);
}

const HeaderField* find_field(const Payload& payload, std::optional<Family> family) {
  for (const HeaderField& field : kFields) {
    if (field.base != payload.base || field.offset != payload.offset) continue;
    if (payload.length == 0 || payload.length > field.length) continue;
    if (field.nft_header == kIp && family != Family::kIpv4) continue;
    if (field.nft_header == kIp6 && family != Family::kIpv6) continue;
    return &field;
  }
  return nullptr;
}

const HeaderField* find_field(uint32_t nft_header, uint32_t nft_field) {
  for (const HeaderField& field : kFields)
    if (field.nft_header == nft_header && field.nft_field == nft_field) return &field;
  return nullptr;
}

}  // namespace fairlead::netlink::nft
