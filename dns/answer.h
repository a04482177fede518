// SPDX-License-Identifier: Apache-2.0
// Answers questions about the cluster from a snapshot: the algorithm of RFC 1034 section 4.3.2 over
// the names of the Kubernetes DNS specification 1.1.0, in CoreDNS's manner where that leaves a
// choice. Pure: no I/O, no clock, no allocation.
//
// The zone's names, Z being the cluster domain:
//   Z                                   SOA, NS
//   svc.ns.svc.Z                        A, AAAA  cluster IPs; headless: ready endpoints
//                                       SRV      one for each port
//                                       CNAME    an ExternalName service, and where that leads
//   _port._proto.svc.ns.svc.Z           SRV, A, AAAA (the underscores may be left out)
//   endpoint.svc.ns.svc.Z               A, AAAA, SRV of the ready endpoints so called
//   1-2-3-4.ns.pod.Z                    A, AAAA: the address itself, if the namespace exists
//   a.pin._zone.svc.ns.svc.Z            what svc.ns.svc.Z has, of endpoints in topology zone a;
//                                       prefer._zone: of all if there are none in it
//   endpoint.cluster.svc.ns.svc.Z       of imported services, in place of endpoint.svc.ns.svc.Z
//   dns-version.Z                       TXT
//   ns.dns.Z                            A, AAAA: this server
//   4.3.2.1.in-addr.arpa, ...ip6.arpa   PTR of cluster IPs and endpoints
//
// NODATA and NXDOMAIN carry the SOA (RFC 2308). A name with nothing of its own but names below
// exists (RFC 8020). Until all objects have been seen, what would be NXDOMAIN is SERVFAIL;
// what is known from a file alone is answered with EDE 3 (RFC 8914 section 4.4).
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/reply.h"
#include "dns/zone/snapshot.h"

namespace fairlead::dns {

// in-addr.arpa and ip6.arpa.
std::vector<Name> reverse_zones();
// One of them, or below.
bool is_reverse(const Name& zone);

enum class PodNames : uint8_t {
  kDisabled,  // there are none
  kInsecure,  // of any address
  kVerified,  // of the addresses that pods of the namespace have
};

struct ZoneConfig {
  Name zone;  // the cluster domain
  uint32_t ttl = 5;
  PodNames pods = PodNames::kInsecure;
  bool multicluster = false;                    // of imported services (KEP-1645)
  bool zonal = false;                           // headless services have names below _zone
  bool ignore_empty = false;                    // a cluster IP without ready endpoints is not there
  std::vector<Name> reverse = reverse_zones();  // where addresses are named by us
  std::vector<Name> fallthrough =
      reverse_zones();                     // a name here that is not there may be another's
  std::vector<IpAddress> local_addresses;  // where this server answers
};

enum class Outcome : uint8_t {
  kAnswered,
  kNotOurs,       // the name is in none of our zones; nothing was written
  kFallsThrough,  // no such name here, and the next plugin may know better; nothing was written
  kChase,         // the answer ends in a CNAME out of the zone: its addresses are to be added
};

// Completes `reply`, which Reply::begin started for this query. `rotation` says with which of
// several addresses to begin. With kChase, `target` is the name to look up.
Outcome answer(const ZoneConfig& config, const Snapshot& snapshot, const Query& query,
               uint32_t rotation, Reply& reply, Name& target);

}  // namespace fairlead::dns
