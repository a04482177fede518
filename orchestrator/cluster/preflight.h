// SPDX-License-Identifier: Apache-2.0
// What must be true before anything is started; each Error is one sentence that says what to do.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/cluster/options.h"

namespace fairlead::orchestrator {

// Root and the capabilities that networks, mounts and containers take.
Result<void> check_privileges();
// The kernel has nf_tables: asked over netlink.
Result<void> check_nf_tables();
// Everything `up` and `node` need: privileges, nf_tables, programs, cgroups, our own binaries.
Result<void> check_node(const ClusterOptions& options);

// The folder of this program's file.
std::string own_bin_dir();

// The ports the program will listen on are free now; the Error names the one that is not.
Result<void> check_ports(const ClusterOptions& options, bool server, bool node);

// One fairlead per data folder, and one node per run folder (its containerd, its children): holds a
// lock on FOLDER/fairlead.lock until destroyed.
// kAlreadyExists, with the other's process number, when it is taken.
class DataDirLock {
 public:
  static Result<DataDirLock> take(const std::string& data_dir);
  DataDirLock(DataDirLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  DataDirLock& operator=(DataDirLock&&) = delete;
  ~DataDirLock();
  // Who holds it; 0: nobody.
  static pid_t holder(const std::string& data_dir);

 private:
  explicit DataDirLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace fairlead::orchestrator
