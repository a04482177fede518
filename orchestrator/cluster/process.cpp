// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>

#include "orchestrator/node/files.h"

extern char** environ;

namespace fairlead::orchestrator {

namespace {

int open_pidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

// The fields of /proc/PID/stat after the name, which may hold anything: "S 1 ...", from field 3 on.
std::vector<std::string> stat_fields(pid_t pid) {
  const Result<std::string> text = files::read("/proc/" + std::to_string(pid) + "/stat");
  std::vector<std::string> fields;
  if (!text.ok() || text->rfind(')') == std::string::npos) return fields;
  std::istringstream stream(text->substr(text->rfind(')') + 1));
  for (std::string field; stream >> field;) fields.push_back(field);
  return fields;
}

}  // namespace

std::optional<uint64_t> start_time_of(pid_t pid) {
  const std::vector<std::string> fields = stat_fields(pid);
  if (fields.size() < 20) return std::nullopt;
  return std::strtoull(fields[19].c_str(), nullptr, 10);
}

bool is_alive(const ProcessId& process) {
  if (process.pid <= 0) return false;
  const std::vector<std::string> fields = stat_fields(process.pid);
  return fields.size() >= 20 && fields[0] != "Z" && fields[0] != "X" &&
         std::strtoull(fields[19].c_str(), nullptr, 10) == process.start_time;
}

bool has_newer_program(const ProcessId& process, const std::string& path) {
  struct stat running {};
  struct stat file {};
  // The link in /proc leads to the file itself, even to one that is deleted (proc(5)).
  const std::string link = "/proc/" + std::to_string(process.pid) + "/exe";
  return stat(link.c_str(), &running) == 0 && stat(path.c_str(), &file) == 0 &&
         (running.st_dev != file.st_dev || running.st_ino != file.st_ino);
}

Result<ProcessId> spawn_detached(const std::vector<std::string>& command,
                                 const std::string& log_file) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0640);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int status =
      posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (status != 0) return Error::from_errno(status, "start " + command[0]);
  // Our child stays a zombie until we reap it, so its entry is there.
  return ProcessId{pid, start_time_of(pid).value_or(0)};
}

ProcessWatch::ProcessWatch(Loop& loop, const ProcessId& process, int fd,
                           std::function<void(std::optional<int>)> on_end)
    : process_(process),
      fd_(fd),
      on_end_(std::move(on_end)),
      poll_(std::make_unique<Poll>(loop, fd)) {
  poll_->start(UV_READABLE, [this](int) {
    poll_->stop();
    int status = 0;
    const bool ours = waitpid(process_.pid, &status, WNOHANG) == process_.pid;
    const auto ended = on_end_;  // it may destroy this object
    ended(ours ? std::optional<int>(status) : std::nullopt);
  });
}

ProcessWatch::~ProcessWatch() {
  poll_.reset();
  close(fd_);
}

Result<std::unique_ptr<ProcessWatch>> ProcessWatch::open(
    Loop& loop, const ProcessId& process, std::function<void(std::optional<int>)> on_end) {
  const int fd = open_pidfd(process.pid);
  if (fd < 0) return Error::from_errno(errno, "watch process " + std::to_string(process.pid));
  // Between reading the record and opening, the pid may have become another process.
  if (start_time_of(process.pid) != process.start_time) {
    close(fd);
    return Error(ErrorCode::kNotFound,
                 "process " + std::to_string(process.pid) + " is another one now");
  }
  return std::unique_ptr<ProcessWatch>(new ProcessWatch(loop, process, fd, std::move(on_end)));
}

void ProcessWatch::signal(int number) const {
  syscall(SYS_pidfd_send_signal, fd_, number, nullptr, 0);
}

Result<void> terminate(const ProcessId& process, Duration limit) {
  if (!is_alive(process)) return ok();
  const int fd = open_pidfd(process.pid);
  if (fd < 0)
    return errno == ESRCH
               ? ok()
               : Error::from_errno(errno, "watch process " + std::to_string(process.pid));
  if (!is_alive(process)) {
    close(fd);
    return ok();
  }
  const auto ends_within = [fd](Duration span) {
    pollfd poller{fd, POLLIN, 0};
    return poll(&poller, 1,
                static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(span).count())) > 0;
  };
  syscall(SYS_pidfd_send_signal, fd, SIGTERM, nullptr, 0);
  bool ended = ends_within(limit);
  if (!ended) {
    syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);
    ended = ends_within(std::chrono::seconds(5));
  }
  close(fd);
  (void)waitpid(process.pid, nullptr, WNOHANG);
  if (!ended)
    return Error(ErrorCode::kTimeout, "process " + std::to_string(process.pid) + " does not end");
  return ok();
}

std::string format_record(const ProcessRecord& record) {
  std::string text = std::to_string(record.process.pid) + " " +
                     std::to_string(record.process.start_time) + " " +
                     std::to_string(record.position) + "\n";
  for (const std::string& word : record.command) text += word + "\n";
  return text;
}

std::optional<ProcessRecord> parse_record(const std::string& text) {
  std::istringstream stream(text);
  ProcessRecord record;
  if (!(stream >> record.process.pid >> record.process.start_time) || record.process.pid <= 1)
    return std::nullopt;
  std::string word;
  std::getline(stream, word);
  record.position = std::strtoul(word.c_str(), nullptr, 10);
  while (std::getline(stream, word)) record.command.push_back(word);
  if (record.command.empty()) return std::nullopt;
  return record;
}

}  // namespace fairlead::orchestrator
