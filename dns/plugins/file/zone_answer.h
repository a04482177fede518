// SPDX-License-Identifier: Apache-2.0
// Answers a question from one zone: the algorithm of RFC 1034 section 4.3.2 with wildcards
// (RFC 4592), DNAME (RFC 6672) and negative answers (RFC 2308). Pure; nothing allocates.
//
//   a name that is there          its records, the zone's NS records, addresses of MX, SRV and the
//                                 like that are in the zone
//   without that type             NODATA: the SOA
//   a name that is not there      the wildcard's records under that name, else NXDOMAIN: the SOA
//   below a delegation            a referral: its NS records and their addresses, AA clear; but the
//                                 DS records of the cut itself are the zone's (RFC 4035 section
//                                 3.1.4.1)
//   CNAME, below a DNAME          the record and what is at its target, at most ten of them; more,
//                                 or one that leads round, is SERVFAIL without records
//   ANY                           one set of records (RFC 8482)
//
// What lies below a delegation or a DNAME is not there, but for addresses in referrals.
#pragma once

#include <cstdint>

#include "dns/plugins/file/zone_tree.h"
#include "dns/reply.h"

namespace fairlead::dns {

constexpr size_t kMaxAliases = 10;

enum class ZoneOutcome : uint8_t {
  kAnswered,
  kFallsThrough,  // no records, and `may_fall_through`; nothing was written
  kChase,         // the answer ends in an alias for a name that is not in this zone's file
};

// `query.name` is in the zone. With kChase, `target` is that name and only the answer section has
// been written; add_name_servers() or what the target's zone says goes behind it. As in CoreDNS a
// name falls through when it is not there or has only names below.
ZoneOutcome answer_from_zone(const ZoneTree& zone, const Query& query, bool may_fall_through,
                             Reply& reply, Name& target);

// The zone's NS records, as every positive answer has them in its authority section.
void add_name_servers(const ZoneTree& zone, const Query& query, Reply& reply);

}  // namespace fairlead::dns
