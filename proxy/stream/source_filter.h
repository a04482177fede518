// SPDX-License-Identifier: Apache-2.0
// A program for a socket that lets packets of some sources in and drops all others, before TCP
// answers them: a client that is not let in waits in vain, as behind the kernel plane's `drop`.
// Pure. Classic BPF: Documentation/networking/filter.rst of the kernel; SO_ATTACH_FILTER,
// socket(7). tcp_v4_rcv() and tcp_v6_rcv() run it for SYNs to a listening socket too.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <vector>

#include "base/address.h"

namespace fairlead::proxy::stream {

// nullopt: more sources than a program has room for (4,096 instructions); then the caller looks at
// each client itself. `sources` of another family are left out.
std::optional<std::vector<sock_filter>> source_filter(Family family,
                                                      const std::vector<Cidr>& sources);

}  // namespace fairlead::proxy::stream
