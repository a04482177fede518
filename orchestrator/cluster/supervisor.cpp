// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/supervisor.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

struct Supervisor::Child {
  ChildSpec spec;
  size_t position = 0;  // in the order of keep()
  std::unique_ptr<ProcessWatch> watch;
  MonoTime started_at;
  Duration delay = kMinDelay;
  Alarm retry;
  bool restarting = false;
};

Supervisor::Supervisor(Loop& loop, std::string run_dir, std::string log_dir)
    : loop_(loop), run_dir_(std::move(run_dir)), log_dir_(std::move(log_dir)) {}
Supervisor::~Supervisor() = default;

std::string Supervisor::record_path(const std::string& name) const {
  return run_dir_ + "/children/" + name;
}

Result<void> Supervisor::keep(ChildSpec spec) {
  for (const std::string& dir : {run_dir_ + "/children", log_dir_})
    if (const Result<void> made = files::make_dirs(dir, 0750); !made.ok()) return made;
  auto& slot = children_[spec.name];
  const size_t position = slot ? slot->position : children_.size() - 1;
  slot = std::make_unique<Child>();
  slot->position = position;
  slot->spec = std::move(spec);
  if (!adopt(*slot)) start(*slot);
  trim_logs();
  return ok();
}

// True when the recorded process is alive and is ours to keep.
bool Supervisor::adopt(Child& child) {
  const Result<std::string> text = files::read(record_path(child.spec.name));
  if (!text.ok()) return false;
  const std::optional<ProcessRecord> record = parse_record(*text);
  if (!record || !is_alive(record->process)) return false;
  const bool same = record->command == child.spec.command;
  if (!same || has_newer_program(record->process, child.spec.command[0])) {
    log::info("{} (process {}) runs {} and is replaced", child.spec.name, record->process.pid,
              same ? "an older program" : "with other arguments");
    if (const Result<void> done = terminate(record->process, std::chrono::seconds(5)); !done.ok())
      log::error("{}: {}", child.spec.name, done.error().message());
    return false;
  }
  if (record->position != child.position) write_record(child, record->process);
  watch(child, record->process, true);
  return child.watch != nullptr;
}

void Supervisor::start(Child& child) {
  const std::string log_file = log_dir_ + "/" + child.spec.name + ".log";
  trim_log(log_file, kMaxLogBytes);
  const Result<ProcessId> process = spawn_detached(child.spec.command, log_file);
  if (!process.ok()) {
    log::error("{}: {}; trying again", child.spec.name, process.error().message());
    return ended(child, std::nullopt);
  }
  // Killed between these two lines we would start a second one: it finds its socket taken and ends.
  write_record(child, *process);
  watch(child, *process, false);
}

void Supervisor::write_record(const Child& child, const ProcessId& process) {
  const Result<void> recorded = files::write_atomic(
      record_path(child.spec.name), format_record({process, child.spec.command, child.position}));
  if (!recorded.ok())
    log::error("{} cannot be recorded: {}", child.spec.name, recorded.error().message());
}

void Supervisor::watch(Child& child, const ProcessId& process, bool adopted) {
  auto opened = ProcessWatch::open(
      loop_, process, [this, &child](std::optional<int> status) { ended(child, status); });
  if (!opened.ok()) {
    if (!adopted) ended(child, std::nullopt);
    return;
  }
  child.watch = *std::move(opened);
  child.started_at = loop_.clock().now();
  child.restarting = false;
  log::info("{} {} as process {}", child.spec.name, adopted ? "is adopted" : "started",
            process.pid);
  if (child.spec.on_change) child.spec.on_change(true);
}

void Supervisor::ended(Child& child, std::optional<int> status) {
  const bool ran = child.watch != nullptr;
  child.watch.reset();
  if (ran && loop_.clock().now() - child.started_at > kSteady) child.delay = kMinDelay;
  const bool asked = std::exchange(child.restarting, false);
  const Duration delay = asked ? Duration::zero() : child.delay;
  if (!asked) {
    child.delay = std::min<Duration>(child.delay * 2, kMaxDelay);
    if (ran)
      log::warn("{}: {}; started again in {} ms, its log is {}/{}.log", child.spec.name,
                describe_end(status),
                std::chrono::duration_cast<std::chrono::milliseconds>(delay).count(), log_dir_,
                child.spec.name);
  }
  child.retry = loop_.clock().after(delay, [this, &child] { start(child); });
  if (ran && child.spec.on_change) child.spec.on_change(false);
}

void Supervisor::restart(const std::string& name) {
  const auto it = children_.find(name);
  if (it == children_.end() || !it->second->watch) return;
  it->second->restarting = true;
  it->second->watch->signal(SIGTERM);
}

pid_t Supervisor::pid(const std::string& name) const {
  const auto it = children_.find(name);
  return it == children_.end() || !it->second->watch ? 0 : it->second->watch->process().pid;
}

void Supervisor::trim_logs() {
  for (const auto& [name, child] : children_)
    trim_log(log_dir_ + "/" + name + ".log", kMaxLogBytes);
  trim_ = loop_.clock().after(std::chrono::minutes(1), [this] { trim_logs(); });
}

std::vector<std::pair<std::string, ProcessRecord>> Supervisor::records(const std::string& run_dir) {
  std::vector<std::pair<std::string, ProcessRecord>> list;
  for (const std::string& name : files::list(run_dir + "/children")) {
    const Result<std::string> text = files::read(run_dir + "/children/" + name);
    if (!text.ok()) continue;
    if (auto record = parse_record(*text)) list.emplace_back(name, *std::move(record));
  }
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.second.position < b.second.position; });
  return list;
}

Result<void> Supervisor::stop_all(const std::string& run_dir, Duration limit) {
  Result<void> result = ok();
  auto list = records(run_dir);
  for (auto it = list.rbegin(); it != list.rend(); ++it) {
    const auto& [name, record] = *it;
    if (is_alive(record.process)) log::info("stopping {}, process {}", name, record.process.pid);
    if (const Result<void> done = terminate(record.process, limit); done.ok())
      unlink((run_dir + "/children/" + name).c_str());
    else
      result = done.error().with_context(name);
  }
  return result;
}

std::string describe_end(std::optional<int> status) {
  if (!status) return "ended";
  if (WIFSIGNALED(*status)) return "ended by signal " + std::to_string(WTERMSIG(*status));
  return "ended with exit code " + std::to_string(WEXITSTATUS(*status));
}

void trim_log(const std::string& path, int64_t limit) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || info.st_size <= limit) return;
  const int from = open(path.c_str(), O_RDWR | O_CLOEXEC);
  const int to = open((path + ".1").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (from >= 0 && to >= 0) {
    off_t offset = std::max<off_t>(0, info.st_size - limit);  // the newest part
    while (sendfile(to, from, &offset, static_cast<size_t>(limit)) > 0) {
    }
    if (ftruncate(from, 0) != 0) log::warn("{} cannot be cut", path);
  }
  if (from >= 0) close(from);
  if (to >= 0) close(to);
}

}  // namespace fairlead::orchestrator
