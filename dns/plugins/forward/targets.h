// SPDX-License-Identifier: Apache-2.0
// Whom `forward FROM TO...` names: addresses, files and host names, asked as they are, over TLS or
// over HTTPS.
// Pure but for the files it is given and the links that IPv6 zones name.
//
//   1.1.1.1  [::1]:5353  fe80::1%eth0  dns://1.1.1.1  /etc/resolv.conf  dns.example.org:53
//   tls://9.9.9.9  tls://9.9.9.9%dns.quad9.net  tls://[2620:fe::fe%dns.quad9.net]:10853
//   https://8.8.8.8%dns.google  https://dns.google
#pragma once

#include <string>
#include <vector>

#include "dns/plugins/forward/upstream.h"
#include "dns/setup.h"

namespace fairlead::dns {

// One TO: an address unless there is a file or a host name.
struct Target {
  std::vector<SocketAddress> addresses;  // one, or what file or host say now
  std::string file;                      // resolv.conf(5)
  std::string host;
  uint16_t port = 53;  // of a host
  UpstreamWay way = UpstreamWay::kPlain;
  std::string tls_name;  // whom the certificate must name; empty: the address

  UpstreamServer server(const SocketAddress& address) const { return {address, way, tls_name}; }
};

// The error says where.
Result<Target> read_target(const corefile::Word& word, const BlockSetup& block);

// Letters, digits, '-' and '_'; one whose last label is a number is an address with a mistake in it
// (RFC 3696 section 2).
bool is_host_name(const std::string& text);

// In order, each address once.
std::vector<UpstreamServer> servers_of(const std::vector<Target>& targets);

}  // namespace fairlead::dns
