// SPDX-License-Identifier: Apache-2.0
// fairlead-dns put together: a Corefile becomes a plan, the workers serve it, services run beside
// it.
#pragma once

#include "base/result.h"
#include "dns/options.h"

namespace fairlead::dns {

// Runs until SIGTERM, SIGINT or SIGQUIT. SIGUSR1 reads the Corefile again, SIGHUP and SIGUSR2 are
// ignored. An Error: it could not start, or a plugin ended it.
Result<void> run_program(const Options& options);

// Only reads the Corefile; the notes of what it has and is without effect.
Result<std::vector<std::string>> check_corefile(const Options& options);

}  // namespace fairlead::dns
