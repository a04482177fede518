// SPDX-License-Identifier: Apache-2.0
// Opening the sockets a DNS server answers on.
#pragma once

#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"

namespace fairlead::dns {

// Non-blocking, with SO_REUSEPORT so that every worker has its own. IP_FREEBIND: the address need
// not be there yet. No fragments are announced and no path MTU is believed (IP_PMTUDISC_OMIT):
// anybody may forge the message that lowers it. On a wildcard address IP_PKTINFO tells where a
// query went.
Result<Fd> open_udp(const SocketAddress& address);
Result<Fd> open_tcp(const SocketAddress& address);

// What open_udp() and open_tcp() set, for a socket that somebody else has bound to the address.
// `type`: SOCK_DGRAM or SOCK_STREAM.
Result<void> prepare_inherited(const Fd& socket, const SocketAddress& address, int type);

// Fails when somebody has the address already. SO_REUSEPORT alone would share it with another
// server of the same user without a word.
Result<void> check_free(const SocketAddress& address);

// The address a socket is bound to.
Result<SocketAddress> bound_address(const Fd& socket);

// The addresses of one interface. Empty when there is none or they cannot be listed.
std::vector<IpAddress> interface_addresses(const std::string& name);
// The addresses of this host's interfaces. Empty when they cannot be listed.
std::vector<IpAddress> host_addresses();

}  // namespace fairlead::dns
