// SPDX-License-Identifier: Apache-2.0
// What a Corefile says of `forward`; docs/plugins/forward.md has it in full:
//
//   forward FROM TO... {             TO: targets.h
//       except ZONES...
//       policy random|round_robin|sequential
//       max_fails N                  2; 0: never down
//       failfast_all_unhealthy_upstreams
//       health_check DURATION [no_rec] [domain FQDN]      0.5s
//       max_concurrent N             1000, all workers together
//       max_connect_attempts N       two for each server; 0: only the time counts
//       read_timeout DURATION        2s
//       next RCODE...
//       next_on_nodata
//       failover RCODE...
//       force_tcp
//       prefer_udp
//       expire DURATION              10s, of an idle connection
//       max_age DURATION             0: any, of a connection
//       max_idle_conns N             0: IdleLimits::kMost, to each server from each worker
//       source_address IP
//       tls [CERT KEY] [CA]
//       tls_servername NAME
//       doh_method GET|POST          POST
//       resolver IP[:PORT]...
//   }
#pragma once

#include "dns/host.h"
#include "dns/plugins/forward/forward.h"
#include "dns/setup.h"

namespace fairlead::dns {

Result<std::shared_ptr<PluginOptions>> parse_forward(const PluginKind::Directives& directives,
                                                     BlockSetup& block);
// Follows files and host names, and tells what is counted. Our own address as a server is an error:
// we would ask ourselves.
Result<std::unique_ptr<Service>> start_forward(Host& host, PluginOptions& options);

}  // namespace fairlead::dns
