// SPDX-License-Identifier: Apache-2.0
// `fairlead-proxy stat`: asks the proxy that runs on this node what its Services do, and shows the
// busiest, again and again. A person's first look when something is wrong.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "proxy/stat.h"

namespace fairlead::proxy {

struct StatOptions {
  std::string address = "127.0.0.1:10249";  // the proxy's --metrics-bind-address
  Duration interval = std::chrono::seconds(2);
  size_t top = 20;  // 0: all
  StatSort sort = StatSort::kRate;
  bool once = false;
  bool json = false;
  std::string print;  // --help: what to print instead
};

// An Error's message is one sentence for the user.
Result<StatOptions> parse_stat_options(const std::vector<std::string>& arguments);

// Writes to standard output until a signal ends it, or it is closed; one table or line of JSON an
// interval, redrawn in place on a terminal. Rates need two looks: --once takes them an interval
// apart. An Error: the first look failed, or any with --once; later failures are shown, and it goes
// on.
Result<void> run_stat(Loop& loop, const StatOptions& options);

}  // namespace fairlead::proxy
