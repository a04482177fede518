// SPDX-License-Identifier: Apache-2.0
// IP addresses, prefixes and endpoints of both families as small values. Pure; no name resolution.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead {

enum class Family : uint8_t { kIpv4 = 4, kIpv6 = 6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // Strict: exactly what inet_pton(3) takes; no zone, no leading zeros in IPv4 octets.
  static Result<IpAddress> parse(std::string_view text);
  // As Kubernetes reads addresses stored by old clients: IPv4 octets may have leading zeros
  // ("010.0.0.1" is 10.0.0.1), and an IPv4-mapped IPv6 address is the IPv4 address
  // (k8s.io/utils/net ParseIPSloppy).
  static Result<IpAddress> parse_lenient(std::string_view text);
  // 4 or 16 bytes in network order; asserts any other length.
  static IpAddress from_bytes(std::span<const uint8_t> bytes);
  static IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
  static IpAddress any(Family family);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kIpv4; }
  bool is_v6() const { return family_ == Family::kIpv6; }
  std::span<const uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4u : 16u}; }
  int bits() const { return is_v4() ? 32 : 128; }

  bool is_unspecified() const;
  bool is_loopback() const;    // 127.0.0.0/8 or ::1
  bool is_link_local() const;  // 169.254.0.0/16 or fe80::/10
  bool is_multicast() const;   // 224.0.0.0/4 or ff00::/8

  // Dotted quad, or RFC 5952 text.
  std::string to_string() const;

  bool operator==(const IpAddress& other) const {
    return family_ == other.family_ && word(0) == other.word(0) && word(8) == other.word(8);
  }
  // IPv4 first, then as the bytes in network order.
  std::strong_ordering operator<=>(const IpAddress& other) const {
    if (family_ != other.family_) return family_ <=> other.family_;
    const std::strong_ordering high = word(0) <=> other.word(0);
    return high != 0 ? high : word(8) <=> other.word(8);
  }

 private:
  uint64_t word(size_t at) const {
    uint64_t value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return __builtin_bswap64(value);
  }

  Family family_ = Family::kIpv4;
  std::array<uint8_t, 16> bytes_{};  // IPv4 in the first four; the rest zero
};

// A prefix. Bits after the prefix are always zero.
class Cidr {
 public:
  Cidr() = default;  // 0.0.0.0/0
  // Clears the bits after `prefix_length`; asserts that it fits the family.
  Cidr(const IpAddress& address, int prefix_length);
  static Cidr host(const IpAddress& address) { return Cidr(address, address.bits()); }

  // "10.0.0.0/8". Host bits are cleared, as net.ParseCIDR does.
  static Result<Cidr> parse(std::string_view text);
  // With leading zeros as IpAddress::parse_lenient.
  static Result<Cidr> parse_lenient(std::string_view text);

  const IpAddress& address() const { return address_; }
  int prefix_length() const { return prefix_length_; }
  Family family() const { return address_.family(); }
  bool contains(const IpAddress& address) const;
  bool contains(const Cidr& other) const;
  IpAddress netmask() const;
  // The highest address in the prefix.
  IpAddress last() const;

  std::string to_string() const;
  auto operator<=>(const Cidr&) const = default;

 private:
  IpAddress address_;
  int prefix_length_ = 0;
};

// An address and a port, as bind and connect take them.
struct SocketAddress {
  IpAddress address;
  uint16_t port = 0;
  uint32_t scope = 0;  // index of the link that a link-local IPv6 address holds on; else 0

  // "10.0.0.1:53" or "[::1]:53"; no scope.
  static Result<SocketAddress> parse(std::string_view text);
  static SocketAddress from_sockaddr(const sockaddr* address);  // asserts AF_INET or AF_INET6
  // Fills `storage` and returns the length to pass with it.
  socklen_t to_sockaddr(sockaddr_storage& storage) const;
  std::string to_string() const;  // with a scope "[fe80::1%3]:53" (RFC 4007 section 11)
  auto operator<=>(const SocketAddress&) const = default;
};

}  // namespace fairlead

template <>
struct std::hash<fairlead::IpAddress> {
  size_t operator()(const fairlead::IpAddress& address) const noexcept {
    const auto bytes = address.bytes();
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
};
template <>
struct std::hash<fairlead::SocketAddress> {
  size_t operator()(const fairlead::SocketAddress& a) const noexcept {
    return (std::hash<fairlead::IpAddress>{}(a.address) * 31 + a.port) * 31 + a.scope;
  }
};
