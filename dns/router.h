// SPDX-License-Identifier: Apache-2.0
// Which server block answers a question: the one whose zone is the longest that the name ends with;
// for the DS of a zone its parent's, where that is here, too (RFC 4035 section 3.1.4.1). The root's
// block is nobody's parent: it is where a cluster forwards what is not its own.
// Threads: one worker's.
#pragma once

#include <vector>

#include "dns/chain.h"
#include "dns/metrics.h"

namespace fairlead::dns {

class Router {
 public:
  struct Route {
    Name zone;
    Chain* chain = nullptr;
    BlockMetrics* metrics = nullptr;
  };

  // Chains and counters outlive the router.
  void add(const Route& route);
  // nullptr: no block serves the name.
  const Route* find(const Name& name, Type type) const {
    const Route* child = nullptr;
    for (const Route& route : routes_) {
      if (!name.ends_with(route.zone)) continue;
      if (type != Type::kDs || name.labels() != route.zone.labels())
        return child != nullptr && route.zone.labels() == 0 ? child : &route;
      child = &route;
    }
    return child;
  }

  // Asks a question of our own. The callback runs once, maybe before ask() returns, unless the
  // chain is destroyed before there is a reply. Such a question may not lead to another.
  void ask(const Name& name, Type type, const Client& client, SendLater on_reply) const;
  // The same with a whole message of the client's, which may lead to further questions.
  void ask(std::span<const uint8_t> packet, const Client& client, SendLater on_reply) const;

 private:
  std::vector<Route> routes_;  // the longest zones first
};

}  // namespace fairlead::dns
