// SPDX-License-Identifier: Apache-2.0
// What a server serves: where it listens, and which server block answers which zones there. Made by
// dns/config.h from a Corefile; all workers share it. Immutable once a server has it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "dns/chain.h"
#include "dns/server/tcp_limits.h"

namespace fairlead::dns {

struct Plan {
  struct Block {
    std::string label;  // "dns://:53", as CoreDNS's metrics have it
    ChainConfig plugins;
  };
  struct Route {
    Name zone;
    size_t block = 0;  // of `blocks`
  };
  struct Listener {
    SocketAddress address;
    bool optional = false;  // may be left out when the kernel has no such family
    std::vector<Route> routes;
    TcpLimits tcp;  // of all workers together; each gets its share
  };
  std::vector<Block> blocks;
  std::vector<Listener> listeners;

  // One block for all names at these addresses.
  static Plan of(const std::vector<SocketAddress>& addresses, ChainConfig plugins,
                 const TcpLimits& tcp = {});
};

}  // namespace fairlead::dns
