// SPDX-License-Identifier: Apache-2.0
// fairlead-dns put together: the feed writes the zone, the workers read it, HTTP tells how they do.
#pragma once

#include "base/result.h"
#include "dns/options.h"

namespace fairlead::dns {

// Runs until SIGTERM or SIGINT. An Error: it could not start.
Result<void> run_program(const Options& options);

}  // namespace fairlead::dns
