// SPDX-License-Identifier: Apache-2.0
// Bytes as nftables holds them in registers, set keys and map data, and their data types. Pure.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <bit>
#include <cassert>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/address.h"

namespace fairlead::netlink::nft {

using Bytes = std::span<const uint8_t>;

// What a component of a key or of map data holds. The numbers are those of Debian's nft
// (include/datatype.h); they travel in NFTA_SET_KEY_TYPE so that nft can print the set.
enum class DataType : uint8_t {
  kNone = 0,
  kVerdict = 1,
  kNfproto = 2,       // nf_proto, 1 byte
  kInteger = 4,       // host order, 4 bytes; printable only with typeof
  kIpv4Addr = 7,      // ipv4_addr, 4 bytes
  kIpv6Addr = 8,      // ipv6_addr, 16 bytes
  kEtherType = 10,    // ether_type, 2 bytes, network order
  kInetProto = 12,    // inet_proto, 1 byte
  kInetService = 13,  // inet_service, 2 bytes, network order
  kMark = 19,         // mark, 4 bytes, host order
  kIfindex = 20,      // iface_index, 4 bytes, host order
  kCtState = 26,      // ct_state, 4 bytes, host order
  kCtStatus = 28,     // ct_status, 4 bytes, host order
  kFibAddress = 38,   // fib_addrtype, 4 bytes, host order
  kFibPresence = 39,  // boolean, but 4 bytes as fib loads it, host order
  kIfname = 41,       // ifname, 16 bytes, zero padded
};
std::string_view name_of(DataType type);
size_t size_of(DataType type);
// A component of `size` bytes within a concatenation, in bytes: whole registers of 32 bits.
constexpr size_t padded(size_t size) {
  return (size + 3) / 4 * 4;
}
inline DataType address_type(Family family) {
  return family == Family::kIpv4 ? DataType::kIpv4Addr : DataType::kIpv6Addr;
}

// Up to 64 bytes (NFT_DATA_VALUE_MAXLEN), held in place. Components of a concatenation are appended
// one after the other, each padded with zeros to 4 bytes (nft registers are 32 bits wide).
class Value {
 public:
  static constexpr size_t kMax = NFT_DATA_VALUE_MAXLEN;

  Value() : size_(0) {}
  Value(const Value& other) : size_(other.size_) { std::memcpy(data_, other.data_, size_); }
  Value& operator=(const Value& other) {
    if (this == &other) return *this;
    size_ = other.size_;
    std::memcpy(data_, other.data_, size_);
    return *this;
  }
  // Exactly these bytes. Asserts that they fit.
  static Value of(Bytes bytes) { return Value().append(bytes); }
  static Value of(const IpAddress& address) { return of(address.bytes()); }
  static Value u8(uint8_t value) { return of(Bytes(&value, 1)); }
  static Value host16(uint16_t value) { return of_integer(value); }
  static Value host32(uint32_t value) { return of_integer(value); }
  static Value be16(uint16_t value) { return of_integer<uint16_t>(__builtin_bswap16(value)); }
  static Value be32(uint32_t value) { return of_integer<uint32_t>(__builtin_bswap32(value)); }
  static Value ifname(std::string_view name);  // 16 bytes; cut to 15

  // Appends a component of a concatenation: pads what is there to 4 bytes, then adds `bytes`
  // padded.
  Value& concat(Bytes bytes) { return pad().append(bytes).pad(); }
  [[gnu::always_inline]] Value& concat(const IpAddress& address) {
    if (address.is_v6()) return concat(address.bytes());
    uint32_t word;
    std::memcpy(&word, address.bytes().data(), sizeof word);
    return concat_word(word);
  }
  Value& concat_u8(uint8_t value) { return concat_word(value); }
  Value& concat_be16(uint16_t value) { return concat_word(__builtin_bswap16(value)); }
  Value& concat_host32(uint32_t value) { return concat_word(value); }

  void clear() { size_ = 0; }

  Bytes bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint32_t to_host32() const;  // of the first four bytes; missing ones are zero
  uint16_t to_be16() const;    // of the first two bytes, as network order
  bool operator==(const Value& other) const {
    return size_ == other.size_ && std::memcmp(data_, other.data_, size_) == 0;
  }
  std::strong_ordering operator<=>(const Value& other) const;

 private:
  template <typename Integer>
  static Value of_integer(Integer value) {
    return of(Bytes(reinterpret_cast<const uint8_t*>(&value), sizeof value));
  }
  // A component of at most four bytes: what is before the padding comes first in memory.
  [[gnu::always_inline]] Value& concat_word(uint32_t word) {
    static_assert(std::endian::native == std::endian::little);
    if (size_ % 4 != 0) pad();
    assert(size_ + sizeof word <= kMax);
    std::memcpy(data_ + size_, &word, sizeof word);
    size_ += sizeof word;
    return *this;
  }
  Value& append(Bytes bytes) {
    assert(size_ + bytes.size() <= kMax);
    if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
    size_ = static_cast<uint8_t>(size_ + bytes.size());
    return *this;
  }
  Value& pad() {
    while (size_ % 4 != 0) data_[size_++] = 0;
    return *this;
  }
  uint8_t size_;
  uint8_t data_[kMax];  // only the first size_ bytes mean anything
};

struct Verdict {
  enum class Kind : int8_t { kAccept, kDrop, kContinue, kReturn, kJump, kGoto };
  Kind kind = Kind::kAccept;
  std::string chain;  // of jump and goto

  static Verdict accept() { return {Kind::kAccept, {}}; }
  static Verdict drop() { return {Kind::kDrop, {}}; }
  static Verdict returns() { return {Kind::kReturn, {}}; }
  static Verdict continues() { return {Kind::kContinue, {}}; }
  static Verdict jump(std::string chain) { return {Kind::kJump, std::move(chain)}; }
  static Verdict go_to(std::string chain) { return {Kind::kGoto, std::move(chain)}; }
  std::string to_nft() const;  // "goto sel_3"
  auto operator<=>(const Verdict&) const = default;
};

}  // namespace fairlead::netlink::nft
