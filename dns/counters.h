// SPDX-License-Identifier: Apache-2.0
// A plugin's counters in /metrics: those of all server blocks under one head, as the format of
// Prometheus wants them. Threads: the program's; what is read may be atomics of the workers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dns/host.h"

namespace fairlead::dns {

struct Count {
  std::string labels;  // server="dns://:53",zone="."
  uint64_t value = 0;
};

// Queries left unanswered, or refused, so that other clients have their share: by `server`, and by
// `reason`, "udp" or "forward".
inline constexpr const char* kShedMetric = "fairlead_dns_shed_requests_total";
inline constexpr const char* kShedHelp = "Queries of clients that asked more than their share.";

// Adds `read` to the counter ("..._total") or gauge of that name. Counts with the same labels are
// summed up; of gauges the largest stands: an old and a new one meet while a configuration is
// replaced.
Host::Token add_counters(Host& host, const std::string& name, const std::string& help,
                         std::function<void(std::vector<Count>&)> read);

}  // namespace fairlead::dns
