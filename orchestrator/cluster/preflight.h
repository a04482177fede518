// SPDX-License-Identifier: Apache-2.0
// What must be true before anything is started; each Error is one sentence that says what to do.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/cluster/options.h"

namespace fairlead::orchestrator {

// Root and the capabilities that networks, mounts and containers take.
Result<void> check_privileges();
// The kernel has nf_tables: asked over netlink.
Result<void> check_nf_tables();
// Everything `up` and `node` need: privileges, nf_tables, programs, cgroups, our own binaries.
Result<void> check_node(const ClusterOptions& options);

// The folder of this program's file.
std::string own_bin_dir();

// The ports the program will listen on are free now; the Error names the one that is not.
Result<void> check_ports(const ClusterOptions& options, bool server, bool node);

}  // namespace fairlead::orchestrator
