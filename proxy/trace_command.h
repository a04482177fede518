// SPDX-License-Identifier: Apache-2.0
// `fairlead-proxy trace --from ADDRESS --to ADDRESS:PORT/PROTOCOL`: asks the kernel for the rules
// and says, rule by rule, what they do with the first packet of such a flow. Changes nothing; works
// beside a running proxy, and on the tables of any other (`--table kube-proxy`).
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "proxy/trace.h"

namespace fairlead::proxy {

struct TraceOptions {
  Packet packet;
  std::vector<std::string> tables;  // of the packet's family; default: ours
  std::string print;                // --help: what to print instead
};

// An Error's message is one sentence for the user.
Result<TraceOptions> parse_trace_options(const std::vector<std::string>& arguments);

// The answer as text. kNotFound when there is no such table.
Result<std::string> run_trace(Loop& loop, TraceOptions options);

// Columns: chain, rule, effect; then the fate.
std::string to_text(const Packet& packet, const Tracer::Result& result);

}  // namespace fairlead::proxy
