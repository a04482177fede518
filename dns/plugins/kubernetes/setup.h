// SPDX-License-Identifier: Apache-2.0
// What a Corefile says of `kubernetes`:
//
//   kubernetes [ZONES...] {
//       kubeconfig PATH [CONTEXT]   the program's --kubeconfig, else the pod's service account
//       endpoint URL                in place of a kubeconfig
//       tls CERT KEY CACERT         for the endpoint
//       pods disabled|insecure
//       ttl SECONDS                 0 to 3600, 5
//       namespaces NAMESPACE...
//       labels EXPRESSION
//       noendpoints
//       ignore empty_service
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
