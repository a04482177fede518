// SPDX-License-Identifier: Apache-2.0
// fairlead-dns compare: asks another server and this configuration, without serving it, about every
// name of the live cluster, and prints what they say differently.
#pragma once

#include "dns/options.h"

namespace fairlead::dns {

// How many answers differed, and how many of those for a reason that is documented. An Error: the
// configuration, the cluster or the other server cannot be read. The progress goes to standard
// error.
struct CompareResult {
  size_t questions = 0;
  size_t differences = 0;
  size_t documented = 0;
};
Result<CompareResult> compare(const Options& options);

}  // namespace fairlead::dns
