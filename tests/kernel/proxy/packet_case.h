// SPDX-License-Identifier: Apache-2.0
// "A packet from X to Y ends at one of Z, with its own source or another": one line of a table,
// checked with real packets and asked of the tracer.
#pragma once

#include <set>
#include <string>

#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy::test {

enum class Source { kKept, kMasqueraded };

struct PacketCase {
  const char* what;
  const char* from;
  const char* to4;
  const char* to6;                // empty: IPv4 only
  std::set<std::string> ends_at;  // exactly these, each at least once; or one of the sets below
  Source source = Source::kKept;
};
inline const std::set<std::string> kRefused = {"refused"};
inline const std::set<std::string> kDropped = {"dropped"};
inline const std::set<std::string> kAll = {"web-1", "web-2", "web-3"};

// Sends as many packets as it takes, of both families, and expects what the case says; of the
// tracer too, asked about the ruleset the cluster's proxy has programmed. To it, what is relayed
// ends at a socket of the node.
void check_packets(Cluster& cluster, const PacketCase& c, bool tcp);
// With TCP and, unless it is dropped, which takes seconds to see, UDP.
void check_both(Cluster& cluster, const PacketCase& c);

}  // namespace fairlead::proxy::test
