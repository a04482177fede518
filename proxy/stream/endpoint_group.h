// SPDX-License-Identifier: Apache-2.0
// The endpoints of one EndpointSet as one worker sees them: how many of its connections are open to
// each, which of them fail, and which gets the next. Pure: time is given. One thread.
//
// An endpoint that stays in the set keeps what is known of it. Connections hold their Endpoint
// beyond its place in the set, and one that comes back meanwhile is the same: it has them still,
// but is no longer ejected. Affinity forgets an endpoint that goes.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/stream/balance.h"
#include "proxy/stream/ejection.h"
#include "proxy/stream/service.h"

namespace fairlead::proxy::stream {

struct Endpoint {
  SocketAddress address;
  uint32_t open = 0;  // connections
  Ejection ejection;
};
using EndpointPtr = std::shared_ptr<Endpoint>;

class EndpointGroup {
 public:
  EndpointGroup(Policy policy, EjectionRules rules, uint64_t seed)
      : rules_(rules), balancer_(policy, seed) {}

  void set(std::shared_ptr<const EndpointSet> set);
  // It is chosen, or still serves those who have it.
  bool serves(const SocketAddress& endpoint) const;

  // For a new connection of `client`: where it went before, if the set has affinity, else by the
  // policy. With affinity a client that nobody knows goes by its address, which another process
  // decides in the same way; one whose time-out is over goes by the policy, to others in turn. None
  // of `tried`. Ejected endpoints only when there is no other, or as a `trial`, of which a verdict
  // must follow (ejection.h). Null: nothing is left.
  EndpointPtr choose(const IpAddress& client, MonoTime now, std::span<const EndpointPtr> tried,
                     bool* trial = nullptr);

  static void connected(Endpoint& endpoint, bool trial) { endpoint.ejection.connected(trial); }
  static void answered(Endpoint& endpoint) { endpoint.ejection.answered(); }
  // True: this has ejected it.
  bool failed(Endpoint& endpoint, MonoTime now, bool trial) {
    return endpoint.ejection.failed(now, rules_, trial);
  }
  bool broke(Endpoint& endpoint, MonoTime now, bool trial) {
    return endpoint.ejection.broke(now, rules_, trial);
  }
  static void lasted(Endpoint& endpoint) { endpoint.ejection.lasted(); }
  // Of a trial.
  static void abandoned(Endpoint& endpoint) { endpoint.ejection.abandoned(); }

 private:
  EndpointPtr known(const SocketAddress& address) const;
  EndpointPtr returned(const SocketAddress& address) const;
  void forget_departed(const EndpointSet& next) const;
  std::optional<size_t> usable_index(const SocketAddress& endpoint, const LoadView& view) const;
  std::optional<size_t> choose_index(const IpAddress& client, const std::optional<Stay>& stay,
                                     const LoadView& view);

  const EjectionRules rules_;
  Balancer balancer_;
  std::shared_ptr<const EndpointSet> set_;
  std::vector<EndpointPtr> endpoints_;  // as set_->endpoints
  std::vector<EndpointPtr> leaving_;    // as set_->leaving, those that were in use
  std::map<SocketAddress, std::weak_ptr<Endpoint>> gone_;  // those that connections held
};

}  // namespace fairlead::proxy::stream
