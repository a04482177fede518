// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/text_value.h"

#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <type_traits>

namespace fairlead::netlink::nft {

namespace {

struct Name {
  uint32_t value;
  std::string_view name;
};

// The names of Debian's /etc/protocols, which nft asks.
constexpr Name kProtocols[] = {
    {1, "icmp"},  {2, "igmp"},   {4, "ipencap"}, {6, "tcp"},  {17, "udp"},       {33, "dccp"},
    {41, "ipv6"}, {47, "gre"},   {50, "esp"},    {51, "ah"},  {58, "ipv6-icmp"}, {89, "ospf"},
    {103, "pim"}, {112, "vrrp"}, {132, "sctp"},  {133, "fc"}, {136, "udplite"},
};
constexpr Name kNfProtocols[] = {{NFPROTO_IPV4, "ipv4"}, {NFPROTO_IPV6, "ipv6"}};
constexpr Name kEtherTypes[] = {{ETH_P_IP, "ip"},
                                {ETH_P_ARP, "arp"},
                                {ETH_P_IPV6, "ip6"},
                                {ETH_P_8021Q, "8021q"},
                                {ETH_P_8021AD, "8021ad"}};
constexpr Name kCtStates[] = {
    {1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}};
constexpr Name kCtStatuses[] = {{IPS_EXPECTED, "expected"}, {IPS_SEEN_REPLY, "seen-reply"},
                                {IPS_ASSURED, "assured"},   {IPS_CONFIRMED, "confirmed"},
                                {IPS_SRC_NAT, "snat"},      {IPS_DST_NAT, "dnat"},
                                {IPS_DYING, "dying"}};
constexpr Name kFibTypes[] = {
    {RTN_UNSPEC, "unspec"},       {RTN_UNICAST, "unicast"},         {RTN_LOCAL, "local"},
    {RTN_BROADCAST, "broadcast"}, {RTN_ANYCAST, "anycast"},         {RTN_MULTICAST, "multicast"},
    {RTN_BLACKHOLE, "blackhole"}, {RTN_UNREACHABLE, "unreachable"}, {RTN_PROHIBIT, "prohibit"}};

template <size_t N>
std::string lookup(const Name (&names)[N], uint32_t value, const char* format = "%u") {
  for (const Name& name : names)
    if (name.value == value) return std::string(name.name);
  char text[16];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

uint32_t host32(Bytes value) {
  uint32_t result = 0;
  std::memcpy(&result, value.data(), std::min(value.size(), sizeof result));
  return result;
}
uint32_t big_endian(Bytes value) {
  uint32_t result = 0;
  for (const uint8_t byte : value.first(std::min<size_t>(value.size(), 4)))
    result = result << 8 | byte;
  return result;
}

std::string address_text(Bytes value) {
  if (value.size() != 4 && value.size() != 16) return hex(value);
  return IpAddress::from_bytes(value).to_string();
}

bool is_address(DataType type) {
  return type == DataType::kIpv4Addr || type == DataType::kIpv6Addr;
}

}  // namespace

std::string hex(Bytes value) {
  std::string text = "0x";
  for (const uint8_t byte : value) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

std::string mark_text(uint32_t mark) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mark);
  return text;
}

std::string time_text(uint64_t milliseconds) {
  constexpr struct {
    uint64_t size;
    const char* unit;
  } kUnits[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
  std::string text;
  for (const auto& [size, unit] : kUnits) {
    if (milliseconds >= size) text += std::to_string(milliseconds / size) + unit;
    milliseconds %= size;
  }
  return text.empty() ? "0s" : text;
}

std::string value_text(DataType type, Bytes value) {
  switch (type) {
    case DataType::kIpv4Addr:
    case DataType::kIpv6Addr:
      return address_text(value);
    case DataType::kInetProto:
      return lookup(kProtocols, big_endian(value));
    case DataType::kInetService:
      return std::to_string(big_endian(value));
    case DataType::kNfproto:
      return lookup(kNfProtocols, big_endian(value));
    case DataType::kEtherType:
      return lookup(kEtherTypes, big_endian(value), "0x%04x");
    case DataType::kInteger:
      return std::to_string(host32(value));
    case DataType::kMark:
      return mark_text(host32(value));
    // Other interfaces have names only the kernel knows; lo is the first in every namespace.
    case DataType::kIfindex:
      return host32(value) == 1 ? "\"lo\"" : std::to_string(host32(value));
    case DataType::kIfname: {
      const auto end = std::find(value.begin(), value.end(), uint8_t{0});
      return quoted(std::string(value.begin(), end) + (value.size() < 16 ? "*" : ""));
    }
    case DataType::kCtState:
    case DataType::kCtStatus:
      return bits_text(type, host32(value));
    case DataType::kFibAddress:
      return lookup(kFibTypes, host32(value));
    case DataType::kFibPresence:
      return host32(value) == 0 ? "missing" : "exists";
    case DataType::kNone:
    case DataType::kVerdict:
      return hex(value);
  }
  return hex(value);
}

std::string bits_text(DataType type, uint32_t bits) {
  std::string text;
  const auto collect = [&](const auto& names) {
    for (const Name& name : names)
      if ((bits & name.value) != 0) {
        text += (text.empty() ? "" : ",") + std::string(name.name);
        bits &= ~name.value;
      }
  };
  if (type == DataType::kCtState) collect(kCtStates);
  if (type == DataType::kCtStatus) collect(kCtStatuses);
  if (bits != 0 || text.empty()) {
    char rest[16];
    std::snprintf(rest, sizeof rest, "0x%x", bits);
    text += (text.empty() ? "" : ",") + std::string(rest);
  }
  return text;
}

std::optional<int> prefix_of_mask(Bytes mask) {
  int length = 0;
  bool ended = false;
  for (const uint8_t byte : mask)
    for (int bit = 7; bit >= 0; --bit) {
      const bool one = (byte >> bit & 1) != 0;
      if (one && ended) return std::nullopt;
      ended = ended || !one;
      length += one ? 1 : 0;
    }
  return length;
}

std::string prefix_text(DataType type, Bytes value, int length) {
  uint8_t whole[16] = {};
  std::copy_n(value.begin(), std::min<size_t>(value.size(), 16), whole);
  return value_text(type, Bytes(whole, size_of(type))) + "/" + std::to_string(length);
}

std::string range_text(DataType type, Bytes first, Bytes last) {
  if (std::equal(first.begin(), first.end(), last.begin(), last.end()))
    return value_text(type, first);
  if (is_address(type) && first.size() == last.size() && first.size() <= 16) {
    uint8_t mask[16] = {};
    bool aligned = true;
    for (size_t i = 0; i < first.size(); ++i) {
      mask[i] = static_cast<uint8_t>(~(first[i] ^ last[i]));
      aligned = aligned && (first[i] & ~mask[i]) == 0;
    }
    const auto length = prefix_of_mask(Bytes(mask, first.size()));
    if (aligned && length) return prefix_text(type, first, *length);
  }
  return value_text(type, first) + "-" + value_text(type, last);
}

namespace {

std::string fib_text(const Fib& fib) {
  constexpr Name kFlags[] = {{NFTA_FIB_F_SADDR, "saddr"},
                             {NFTA_FIB_F_DADDR, "daddr"},
                             {NFTA_FIB_F_MARK, "mark"},
                             {NFTA_FIB_F_IIF, "iif"},
                             {NFTA_FIB_F_OIF, "oif"}};
  std::string text;
  for (const Name& flag : kFlags)
    if ((fib.flags & flag.value) != 0) text += (text.empty() ? "" : " . ") + std::string(flag.name);
  if (fib.result == NFT_FIB_RESULT_ADDRTYPE) return "fib " + text + " type";
  return "fib " + text + (fib.result == NFT_FIB_RESULT_OIFNAME ? " oifname" : " oif");
}

std::string meta_text(nft_meta_keys key) {
  switch (static_cast<uint32_t>(key)) {
    case NFT_META_L4PROTO:
      return "meta l4proto";
    case NFT_META_NFPROTO:
      return "meta nfproto";
    case NFT_META_PROTOCOL:
      return "meta protocol";
    case NFT_META_MARK:
      return "meta mark";
    case NFT_META_IIF:
      return "iif";
    case NFT_META_OIF:
      return "oif";
    case NFT_META_IIFNAME:
      return "iifname";
    case NFT_META_OIFNAME:
      return "oifname";
    default:
      return "meta " + std::to_string(static_cast<uint32_t>(key));
  }
}

std::string ct_text(const Ct& ct) {
  const std::string direction = !ct.direction ? "" : *ct.direction == 0 ? "original " : "reply ";
  switch (static_cast<uint32_t>(ct.key)) {
    case NFT_CT_STATE:
      return "ct state";
    case NFT_CT_STATUS:
      return "ct status";
    case NFT_CT_MARK:
      return "ct mark";
    case NFT_CT_SRC_IP:
      return "ct " + direction + "ip saddr";
    case NFT_CT_DST_IP:
      return "ct " + direction + "ip daddr";
    case NFT_CT_SRC_IP6:
      return "ct " + direction + "ip6 saddr";
    case NFT_CT_DST_IP6:
      return "ct " + direction + "ip6 daddr";
    case NFT_CT_PROTO_SRC:
      return "ct " + direction + "proto-src";
    case NFT_CT_PROTO_DST:
      return "ct " + direction + "proto-dst";
    default:
      return "ct " + direction + std::to_string(static_cast<uint32_t>(ct.key));
  }
}

std::string payload_text(const Payload& payload, std::optional<Family> family,
                         std::string_view transport) {
  if (const HeaderField* field = find_field(payload, family)) {
    const bool named = field->header == "th" && !transport.empty();
    return std::string(named ? transport : field->header) + " " + std::string(field->field);
  }
  constexpr const char* kBases[] = {"@ll", "@nh", "@th"};
  return std::string(kBases[payload.base]) + "," + std::to_string(uint64_t{payload.offset} * 8) +
         "," + std::to_string(uint64_t{payload.length} * 8);
}

}  // namespace

std::string selector_text(const Selector& selector, std::optional<Family> family,
                          std::string_view transport) {
  return std::visit(
      [&](const auto& what) -> std::string {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, Payload>) {
          return payload_text(what, family, transport);
        } else if constexpr (std::is_same_v<T, Meta>) {
          return meta_text(what.key);
        } else if constexpr (std::is_same_v<T, Ct>) {
          return ct_text(what);
        } else if constexpr (std::is_same_v<T, Numgen>) {
          return std::string("numgen ") + (what.type == NFT_NG_RANDOM ? "random" : "inc") +
                 " mod " + std::to_string(what.modulus) +
                 (what.offset != 0 ? " offset " + std::to_string(what.offset) : "");
        } else {
          return fib_text(what);
        }
      },
      selector);
}

}  // namespace fairlead::netlink::nft
