// SPDX-License-Identifier: Apache-2.0
// The document of /stat, from a running Proxy, a Plane or both.
#pragma once

#include <vector>

#include "proxy/proxy.h"
#include "proxy/stat.h"
#include "proxy/stream/plane.h"

namespace fairlead::proxy {

// Rows of service ports that have had traffic. `looked`: what Proxy::look said; `began`: when
// counting did. Node and `since` are left to the caller.
StatDocument stat_of(Proxy& proxy, const std::vector<Family>& families, MonoTime now,
                     MonoTime began, const Result<void>& looked);
// In mode userspace. `seconds`: since counting began.
StatDocument stat_of(stream::Plane& plane, const ServiceMap& services, double seconds);
// To the rows of the rules those of what is relayed beside them.
void add_relayed(StatDocument& document, const stream::Plane& plane, const ServiceMap& services);

}  // namespace fairlead::proxy
