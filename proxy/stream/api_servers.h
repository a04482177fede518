// SPDX-License-Identifier: Apache-2.0
// Where the API server is: the endpoints of Service default/kubernetes, and what the program was
// told. An external address that is one of them must not be made this node's own. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "base/address.h"
#include "kube/objects.h"

namespace fairlead::proxy::stream {

class ApiServers {
 public:
  void set_own(const IpAddress& address) { own_ = address; }
  // True: they have changed. Slices of other Services are none of its business.
  bool put(const kube::EndpointSlice& slice);
  bool remove(const kube::ObjectKey& slice) { return slices_.erase(slice) > 0; }
  bool contains(const IpAddress& address) const;

 private:
  std::optional<IpAddress> own_;
  std::map<kube::ObjectKey, std::set<IpAddress>> slices_;
};

}  // namespace fairlead::proxy::stream
