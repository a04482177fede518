// SPDX-License-Identifier: Apache-2.0
// The objects every cluster has: the standard namespaces, default/kubernetes, kube-system/kube-dns.
#pragma once

#include "orchestrator/apiserver/registry/registry.h"

namespace fairlead::orchestrator::apiserver {

struct BootstrapOptions {
  IpAddress api_address;  // of default/kubernetes' endpoint
  uint16_t api_port = 6443;
};

// Makes what is missing and corrects the endpoint; what is right is not written. `loop` is run
// until it is done.
Result<void> bootstrap(Registry& registry, Loop& loop, const BootstrapOptions& options);

}  // namespace fairlead::orchestrator::apiserver
