// SPDX-License-Identifier: Apache-2.0
// What a ServiceMap says of frontends that the stream proxy has.
#include "proxy/service_map.h"

namespace fairlead::proxy {

Dirty ServiceMap::set_relay(const Frontend& frontend, const std::optional<SocketAddress>& socket) {
  if (relay(frontend) == socket) return {};
  const auto door_of = [&](const SocketAddress& at) {
    return Frontend::vip(at.address, frontend.protocol, at.port);
  };
  Dirty dirty = {frontend};
  if (const auto before = relay(frontend)) {
    dirty.push_back(door_of(*before));
    doors_.erase(dirty.back());
    relays_.erase(frontend);
  }
  if (socket) {
    dirty.push_back(door_of(*socket));
    doors_.insert(dirty.back());
    relays_.emplace(frontend, *socket);
  }
  return dirty;
}

std::optional<SocketAddress> ServiceMap::relay(const Frontend& frontend) const {
  const auto found = relays_.find(frontend);
  return found == relays_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Target> ServiceMap::find(const Frontend& frontend) const {
  std::optional<Target> target = decide(frontend);
  if (relays_.empty()) return target;
  if (!target && doors_.contains(frontend)) {
    target.emplace().treatment = Treatment::kDrop;
  } else if (const auto socket = target ? relay(frontend) : std::nullopt) {
    target->treatment = Treatment::kRelay;
    target->backends = {Backend{socket->address, socket->port, false}};
    target->inside.clear();
    target->affinity = target->affinity_seconds = 0;
  }
  return target;
}

}  // namespace fairlead::proxy
