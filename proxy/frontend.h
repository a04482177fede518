// SPDX-License-Identifier: Apache-2.0
// The two values everything in the proxy is about: where clients send packets (Frontend) and where
// packets may go (Backends). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "kube/objects.h"

namespace fairlead::proxy {

using kube::Protocol;

// The numbers of the transport protocols in IP headers (RFC 5237 registry).
uint8_t protocol_number(Protocol protocol);
std::optional<Protocol> protocol_of(uint8_t number);  // nullopt: no protocol of services
// "tcp", "udp", "sctp", as nft writes them.
const char* protocol_name(Protocol protocol);

// What a packet carries that makes it a service's. A node port listens on every address of the
// node: its `address` is the unspecified one of its family.
struct Frontend {
  IpAddress address;
  uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;
  bool node_port = false;

  static Frontend vip(const IpAddress& address, Protocol protocol, uint16_t port) {
    return {address, port, protocol, false};
  }
  static Frontend node(Family family, Protocol protocol, uint16_t port) {
    return {IpAddress::any(family), port, protocol, true};
  }
  Family family() const { return address.family(); }
  std::string to_string() const;  // "10.96.0.1:80/tcp", "node port 30080/tcp (IPv4)"
  auto operator<=>(const Frontend&) const = default;
};

struct Backend {
  IpAddress address;
  uint16_t port = 0;
  bool local = false;  // runs on this node
  std::string to_string() const { return SocketAddress{address, port}.to_string(); }
  auto operator<=>(const Backend&) const = default;
};

// Backends of one family by index, packed to 7 bytes (IPv4) or 19 bytes (IPv6) each: a node knows a
// hundred thousand of them.
class Backends {
 public:
  explicit Backends(Family family = Family::kIpv4) : family_(family) {}
  Backends(Family family, const std::vector<Backend>& list);

  Family family() const { return family_; }
  // Divided by a constant, which costs no division.
  size_t size() const { return family_ == Family::kIpv4 ? bytes_.size() / 7 : bytes_.size() / 19; }
  bool empty() const { return bytes_.empty(); }
  Backend at(size_t index) const;
  void set(size_t index, const Backend& backend);
  void pop_back() { bytes_.resize(bytes_.size() - stride()); }
  // Makes room for so many behind the last, each to be set().
  void extend(size_t backends) { bytes_.resize(bytes_.size() + backends * stride()); }
  std::vector<Backend> list() const;
  // The same backends in the same places.
  bool operator==(const Backends&) const = default;

 private:
  size_t address_size() const { return family_ == Family::kIpv4 ? 4 : 16; }
  size_t stride() const { return address_size() + 3; }

  Family family_;
  std::vector<uint8_t> bytes_;
};

// Two multiplications: a cold load looks up each address several times.
struct AddressHash {
  size_t operator()(const IpAddress& address) const noexcept {
    uint64_t words[2] = {};
    if (address.is_v4())
      std::memcpy(words, address.bytes().data(), 4);
    else
      std::memcpy(words, address.bytes().data(), 16);
    return (words[0] * 0x9e3779b97f4a7c15 ^ words[1]) * 0xff51afd7ed558ccd;
  }
};

}  // namespace fairlead::proxy

template <>
struct std::hash<fairlead::proxy::Frontend> {
  size_t operator()(const fairlead::proxy::Frontend& f) const noexcept {
    const size_t rest =
        f.port * 8u + static_cast<size_t>(f.protocol) * 2u + (f.node_port ? 1u : 0u);
    return fairlead::proxy::AddressHash{}(f.address) + rest * 0xc4ceb9fe1a85ec53;
  }
};
