// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/value.h"

#include <algorithm>

namespace fairlead::netlink::nft {

std::string_view name_of(DataType type) {
  switch (type) {
    case DataType::kNone:
      return "none";
    case DataType::kVerdict:
      return "verdict";
    case DataType::kNfproto:
      return "nf_proto";
    case DataType::kInteger:
      return "integer";
    case DataType::kIpv4Addr:
      return "ipv4_addr";
    case DataType::kIpv6Addr:
      return "ipv6_addr";
    case DataType::kInetProto:
      return "inet_proto";
    case DataType::kInetService:
      return "inet_service";
    case DataType::kMark:
      return "mark";
    case DataType::kIfindex:
      return "iface_index";
    case DataType::kIfname:
      return "ifname";
    case DataType::kEtherType:
      return "ether_type";
    case DataType::kCtState:
      return "ct_state";
    case DataType::kCtStatus:
      return "ct_status";
    case DataType::kFibAddress:
      return "fib_addrtype";
    case DataType::kFibPresence:
      return "boolean";
  }
  return "unknown";
}

size_t size_of(DataType type) {
  switch (type) {
    case DataType::kNone:
    case DataType::kVerdict:
      return 0;
    case DataType::kNfproto:
    case DataType::kInetProto:
      return 1;
    case DataType::kEtherType:
    case DataType::kInetService:
      return 2;
    case DataType::kInteger:
    case DataType::kIpv4Addr:
    case DataType::kMark:
    case DataType::kCtState:
    case DataType::kCtStatus:
    case DataType::kFibAddress:
    case DataType::kFibPresence:
    case DataType::kIfindex:
      return 4;
    case DataType::kIpv6Addr:
    case DataType::kIfname:
      return 16;
  }
  return 0;
}

Value Value::ifname(std::string_view name) {
  uint8_t bytes[16] = {};
  std::copy_n(name.begin(), std::min<size_t>(name.size(), 15), bytes);
  return of(bytes);
}

uint32_t Value::to_host32() const {
  uint32_t result = 0;
  std::memcpy(&result, data_, std::min<size_t>(size_, sizeof result));
  return result;
}

uint16_t Value::to_be16() const {
  return size_ < 2 ? 0 : static_cast<uint16_t>(data_[0] << 8 | data_[1]);
}

std::strong_ordering Value::operator<=>(const Value& other) const {
  const int order = std::memcmp(data_, other.data_, std::min(size_, other.size_));
  if (order != 0) return order < 0 ? std::strong_ordering::less : std::strong_ordering::greater;
  return size_ <=> other.size_;
}

std::string Verdict::to_nft() const {
  switch (kind) {
    case Kind::kAccept:
      return "accept";
    case Kind::kDrop:
      return "drop";
    case Kind::kContinue:
      return "continue";
    case Kind::kReturn:
      return "return";
    case Kind::kJump:
      return "jump " + chain;
    case Kind::kGoto:
      return "goto " + chain;
  }
  return "unknown";
}

}  // namespace fairlead::netlink::nft
