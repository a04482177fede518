// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

void UpstreamHealth::set_servers(const std::vector<SocketAddress>& servers) {
  std::vector<Upstream> next;
  for (const SocketAddress& address : servers) {
    const Upstream* known = find(address);
    next.push_back(known != nullptr ? *known : Upstream{address});
  }
  upstreams_ = std::move(next);
}

UpstreamHealth::Upstream* UpstreamHealth::find(const SocketAddress& server) {
  const auto at = std::find_if(upstreams_.begin(), upstreams_.end(),
                               [&](const Upstream& u) { return u.address == server; });
  return at == upstreams_.end() ? nullptr : &*at;
}

void UpstreamHealth::succeeded(const SocketAddress& server) {
  if (Upstream* u = find(server)) u->fails = 0;
}

void UpstreamHealth::failed(const SocketAddress& server) {
  if (Upstream* u = find(server)) ++u->fails;
}

std::vector<SocketAddress> UpstreamHealth::down() const {
  std::vector<SocketAddress> down;
  for (const Upstream& u : upstreams_)
    if (is_down(u)) down.push_back(u.address);
  return down;
}

}  // namespace fairlead::dns
