// SPDX-License-Identifier: Apache-2.0
// fairlead-dns explain: which server block answers a question, what each plugin does with it and
// why, and the answer.
#pragma once

#include <string>

#include "dns/options.h"

namespace fairlead::dns {

// Runs the configuration without serving it, waits until it knows what it needs (the API server's
// objects) and asks it. Prints to standard output. An Error: the configuration, the question or
// the time it takes.
Result<void> explain(const Options& options);

}  // namespace fairlead::dns
