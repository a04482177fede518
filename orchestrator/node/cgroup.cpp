// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/cgroup.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <optional>
#include <sstream>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

constexpr const char* kControllers[] = {"cpu",     "cpuacct", "cpuset",   "memory",
                                        "devices", "freezer", "blkio",    "pids",
                                        "hugetlb", "net_cls", "net_prio", "perf_event"};

constexpr char kRoot[] = "/sys/fs/cgroup";
constexpr char kUnified[] = "/sys/fs/cgroup/unified";
// What /proc/mounts calls the file system that mount_left_in_v2() mounts.
constexpr char kOurs[] = "fairlead";

bool known_to_v1(const std::string& controller) {
  return std::ranges::find(kControllers, controller) != std::end(kControllers);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

// A new v1 cpuset is empty, and nothing can run in an empty one.
Result<void> inherit_cpuset(const std::string& parent, const std::string& child) {
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    const Result<std::string> have = files::read(child + file);
    if (have.ok() && have->find_first_not_of(" \n") != std::string::npos) continue;
    const Result<std::string> above = files::read(parent + file);
    if (!above.ok()) return above.error();
    if (const Result<void> set = files::write_value(child + file, *above); !set.ok()) return set;
  }
  return ok();
}

// v2: a controller works in a child when its parent's subtree_control names it. What a pod's limits
// need is there or an error; the others, which the runtime may use, are enabled where they can be.
Result<void> enable_controllers(const std::string& parent) {
  const Result<std::string> available = files::read(parent + "/cgroup.controllers");
  if (!available.ok()) return available.error();
  const std::string file = parent + "/cgroup.subtree_control";
  std::istringstream stream(*available);
  std::vector<std::string> others{std::istream_iterator<std::string>(stream), {}};
  std::string needed;
  for (const char* name : {"cpu", "memory"}) {
    if (std::erase(others, name) == 0)
      return Error(ErrorCode::kUnsupported,
                   std::string("the cgroup controller ") + name + " is not available in " + parent +
                       ": the kernel lacks it (cgroup_disable=?), or what is above keeps it back");
    needed += (needed.empty() ? "+" : " +") + std::string(name);
  }
  if (const Result<void> enabled = files::write_value(file, needed); !enabled.ok())
    return enabled.error().with_context("cgroup controllers cpu and memory cannot be enabled");
  for (const std::string& name : others) (void)files::write_value(file, "+" + name);
  return ok();
}

