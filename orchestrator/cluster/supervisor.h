// SPDX-License-Identifier: Apache-2.0
// Keeps the children running: containerd, the proxy, the DNS server; started in that order, stopped
// in reverse.
//
// They outlive us. Each is recorded in RUN_DIR/children/NAME; a supervisor that finds a live
// process of the same command there adopts it instead of starting another; one of another command,
// or of a program file that has been replaced since, is ended and started anew. A child that ends
// is started again after 100 ms doubling to 10 s, from anew once it lived a minute. Logs are
// LOG_DIR/NAME.log, cut back to one older file when they reach 10 MiB.
//
// Threads: the loop's. Destroying it leaves the children running.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "orchestrator/cluster/process.h"

namespace fairlead::orchestrator {

struct ChildSpec {
  std::string name;
  std::vector<std::string> command;  // absolute program first; no word may hold a newline
  // Runs when it was started or adopted, and when it ended.
  std::function<void(bool running)> on_change;
};

class Supervisor {
 public:
  static constexpr Duration kMinDelay = std::chrono::milliseconds(100);
  static constexpr Duration kMaxDelay = std::chrono::seconds(10);
  static constexpr Duration kSteady = std::chrono::minutes(1);
  static constexpr int64_t kMaxLogBytes = 10 * 1024 * 1024;

  Supervisor(Loop& loop, std::string run_dir, std::string log_dir);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // From now on the child runs. The error: folders cannot be made; a program that does not start is
  // retried like one that ends.
  Result<void> keep(ChildSpec spec);
  // Ends the child; it is started again at once (its configuration changed).
  void restart(const std::string& name);
  // 0: not running now.
  pid_t pid(const std::string& name) const;

  // The records that are there, in the order of keep().
  static std::vector<std::pair<std::string, ProcessRecord>> records(const std::string& run_dir);
  // Ends the recorded children, the last one kept first, each when the one before it is gone; for
  // `fairlead down`. SIGKILL after `limit`. The Error: one that does not end, the last of them.
  static Result<void> stop_all(const std::string& run_dir, Duration limit);

 private:
  struct Child;
  bool adopt(Child& child);
  void write_record(const Child& child, const ProcessId& process);
  void start(Child& child);
  void watch(Child& child, const ProcessId& process, bool adopted);
  void ended(Child& child, std::optional<int> status);
  void trim_logs();
  std::string record_path(const std::string& name) const;

  Loop& loop_;
  std::string run_dir_;
  std::string log_dir_;
  std::map<std::string, std::unique_ptr<Child>> children_;
  Alarm trim_;
};

// How a process ended, in words: "exit code 1", "signal 9", "ended".
std::string describe_end(std::optional<int> status);
// Beyond `limit` bytes the file becomes PATH.1 (an older one is replaced) and starts empty; whoever
// appends to it goes on.
void trim_log(const std::string& path, int64_t limit);

}  // namespace fairlead::orchestrator
