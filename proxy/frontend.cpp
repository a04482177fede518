// SPDX-License-Identifier: Apache-2.0
#include "proxy/frontend.h"

#include <netinet/in.h>

#include <cassert>
#include <cstring>

namespace fairlead::proxy {

uint8_t protocol_number(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return IPPROTO_TCP;
    case Protocol::kUdp:
      return IPPROTO_UDP;
    case Protocol::kSctp:
      return IPPROTO_SCTP;
  }
  return 0;
}

std::optional<Protocol> protocol_of(uint8_t number) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
    if (protocol_number(protocol) == number) return protocol;
  return std::nullopt;
}

const char* protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "";
}

std::string Frontend::to_string() const {
  const std::string suffix = std::string("/") + protocol_name(protocol);
  if (node_port)
    return "node port " + std::to_string(port) + suffix +
           (family() == Family::kIpv4 ? " (IPv4)" : " (IPv6)");
  return SocketAddress{address, port}.to_string() + suffix;
}

namespace {

void write(uint8_t* entry, const Backend& backend) {
  const size_t size = backend.address.is_v4() ? 4 : 16;
  std::memcpy(entry, backend.address.bytes().data(), size);
  std::memcpy(entry + size, &backend.port, 2);
  entry[size + 2] = backend.local ? 1 : 0;
}

}  // namespace

Backends::Backends(Family family, const std::vector<Backend>& list) : family_(family) {
  extend(list.size());
  for (size_t i = 0; i < list.size(); ++i) set(i, list[i]);
}

Backend Backends::at(size_t index) const {
  assert(index < size());
  const uint8_t* entry = bytes_.data() + index * stride();
  Backend backend;
  backend.address = IpAddress::from_bytes({entry, address_size()});
  std::memcpy(&backend.port, entry + address_size(), 2);
  backend.local = entry[address_size() + 2] != 0;
  return backend;
}

void Backends::set(size_t index, const Backend& backend) {
  assert(index < size() && backend.address.family() == family_);
  write(bytes_.data() + index * stride(), backend);
}

std::vector<Backend> Backends::list() const {
  std::vector<Backend> result;
  result.reserve(size());
  for (size_t i = 0; i < size(); ++i) result.push_back(at(i));
  return result;
}

}  // namespace fairlead::proxy
