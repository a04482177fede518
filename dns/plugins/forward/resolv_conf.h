// SPDX-License-Identifier: Apache-2.0
// The name servers of a resolv.conf(5). Pure, but for the links that IPv6 zones name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace fairlead::dns {

constexpr size_t kMaxUpstreams = 15;

struct ResolvConf {
  std::vector<SocketAddress> servers;  // in order, without repetitions, at most kMaxUpstreams
  std::vector<std::string> problems;   // lines that were left out, each with the reason
};

// "fe80::1%eth0" (RFC 4007 section 11) without the zone, which is the name or the index of a link.
// An address that holds everywhere has no scope, whatever stands there. Nothing: there is no such
// link.
std::optional<SocketAddress> with_scope(const IpAddress& address, std::string_view zone,
                                        uint16_t port);

// Reads the "nameserver" lines; every other keyword is for stub resolvers. Port 53 everywhere.
ResolvConf parse_resolv_conf(std::string_view text);

// Takes out the servers that are this one, which would ask itself for ever. `listening`: where it
// answers, wildcard addresses included; `local`: the addresses of this host.
void remove_own_addresses(ResolvConf& conf, const std::vector<SocketAddress>& listening,
                          const std::vector<IpAddress>& local);

}  // namespace fairlead::dns
