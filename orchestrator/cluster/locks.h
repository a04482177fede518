// SPDX-License-Identifier: Apache-2.0
// Who may run beside whom: one server and one node per data folder, one node per run folder (its
// containerd, its children) and per network namespace (its rules, routes and addresses).
//
// A lock goes with its processes, however they end (a watcher and its worker share it): flock(2) on
// DATA_DIR/server.lock, DATA_DIR/node.lock and RUN_DIR/node.lock, and the abstract unix socket name
// "fairlead-node" (unix(7)). The file names the process that took it, RUN_DIR's also the data
// folder of the node whose children and pods are there, running or not.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "orchestrator/cluster/options.h"

namespace fairlead::orchestrator {

class Locks {
 public:
  Locks() = default;
  Locks(const Locks&) = delete;
  Locks& operator=(const Locks&) = delete;
  ~Locks();

  // kAlreadyExists says who has it and what to do. Makes the folders.
  Result<void> take(const ClusterOptions& options, bool server, bool node);
  // The data folder alone, both roles: nobody runs from it, nor begins to.
  Result<void> take_data_dir(const ClusterOptions& options);

 private:
  Result<void> lock_file(const std::string& folder, const char* name, const std::string& note);
  Result<void> lock_network();
  std::vector<int> fds_;
};

// The processes that run from this data folder now, without doubles.
std::vector<pid_t> holders(const ClusterOptions& options);
// The data folder that RUN_DIR belongs to; empty: none.
std::string owner_of_run_dir(const ClusterOptions& options);

}  // namespace fairlead::orchestrator
