// SPDX-License-Identifier: Apache-2.0
// Keeps the list of a directive's servers true to its files, which are read again when they change,
// and to its host names, which are looked up again every ForwardOptions::look_up. What was known of
// a name stays when a lookup fails; the next comes sooner then. Our own addresses are left out: we
// would ask ourselves. Threads: the program's.
#pragma once

#include <memory>

#include "dns/host.h"
#include "dns/plugins/forward/forward.h"

namespace fairlead::dns {

std::unique_ptr<Service> follow_targets(Host& host, const ForwardOptions& options);

}  // namespace fairlead::dns