Result<void> remove_below(const std::string& path) {
  for (const std::string& name : files::list(path)) {
    const std::string child = path + "/" + name;
    if (!files::is_dir(child)) continue;
    if (const Result<void> removed = remove_below(child); !removed.ok()) return removed;
  }
  if (rmdir(path.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove cgroup " + path);
  return ok();
}

void kill_below(const std::string& path) {
  for (const std::string& name : files::list(path))
    if (files::is_dir(path + "/" + name)) kill_below(path + "/" + name);
  const Result<std::string> processes = files::read(path + "/cgroup.procs");
  if (!processes.ok()) return;
  std::istringstream stream(*processes);
  for (pid_t pid = 0; stream >> pid;)
    if (pid > 1) kill(pid, SIGKILL);
}

}  // namespace

std::string cgroup_holder(const std::string& data_dir) {
  return std::string(kPodCgroupRoot) + "/node-" +
         std::to_string(std::hash<std::string>()(data_dir));
}

bool Cgroups::Hierarchy::has(const std::string& controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

Cgroups Cgroups::parse(const std::string& mountinfo) {
  Cgroups cgroups;
  for (const std::string& line : split(mountinfo, '\n')) {
    // "36 35 98:0 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu": proc(5)
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const std::vector<std::string> left = split(line.substr(0, dash), ' ');
    const std::vector<std::string> right = split(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    if (left[4] == kRoot) cgroups.root_ = right[0];
    if (right[0] == "cgroup2" && (cgroups.v2_.empty() || left[4] == kUnified))
      cgroups.v2_ = left[4];
    if (right[0] == "cgroup" || right[0] == "cgroup2") cgroups.mount_points_.push_back(left[4]);
    if (right[0] != "cgroup") continue;
    Hierarchy hierarchy{left[4], {}, right[1] == kOurs};
    for (const std::string& option : split(right[2], ','))
      if (known_to_v1(option)) hierarchy.controllers.push_back(option);
    if (!hierarchy.controllers.empty()) cgroups.hierarchies_.push_back(std::move(hierarchy));
  }
  // A v1 hierarchy or two beside v2 at its own place (net_cls, say) have none of a pod's limits.
  const bool unified = cgroups.hierarchies_.empty() || cgroups.root_ == "cgroup2";
  if (unified && !cgroups.v2_.empty()) {
    cgroups.unified_ = true;
    cgroups.hierarchies_ = {{cgroups.v2_, {}, false}};
  }
  return cgroups;
}

Result<Cgroups> Cgroups::detect() {
  const Result<std::string> mountinfo =
      files::read("/proc/thread-self/mountinfo", 16 * 1024 * 1024);
  if (!mountinfo.ok()) return mountinfo.error();
  Cgroups cgroups = parse(*mountinfo);
  if (cgroups.hierarchies().empty())
    return Error(ErrorCode::kUnsupported,
                 "no cgroups are mounted: mount them below /sys/fs/cgroup (cgroup v1 or v2)");
  return cgroups;
}

std::vector<std::string> Cgroups::left_in_v2() const {
  if (root_ == "cgroup2" || v2_ != kUnified) return {};
  const Result<std::string> names = files::read(v2_ + "/cgroup.controllers");
  std::istringstream stream(names.ok() ? *names : "");
  return {std::istream_iterator<std::string>(stream), {}};
}

// libcrun's cgroup-utils.c looks at the file systems at these two places.
std::string Cgroups::crun_obstacle() const {
  if (root_ == "cgroup2") return "";
  if (root_ != "tmpfs") return std::string("there are no cgroups at ") + kRoot;
  const std::vector<std::string> left = left_in_v2();
  return left.empty() ? "" : std::string(kUnified) + " has controllers beside v1: " + left.front();
}

namespace {

Result<void> mount_v1(const std::string& name, const std::string& point) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount(kOurs, point.c_str(), "cgroup", kFlags, name.c_str()) != 0)
    return Error::from_errno(errno, "mount the cgroup controller " + name + " at " + point);
  return ok();
}

// The folder and the hierarchy, or nothing.
Result<void> make_v1(const std::string& name, const std::string& point) {
  const bool was_there = mkdir(point.c_str(), 0755) != 0;
  if (was_there && errno != EEXIST) return Error::from_errno(errno, "make the folder " + point);
  const Result<void> made = mount_v1(name, point);
  if (!made.ok() && !was_there) rmdir(point.c_str());
  return made;
}

}  // namespace

Result<int> Cgroups::mount_left_in_v2() {
  const std::vector<std::string> left = left_in_v2();
  const Result<std::string> used = files::read(v2_ + "/cgroup.subtree_control");
  if (left.empty() || hierarchies_.empty() || !std::ranges::all_of(left, known_to_v1) ||
      !used.ok() || used->find_first_not_of(" \n") != std::string::npos)
    return 0;
  const size_t before = hierarchies_.size();
  for (const std::string& name : left) {
    const std::string point = std::string(kRoot) + "/" + name;
    if (const Result<void> made = make_v1(name, point); !made.ok()) {
      for (size_t i = before; i < hierarchies_.size(); ++i) (void)unmount(hierarchies_[i]);
      return made.error();
    }
    hierarchies_.push_back({point, {name}, true});
    mount_points_.push_back(point);
  }
  return static_cast<int>(left.size());
}

Result<void> Cgroups::hold_ours(const std::string& holder) const {
  for (const Hierarchy& hierarchy : hierarchies_)
    if (hierarchy.ours)
      if (const Result<void> made = files::make_dirs(hierarchy.mount_point + holder); !made.ok())
        return made;
  return ok();
}

// The kernel gives the controller back to v2 only when the unmounted hierarchy is empty, and a
// cgroup that was removed lives on for some milliseconds (cgroup_kill_sb() in
// kernel/cgroup/cgroup.c).
Result<void> Cgroups::unmount(const Hierarchy& hierarchy) const {
  const std::string& point = hierarchy.mount_point;
  const std::string& name = hierarchy.controllers.front();
  for (int round = 0; round < 40; ++round) {
    if (umount(point.c_str()) != 0) return Error::from_errno(errno, "unmount " + point);
    usleep(50 * 1000);
    if (std::ranges::count(left_in_v2(), name) > 0)
      return rmdir(point.c_str()) == 0 ? ok()
                                       : Error::from_errno(errno, "remove the folder " + point);
    if (const Result<void> again = mount_v1(name, point); !again.ok()) return again;
  }
  return Error(ErrorCode::kUnavailable,
               "unmount " + point + ": it is mounted elsewhere too, in another mount namespace");
}

Result<std::vector<std::string>> Cgroups::unmount_ours() const {
  std::vector<std::string> kept;
  std::optional<Error> failed;
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (!hierarchy.ours) continue;
    const std::vector<std::string> names = files::list(hierarchy.mount_point);
    const auto inside = std::ranges::find_if(names, [&](const std::string& name) {
      return files::is_dir(hierarchy.mount_point + "/" + name);
    });
    if (inside != names.end())
      kept.push_back(hierarchy.mount_point + "/" + *inside);
    else if (const Result<void> done = unmount(hierarchy); !done.ok())
      failed = done.error();
  }
  if (failed) return *failed;
  return kept;
}

