// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>

namespace fairlead {
namespace {

Error bad_address(std::string_view text) {
  return Error(ErrorCode::kInvalid, "'" + std::string(text) + "' is not an IP address");
}

Error bad_cidr(std::string_view text) {
  return Error(ErrorCode::kInvalid,
               "'" + std::string(text) + "' is not a CIDR such as 10.0.0.0/8 or fd00::/64");
}

// Decimal digits only, at most `max`.
bool parse_number(std::string_view text, unsigned max, unsigned& number) {
  if (text.empty() ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number <= max;
}

std::string strip_octet_zeros(std::string_view text) {
  std::string stripped;
  bool at_octet_start = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit_follows = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (at_octet_start && text[i] == '0' && digit_follows) continue;
    at_octet_start = text[i] == '.';
    stripped += text[i];
  }
  return stripped;
}

constexpr unsigned kMappedBits = 96;  // before the IPv4 address (RFC 4291 section 2.5.5.2)

bool is_mapped_v4(std::span<const uint8_t> bytes) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return bytes.size() == 16 && std::equal(std::begin(kPrefix), std::end(kPrefix), bytes.begin());
}

Result<Cidr> parse_cidr(std::string_view text,
                        Result<IpAddress> (*parse_address)(std::string_view)) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return bad_cidr(text);
  const Result<IpAddress> address = parse_address(text.substr(0, slash));
  if (!address.ok()) return bad_cidr(text);
  // An address of IPv4 may have been written as one of IPv6: the length counts from its beginning.
  const bool mapped = address->is_v4() && text.substr(0, slash).find(':') != text.npos;
  unsigned length = 0;
  if (!parse_number(text.substr(slash + 1), mapped ? 128 : static_cast<unsigned>(address->bits()),
                    length) ||
      (mapped && length < kMappedBits))
    return bad_cidr(text);
  return Cidr(*address, static_cast<int>(length - (mapped ? kMappedBits : 0)));
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer) return bad_address(text);
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return bad_address(text);
  IpAddress address;
  if (inet_pton(AF_INET, buffer, address.bytes_.data()) == 1) return address;
  address.family_ = Family::kIpv6;
  if (inet_pton(AF_INET6, buffer, address.bytes_.data()) == 1) return address;
  return bad_address(text);
}

Result<IpAddress> IpAddress::parse_lenient(std::string_view text) {
  const bool dotted = text.find(':') == std::string_view::npos;
  const Result<IpAddress> address = dotted ? parse(strip_octet_zeros(text)) : parse(text);
  if (!address.ok()) return bad_address(text);
  if (is_mapped_v4(address->bytes())) return from_bytes(address->bytes().subspan(12));
  return address;
}

IpAddress IpAddress::from_bytes(std::span<const uint8_t> bytes) {
  assert(bytes.size() == 4 || bytes.size() == 16);
  IpAddress address;
  address.family_ = bytes.size() == 4 ? Family::kIpv4 : Family::kIpv6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const uint8_t bytes[4] = {a, b, c, d};
  return from_bytes(bytes);
}

IpAddress IpAddress::any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

Cidr::Cidr(const IpAddress& address, int prefix_length) : prefix_length_(prefix_length) {
  assert(prefix_length >= 0 && prefix_length <= address.bits());
  std::array<uint8_t, 16> bytes{};
  const auto from = address.bytes();
  for (size_t i = 0; i < from.size(); ++i) {
    const int kept = std::clamp(prefix_length - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = from[i] & static_cast<uint8_t>(0xff00 >> kept);
  }
  address_ = IpAddress::from_bytes({bytes.data(), from.size()});
}

Result<Cidr> Cidr::parse(std::string_view text) {
  return parse_cidr(text, &IpAddress::parse);
}
Result<Cidr> Cidr::parse_lenient(std::string_view text) {
  return parse_cidr(text, &IpAddress::parse_lenient);
}

bool Cidr::contains(const IpAddress& address) const {
  return address.family() == family() && Cidr(address, prefix_length_).address_ == address_;
}

bool Cidr::contains(const Cidr& other) const {
  return other.prefix_length_ >= prefix_length_ && contains(other.address_);
}

IpAddress Cidr::netmask() const {
  std::array<uint8_t, 16> ones;
  ones.fill(0xff);
  return Cidr(IpAddress::from_bytes({ones.data(), address_.bytes().size()}), prefix_length_)
      .address();
}

IpAddress Cidr::last() const {
  std::array<uint8_t, 16> bytes{};
  const auto from = address_.bytes();
  const IpAddress mask = netmask();
  for (size_t i = 0; i < from.size(); ++i)
    bytes[i] = static_cast<uint8_t>(from[i] | ~mask.bytes()[i]);
  return IpAddress::from_bytes({bytes.data(), from.size()});
}

std::string Cidr::to_string() const {
  return address_.to_string() + "/" + std::to_string(prefix_length_);
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const Error bad(
      ErrorCode::kInvalid,
      "'" + std::string(text) + "' is not an address and port such as 10.0.0.1:53 or [::1]:53");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const Result<IpAddress> address = IpAddress::parse(host);
  unsigned port = 0;
  if (!address.ok() || address->is_v6() != bracketed ||
      !parse_number(text.substr(colon + 1), 65535, port))
    return bad;
  return SocketAddress{*address, static_cast<uint16_t>(port)};
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    return {IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(&in->sin_addr), 4}),
            ntohs(in->sin_port)};
  }
  assert(address->sa_family == AF_INET6);
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
  const auto ip = IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(&in6->sin6_addr), 16});
  return {ip, ntohs(in6->sin6_port), ip.is_link_local() ? in6->sin6_scope_id : 0};
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& storage) const {
  storage = {};
  if (address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, address.bytes().data(), 4);
    return sizeof *in;
  }
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  in6->sin6_scope_id = scope;
  std::memcpy(&in6->sin6_addr, address.bytes().data(), 16);
  return sizeof *in6;
}

std::string SocketAddress::to_string() const {
  const std::string zone = scope == 0 ? "" : "%" + std::to_string(scope);
  const std::string host = address.to_string() + zone;
  return (address.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace fairlead
