// SPDX-License-Identifier: Apache-2.0
// Ending every pod of ours without a node runner, for `fairlead down`. Each call runs a loop of its
// own and returns when it is done, or after minutes with what hindered it; any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/node/container_logs.h"

namespace fairlead::orchestrator {

// Until the runtime at `socket` answers, for some fifteen seconds.
Result<void> wait_for_runtime(const std::string& socket);

// Our sandboxes (kLabelOurs) with their containers, all at once, and their folders of logs with the
// links to them. What others run there stays. Containers get their SIGTERM together and have five
// seconds.
Result<void> remove_pods(const std::string& socket, const ContainerLogs& logs);

}  // namespace fairlead::orchestrator