std::set<std::string> Cgroups::children(const std::string& path) const {
  std::set<std::string> names;
  for (const std::string& mount_point : mount_points_)
    for (const std::string& name : files::list(mount_point + path))
      if (files::is_dir(mount_point + path + "/" + name)) names.insert(name);
  return names;
}

void Cgroups::remove_empty(const std::string& path) const {
  for (const std::string& mount_point : mount_points_) rmdir((mount_point + path).c_str());
}

Result<void> Cgroups::create(const std::string& path) const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    std::string parent = hierarchy.mount_point;
    for (const std::string& part : split(path, '/')) {
      if (unified_)
        if (const Result<void> enabled = enable_controllers(parent); !enabled.ok()) return enabled;
      const std::string child = parent + "/" + part;
      if (mkdir(child.c_str(), 0755) != 0 && errno != EEXIST)
        return Error::from_errno(errno, "make cgroup " + child);
      if (hierarchy.has("cpuset"))
        if (const Result<void> set = inherit_cpuset(parent, child); !set.ok()) return set;
      parent = child;
    }
  }
  return ok();
}

Result<void> Cgroups::set(const std::string& path, const PodLimits& limits) const {
  struct Setting {
    const char* controller;
    const char* file;
    std::string value;
  };
  const std::string quota = std::to_string(limits.cpu_quota);
  std::vector<Setting> settings;
  if (unified_) {
    settings.push_back({"", "/cpu.weight", std::to_string(weight_of_shares(limits.cpu_shares))});
    settings.push_back({"", "/cpu.max",
                        (limits.cpu_quota > 0 ? quota : "max") + " " + std::to_string(kCpuPeriod)});
    settings.push_back(
        {"", "/memory.max", limits.memory_bytes > 0 ? std::to_string(limits.memory_bytes) : "max"});
  } else {
    settings.push_back({"cpu", "/cpu.shares", std::to_string(limits.cpu_shares)});
    if (limits.cpu_quota > 0) {
      settings.push_back({"cpu", "/cpu.cfs_period_us", std::to_string(kCpuPeriod)});
      settings.push_back({"cpu", "/cpu.cfs_quota_us", quota});
    }
    if (limits.memory_bytes > 0)
      settings.push_back({"memory", "/memory.limit_in_bytes", std::to_string(limits.memory_bytes)});
  }
  for (const Hierarchy& hierarchy : hierarchies_) {
    for (const Setting& setting : settings) {
      if (!unified_ && !hierarchy.has(setting.controller)) continue;
      const std::string file = hierarchy.mount_point + path + setting.file;
      if (const Result<void> set = files::write_value(file, setting.value); !set.ok()) return set;
    }
  }
  return ok();
}

Result<void> Cgroups::remove(const std::string& path) const {
  Result<void> result = ok();
  for (const std::string& mount_point : mount_points_)
    if (const Result<void> removed = remove_below(mount_point + path); !removed.ok())
      result = removed;
  return result;
}

Result<void> Cgroups::remove_or_kill(const std::string& path) const {
  const Result<void> result = remove(path);
  if (!result.ok())
    for (const std::string& mount_point : mount_points_) kill_below(mount_point + path);
  return result;
}

Result<void> Cgroups::kill_and_remove(const std::string& path) const {
  Result<void> result = remove_or_kill(path);
  for (int round = 0; round < 20 && !result.ok(); ++round) {
    usleep(50 * 1000);
    result = remove_or_kill(path);
  }
  return result;
}

}  // namespace fairlead::orchestrator
