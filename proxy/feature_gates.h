// SPDX-License-Identifier: Apache-2.0
// The feature gates a kube-proxy 1.36 accepts: those of all of Kubernetes, since one list often
// goes to every component. Of them only AllowServiceExternalIPs changes anything here. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace fairlead::proxy {

bool is_known_gate(std::string_view name);
// One of those that a configuration of 1.27 to 1.35 may name and 1.36 has no more; kube-proxy 1.36
// would not start, but nobody switches proxies to be told that.
bool is_retired_gate(std::string_view name);
// Whether Services' externalIPs are served (KEP-5707): on unless switched off.
bool external_ips_enabled(const std::map<std::string, bool>& gates);

}  // namespace fairlead::proxy
