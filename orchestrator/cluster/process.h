// SPDX-License-Identifier: Apache-2.0
// Processes that outlive us: started in a session of their own, found again by pid and start time,
// watched by pidfd (pidfd_open(2)). Errors are values.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace fairlead::orchestrator {

// A process beyond doubt: pids are used again, a pid and its start time are not (proc(5), stat 22).
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot
  bool operator==(const ProcessId&) const = default;
};

std::optional<uint64_t> start_time_of(pid_t pid);
bool is_alive(const ProcessId& process);  // and no zombie

// Another file stands at `path` than the one it runs: a new build. False where nothing stands
// there.
bool has_newer_program(const ProcessId& process, const std::string& path);

// Starts `command` (absolute program first) in a session of its own, standard input from /dev/null,
// output appended to `log_file`, no signal blocked or ignored.
Result<ProcessId> spawn_detached(const std::vector<std::string>& command,
                                 const std::string& log_file);

// Watches a process until it ends; a child of ours is reaped. Destroying it stops watching.
class ProcessWatch {
 public:
  // on_end: nullopt where the exit status is not ours to know (an adopted process).
  static Result<std::unique_ptr<ProcessWatch>> open(
      Loop& loop, const ProcessId& process, std::function<void(std::optional<int> status)> on_end);
  ~ProcessWatch();
  void signal(int number) const;
  const ProcessId& process() const { return process_; }

 private:
  ProcessWatch(Loop& loop, const ProcessId& process, int fd,
               std::function<void(std::optional<int>)> on_end);
  ProcessId process_;
  int fd_;
  std::function<void(std::optional<int>)> on_end_;
  std::unique_ptr<Poll> poll_;
};

// SIGTERM, then SIGKILL after `limit`; blocks until it is gone. For `fairlead down`.
Result<void> terminate(const ProcessId& process, Duration limit);

// A child's record on disk: process, command, and which one of the children it is, from 0.
struct ProcessRecord {
  ProcessId process;
  std::vector<std::string> command;
  size_t position = 0;
};
std::string format_record(const ProcessRecord& record);
std::optional<ProcessRecord> parse_record(const std::string& text);

}  // namespace fairlead::orchestrator
