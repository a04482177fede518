// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/api_servers.h"

#include <algorithm>
#include <utility>

namespace fairlead::proxy::stream {

bool ApiServers::put(const kube::EndpointSlice& slice) {
  if (slice.meta.ns != "default" || slice.service_name != "kubernetes") return false;
  std::set<IpAddress> addresses;
  for (const kube::Endpoint& endpoint : slice.endpoints)
    addresses.insert(endpoint.addresses.begin(), endpoint.addresses.end());
  std::set<IpAddress>& known = slices_[slice.meta.key()];
  return std::exchange(known, addresses) != addresses;
}

bool ApiServers::contains(const IpAddress& address) const {
  return own_ == address || std::any_of(slices_.begin(), slices_.end(), [&](const auto& slice) {
           return slice.second.contains(address);
         });
}

}  // namespace fairlead::proxy::stream
