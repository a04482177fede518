// SPDX-License-Identifier: Apache-2.0
// The names of addresses, kept in step with the records of services. Pure; the zone's writer alone.
#pragma once

#include "dns/zone/snapshot.h"

namespace fairlead::dns {

// A service's record `before` has become `after` (null: there was none, there is none any more):
// the reverse tries of `next`, which readers have not seen, name the addresses so. What was
// replaced goes to `trash`.
void name_addresses(Snapshot& next, const ServiceRecord* before, const ServiceRecord* after,
                    Trash& trash);

}  // namespace fairlead::dns
