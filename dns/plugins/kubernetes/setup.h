// SPDX-License-Identifier: Apache-2.0
// What a Corefile says of `kubernetes`:
//
//   kubernetes [ZONES...] {
//       kubeconfig PATH             the program's --kubeconfig, else the pod's service account
//       pods disabled|insecure
//       ttl SECONDS                 0 to 3600, 5
//       fallthrough [ZONES...]
//       startup_timeout DURATION    no effect: queries wait five seconds for the first sync
//   }
//
// CoreDNS's other properties are errors that say so.
#pragma once

#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/setup.h"

namespace fairlead::dns {

Result<std::shared_ptr<PluginOptions>> parse_kubernetes(const PluginKind::Directives& directives,
                                                        BlockSetup& block);

}  // namespace fairlead::dns
