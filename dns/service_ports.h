// SPDX-License-Identifier: Apache-2.0
// The SRV records of a service (Kubernetes DNS specification sections 2.3.2 and 2.4.2) and the
// addresses of their targets. Pure; nothing allocates.
//
// One record for each port that the selector chooses, its target the service for a cluster IP, else
// each endpoint by its label. Priority 0; all share the weight 100, at least 1 each.
#pragma once

#include "dns/find.h"
#include "dns/record_writer.h"

namespace fairlead::dns {

void add_service_ports(const ServiceRecord& service, const Selector& selector,
                       RecordWriter& writer);
// The same where the service is reached from outside: at its external addresses and host names.
void add_external_ports(const ServiceRecord& service, const Selector& selector,
                        RecordWriter& writer);

// What an endpoint is called: the label it has of its own, or its address with dashes.
class EndpointLabel {
 public:
  EndpointLabel(std::string_view own, const IpAddress& address)
      : text_(own.empty() ? std::string_view(dashed_, write_dashed(address, dashed_)) : own) {}
  EndpointLabel(const EndpointLabel&) = delete;
  EndpointLabel& operator=(const EndpointLabel&) = delete;
  std::string_view text() const { return text_; }

 private:
  char dashed_[64];
  std::string_view text_;
};

using Endpoints = std::span<const EndpointRecord>;

// The endpoints that are one target: those that share a label, such as the two families of one pod,
// stand together, and with them the cluster where it is part of the name; one without a label of
// its own stands alone. Taken from the front of `rest`, which is not empty.
Endpoints take_target(const ServiceRecord& service, bool by_cluster, Endpoints& rest);

}  // namespace fairlead::dns
