// SPDX-License-Identifier: Apache-2.0
// Where a Feed takes what the API server says: a Proxy, which programs it, or a Shadow, which
// compares it with what another proxy has programmed.
#pragma once

#include <vector>

#include "proxy/service_map.h"

namespace fairlead::proxy {

class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  virtual void put(const kube::Service& service) = 0;
  virtual void put(const kube::EndpointSlice& slice) = 0;
  virtual void remove_service(const kube::ObjectKey& key) = 0;
  virtual void remove_slice(const kube::ObjectKey& key) = 0;
  // The Node this program is on, at start and whenever it changes.
  virtual void set_node(const kube::Node& node) = 0;
  // All ranges of all ServiceCIDR objects, at start and whenever they change.
  virtual void set_service_cidrs(std::vector<Cidr> cidrs) = 0;
  virtual const ServiceMap& services() const = 0;
  // Everything has been put once.
  virtual void start() = 0;
};

}  // namespace fairlead::proxy
