// SPDX-License-Identifier: Apache-2.0
// The document of /stat, from a running Proxy.
#pragma once

#include <vector>

#include "proxy/proxy.h"
#include "proxy/stat.h"

namespace fairlead::proxy {

// Rows of service ports that have had traffic. `looked`: what Proxy::look said; `began`: when
// counting did. Node and `since` are left to the caller.
StatDocument stat_of(Proxy& proxy, const std::vector<Family>& families, MonoTime now,
                     MonoTime began, const Result<void>& looked);

}  // namespace fairlead::proxy
