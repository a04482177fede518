// SPDX-License-Identifier: Apache-2.0
// `fairlead down`: ends everything that `up` and `node` began on this machine.
#pragma once

#include "base/result.h"
#include "orchestrator/cluster/options.h"

namespace fairlead::orchestrator {

// The running fairlead, pods, children in reverse order, the proxy's tables and routes, mounts,
// cgroups, and RUN_DIR; with `purge` the data folder too. Goes on after a step that fails; the
// Error names the first. Nothing there is success.
Result<void> tear_down(const ClusterOptions& options, bool purge);

}  // namespace fairlead::orchestrator
