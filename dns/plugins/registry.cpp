// SPDX-License-Identifier: Apache-2.0
// Every plugin there is, in the order in which a query meets them.
#include "dns/chain.h"
#include "dns/plugins/forward/forward.h"
#include "dns/plugins/kubernetes/kubernetes.h"

namespace fairlead::dns {

std::span<const PluginKind> plugin_registry() {
  static const PluginKind kRegistry[] = {
      {"kubernetes", &make_kubernetes},
      {"forward", &make_forward},
  };
  return kRegistry;
}

}  // namespace fairlead::dns
