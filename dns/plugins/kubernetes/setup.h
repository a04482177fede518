// SPDX-License-Identifier: Apache-2.0
// What a Corefile says of `kubernetes`:
//
//   kubernetes [ZONES...] {
//       kubeconfig PATH [CONTEXT]   the program's --kubeconfig, else the pod's service account
//       endpoint URL                in place of a kubeconfig
//       tls CERT KEY CACERT         for the endpoint
//       pods disabled|insecure|verified
//       ttl SECONDS                 0 to 3600, 5
//       namespaces NAMESPACE...
//       labels EXPRESSION
//       namespace_labels EXPRESSION
//       noendpoints
//       endpoint_pod_names
//       zonal
//       multicluster ZONE...        of ServiceImports (KEP-1645); some of ZONES
//       ignore empty_service
//       fallthrough [ZONES...]
//       startup_timeout DURATION    5s
//       snapshot PATH               not in CoreDNS
//       apiserver_qps|apiserver_burst|apiserver_max_inflight N     no effect
//   }
#pragma once

#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/setup.h"

namespace fairlead::dns {

Result<std::shared_ptr<PluginOptions>> parse_kubernetes(const PluginKind::Directives& directives,
                                                        BlockSetup& block);

}  // namespace fairlead::dns
