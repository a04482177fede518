// SPDX-License-Identifier: Apache-2.0
// What a ServiceMap says of frontends that the stream proxy has.
#include <algorithm>

#include "proxy/service_map.h"

namespace fairlead::proxy {

namespace {

// What would reach the socket by its own address.
Frontend door_of(const Frontend& frontend, const SocketAddress& socket) {
  return Frontend::vip(socket.address, frontend.protocol, socket.port);
}

void drop(Target& target) {
  target.treatment = Treatment::kDrop;
  target.backends.clear();
  target.inside.clear();
  target.affinity = target.affinity_seconds = 0;
}

}  // namespace

Dirty ServiceMap::set_relay(const Frontend& frontend, const std::optional<SocketAddress>& socket) {
  if (relay(frontend) == socket) return {};
  Dirty dirty = {frontend};
  if (!socket) {
    relays_.at(frontend).open = false;
    return dirty;
  }
  const auto found = relays_.find(frontend);
  if (found == relays_.end() || found->second.socket != *socket) {
    for (const Frontend& door : forget_relay(frontend)) dirty.push_back(door);
    doors_.insert(dirty.emplace_back(door_of(frontend, *socket)));
  }
  relays_[frontend] = {*socket, true};
  return dirty;
}

Dirty ServiceMap::forget_relay(const Frontend& frontend) {
  const auto found = relays_.find(frontend);
  if (found == relays_.end()) return {};
  const Frontend door = door_of(frontend, found->second.socket);
  doors_.erase(door);
  relays_.erase(found);
  return {door};
}

std::optional<SocketAddress> ServiceMap::relay(const Frontend& frontend) const {
  const auto found = relays_.find(frontend);
  if (found == relays_.end() || !found->second.open) return std::nullopt;
  return found->second.socket;
}

Dirty ServiceMap::set_relay_only(const kube::ObjectKey& service, bool only) {
  const bool changed = only ? relay_only_.insert(service).second : relay_only_.erase(service) > 0;
  return changed ? frontends(service) : Dirty();
}

bool ServiceMap::is_relay_only(const Frontend& frontend) const {
  if (relay_only_.empty() || frontend.protocol != Protocol::kTcp) return false;
  const auto found = claims_.find(frontend);
  return found != claims_.end() && relay_only_.contains(*found->second.service->key);
}

// A Service's own frontend comes before a door: `svc` is asked before node ports are.
void ServiceMap::add_doors(Dirty& dirty) const {
  if (doors_.empty()) return;
  for (size_t i = 0, count = dirty.size(); i < count; ++i)
    for (const Frontend& door : doors_)
      if (dirty[i].node_port && dirty[i].port == door.port && dirty[i].protocol == door.protocol &&
          dirty[i].family() == door.family())
        dirty.push_back(door);
}

std::optional<Target> ServiceMap::find(const Frontend& frontend) const {
  std::optional<Target> target = decide(frontend);
  if (!target) {
    const auto node = Frontend::node(frontend.family(), frontend.protocol, frontend.port);
    if (doors_.contains(frontend) && !claims_.contains(node))
      target.emplace().treatment = Treatment::kDrop;
  } else if (const auto socket = relay(frontend)) {
    target->treatment = Treatment::kRelay;
    target->backends = {Backend{socket->address, socket->port, false}};
    target->inside.clear();
    target->affinity = target->affinity_seconds = 0;
  } else if (target->treatment > Treatment::kDrop && is_relay_only(frontend)) {
    drop(*target);
  }
  return target;
}

bool ServiceMap::serves(const Frontend& frontend, const IpAddress& address, uint16_t port) const {
  const SocketAddress asked{address, port};
  const std::vector<SocketAddress> all = serving_addresses(frontend);
  return relay(frontend) == asked || std::binary_search(all.begin(), all.end(), asked);
}

bool ServiceMap::abandons(const Frontend& frontend, const std::vector<SocketAddress>& serving,
                          const SocketAddress& flows_to) const {
  if (relay(frontend) == flows_to) return false;
  if (std::binary_search(serving.begin(), serving.end(), flows_to)) return false;
  return !has(frontend) || !serving.empty() ||
         doors_.contains(Frontend::vip(flows_to.address, frontend.protocol, flows_to.port));
}

}  // namespace fairlead::proxy
