// SPDX-License-Identifier: Apache-2.0
// What the outside sees of a cluster's services: a zone of the addresses that load balancers and
// administrators have given them. Pure.
//
// The names of a zone Z, APEX being "dns" unless it is told otherwise:
//   Z                            SOA, NS
//   ns1.APEX.Z                   A, AAAA  the server's own addresses outside
//   svc.ns.Z                     A, AAAA  external and load balancer addresses
//                                CNAME    a load balancer that has but a host name, and where that
//                                         leads
//                                SRV      one for each port
//   _port._proto.svc.ns.Z        the same for one port
//   svc.ns.Z, endpoint.svc.ns.Z  with `headless`: the endpoints, of services without an address
//                                outside
//   4.3.2.1.in-addr.arpa         PTR, where Z is a reverse zone: into the first zone
#pragma once

#include <string>
#include <vector>

#include "dns/answer.h"

namespace fairlead::dns {

struct ExternalConfig {
  std::vector<Name> zones;
  std::string apex = "dns";  // a label, in lower case
  uint32_t ttl = 5;
  bool headless = false;
};

// Completes `reply`, which Reply::begin started for this query. `falls_through`: nothing is written
// when there is no such name. `local`: where this server answers.
Outcome answer_external(const ExternalConfig& config, const Snapshot& snapshot, const Query& query,
                        const std::vector<IpAddress>& local, bool falls_through, uint32_t rotation,
                        Reply& reply, Name& target);

}  // namespace fairlead::dns
