// SPDX-License-Identifier: Apache-2.0
// What an alias out of the zone leads to: the server is asked as a client would ask it, and goes on
// being asked while it only gives further aliases. Threads: the worker's.
#pragma once

#include <memory>

#include "dns/plugin.h"
#include "dns/plugins/file/zone_tree.h"

namespace fairlead::dns {

// Completes and finishes a reply whose answers end in an alias for `target`. The last name's rcode
// is the reply's (RFC 6604 section 2.1), as far as it says something about that name: NXDOMAIN and
// SERVFAIL. Where nobody knows the target the aliases alone are the answer.
void chase(Router& router, std::shared_ptr<Deferred> deferred, std::shared_ptr<const ZoneTree> zone,
           const Name& target);

}  // namespace fairlead::dns
