// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

void UpstreamHealth::set_servers(const std::vector<UpstreamServer>& servers) {
  std::vector<Upstream> next;
  for (const UpstreamServer& server : servers) {
    const Upstream* known = find(server);
    next.push_back(known != nullptr ? *known : Upstream{server});
  }
  upstreams_ = std::move(next);
}

UpstreamHealth::Upstream* UpstreamHealth::find(const UpstreamServer& server) {
  const auto at = std::find_if(upstreams_.begin(), upstreams_.end(),
                               [&](const Upstream& u) { return u.server == server; });
  return at == upstreams_.end() ? nullptr : &*at;
}

void UpstreamHealth::succeeded(const UpstreamServer& server) {
  if (Upstream* u = find(server)) u->fails = 0;
}

void UpstreamHealth::failed(const UpstreamServer& server) {
  if (Upstream* u = find(server)) ++u->fails;
}

std::vector<UpstreamServer> UpstreamHealth::down() const {
  std::vector<UpstreamServer> down;
  for (const Upstream& u : upstreams_)
    if (is_down(u)) down.push_back(u.server);
  return down;
}

}  // namespace fairlead::dns
