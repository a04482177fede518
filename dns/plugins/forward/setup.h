// SPDX-License-Identifier: Apache-2.0
// What a Corefile says of `forward`:
//
//   forward FROM TO... {             TO: an address, with or without a port, or a resolv.conf(5)
//       except ZONES...
//       force_tcp
//       prefer_udp
//       max_fails N                  2; 0: never down
//       expire DURATION              10s, of an idle connection
//       policy random|round_robin|sequential
//       health_check DURATION        0.5s
//       max_concurrent N             1000, all workers together
//       next RCODE...
//   }
//
// CoreDNS's other properties, and TO by name or over TLS, are errors that say so.
#pragma once

#include "dns/host.h"
#include "dns/plugins/forward/forward.h"
#include "dns/setup.h"

namespace fairlead::dns {

Result<std::shared_ptr<PluginOptions>> parse_forward(const PluginKind::Directives& directives,
                                                     BlockSetup& block);
// Reads the files, and again when they change. Our own addresses are left out: we would ask
// ourselves.
Result<std::unique_ptr<Service>> start_forward(Host& host, PluginOptions& options);

}  // namespace fairlead::dns
