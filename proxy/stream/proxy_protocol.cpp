// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/proxy_protocol.h"

namespace fairlead::proxy::stream {

namespace {

constexpr uint8_t kSignature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
constexpr uint8_t kVersion2Proxy = 0x21;
constexpr uint8_t kTcpOverIpv4 = 0x11, kTcpOverIpv6 = 0x21;

void append(std::vector<uint8_t>& bytes, uint16_t number) {
  bytes.push_back(static_cast<uint8_t>(number >> 8));
  bytes.push_back(static_cast<uint8_t>(number));
}

void append(std::vector<uint8_t>& bytes, const IpAddress& address) {
  const auto raw = address.bytes();
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

}  // namespace

std::vector<uint8_t> proxy_header(const SocketAddress& client, const SocketAddress& reached) {
  const bool v4 = reached.address.is_v4();
  std::vector<uint8_t> header(std::begin(kSignature), std::end(kSignature));
  header.push_back(kVersion2Proxy);
  header.push_back(v4 ? kTcpOverIpv4 : kTcpOverIpv6);
  append(header, static_cast<uint16_t>(2 * (v4 ? 4 : 16) + 2 * sizeof(uint16_t)));
  append(header, client.address);
  append(header, reached.address);
  append(header, client.port);
  append(header, reached.port);
  return header;
}

}  // namespace fairlead::proxy::stream
