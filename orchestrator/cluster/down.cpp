// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/down.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/loop.h"
#include "orchestrator/cluster/locks.h"
#include "orchestrator/cluster/supervisor.h"
#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/containerd.h"
#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_removal.h"

namespace fairlead::orchestrator {

namespace {

using std::chrono::seconds;

// Ends the fairlead that runs from this data folder. The locks keep another from starting while the
// rest is taken apart. A holder may be dead: its worker has the lock then and is about to become
// the next one (watcher.h).
Result<std::unique_ptr<Locks>> stop_fairlead(const ClusterOptions& options) {
  const auto limit = std::chrono::steady_clock::now() + seconds(40);
  for (;;) {
    auto locks = std::make_unique<Locks>();
    const Result<void> alone = locks->take_data_dir(options);
    if (alone.ok()) return locks;
    if (!alone.error().is_already_exists() || std::chrono::steady_clock::now() > limit)
      return alone.error();
    locks.reset();
    for (const pid_t pid : holders(options)) {
      const auto start = start_time_of(pid);
      if (!start) continue;
      log::info("stopping fairlead, process {}", pid);
      if (auto done = terminate({pid, *start}, seconds(15)); !done.ok()) return done.error();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// Without a running containerd nobody can take the pods apart: it is started once more for that.
Result<void> remove_pods_of_our_containerd(const ClusterOptions& options,
                                           const ContainerdPaths& paths) {
  const auto records = Supervisor::records(options.run_dir);
  bool running = false;
  for (const auto& [name, record] : records)
    if (name == "containerd" && is_alive(record.process)) running = true;
  if (!running && files::exists(paths.config())) {
    const Result<std::string> program = find_program("containerd");
    if (!program.ok()) return program.error();
    const std::vector<std::string> command = {*program, "--config", paths.config()};
    const Result<ProcessId> process =
        spawn_detached(command, options.log_dir() + "/containerd.log");
    if (!process.ok()) return process.error();
    const auto noted = files::write_atomic(options.run_dir + "/children/containerd",
                                           format_record({*process, command, 0}));
    if (!noted.ok()) return noted;
    if (const Result<void> answers = wait_for_runtime(paths.socket()); !answers.ok())
      return answers.error().with_context("containerd was started to end the pods");
  }
  if (!files::exists(paths.socket())) return ok();
  return remove_pods(paths.socket(), {options.pod_log_dir, options.log_link_dir});
}

// Of somebody else's containerd, too: it stays, and so do the pods that are not ours.
Result<void> remove_all_pods(const ClusterOptions& options, const ContainerdPaths& paths) {
  std::string socket = options.containerd_socket;
  if (const Result<std::string> noted = files::read(paths.foreign_socket());
      noted.ok() && socket.empty())
    socket = *noted;
  if (!socket.empty()) {
    const ContainerLogs logs = {options.pod_log_dir, options.log_link_dir};
    if (const Result<void> removed = remove_pods(socket, logs); !removed.ok())
      return removed.error().with_context("the containerd at " + socket);
    (void)unlink(paths.foreign_socket().c_str());
  }
  return remove_pods_of_our_containerd(options, paths);
}

Result<void> clean_proxy(const ClusterOptions& options) {
  const std::string program = options.bin_dir + "/fairlead-proxy";
  if (access(program.c_str(), X_OK) != 0) return ok();
  Loop loop;
  const Result<ProcessId> process =
      spawn_detached({program, "--cleanup"}, options.log_dir() + "/fairlead-proxy.log");
  if (!process.ok()) return process.error();
  bool ended = false;
  std::optional<int> status;
  auto watch = ProcessWatch::open(loop, *process,
                                  [&](std::optional<int> code) { ended = true, status = code; });
  if (!watch.ok()) return watch.error();
  if (!loop.run_until([&] { return ended; }, seconds(30)))
    return Error(ErrorCode::kTimeout, "fairlead-proxy --cleanup does not end");
  if (status != 0)
    return Error(ErrorCode::kInternal, "fairlead-proxy --cleanup " + describe_end(status) +
                                           "; its log is " + options.log_dir() +
                                           "/fairlead-proxy.log");
  return ok();
}

Result<void> unmount_below(const std::string& path) {
  Result<void> result = ok();
  for (const std::string& point : files::mounts_below(path))
    if (umount2(point.c_str(), MNT_DETACH) != 0)
      result = Error::from_errno(errno, "unmount " + point);
  return result;
}

// Of the pods that this data folder knows, and what nothing lives in: another cluster's, in another
// network namespace, are below the same root.
Result<void> remove_cgroups(const ClusterOptions& options) {
  const Result<Cgroups> cgroups = Cgroups::detect();
  if (!cgroups.ok()) return ok();
  const std::vector<std::string> uids = files::list(options.data_dir + "/pods");
  const std::string root = kPodCgroupRoot;
  const std::string classes[] = {root + "/besteffort", root + "/burstable", root};
  for (const std::string& parent : classes) {
    for (const std::string& name : cgroups->children(parent)) {
      if (!name.starts_with("pod")) continue;
      const std::string path = parent + "/" + name;
      if (std::ranges::find(uids, name.substr(3)) == uids.end())
        (void)cgroups->remove(path);
      else if (const auto done = cgroups->kill_and_remove(path); !done.ok())
        return done;
    }
  }
  cgroups->remove_empty(cgroup_holder(options.data_dir));
  for (const std::string& parent : classes) cgroups->remove_empty(parent);
  cgroups->remove_empty("/k8s.io");  // releases before this one had containers there
  const auto kept = cgroups->unmount_ours();
  if (!kept.ok()) return kept.error();
  for (const std::string& inside : *kept)
    log::info("a cgroup hierarchy of ours stays mounted: {} is in it", inside);
  return ok();
}

Result<void> remove_files(const ClusterOptions& options, bool purge) {
  for (const std::string& dir : {options.data_dir, options.run_dir})
    if (const Result<void> done = unmount_below(dir); !done.ok()) return done;
  if (const Result<void> done = remove_cgroups(options); !done.ok()) return done;
  for (const std::string& dir : {options.run_dir, options.data_dir + "/pods",
                                 options.data_dir + "/trash", options.data_dir + "/cni/addresses"})
    if (const Result<void> done = files::remove_tree(dir); !done.ok()) return done;
  if (!purge) return ok();
  return files::remove_tree(options.data_dir);
}

// The node of this run folder is another data folder's: only a server can be ended here.
Result<void> stop_server(const ClusterOptions& options, const std::string& owner, bool purge) {
  if (holders(options).empty() && !purge)
    return Error(ErrorCode::kInvalid, options.run_dir + " holds the pods of the node in " + owner +
                                          ": end them with --data-dir " + owner);
  const auto locks = stop_fairlead(options);
  if (!locks.ok()) return locks.error();
  return purge ? files::remove_tree(options.data_dir) : ok();
}

}  // namespace

Result<void> tear_down(const ClusterOptions& options, bool purge) {
  const ContainerdPaths paths{options.data_dir, options.run_dir};
  std::optional<Error> first;
  const auto step = [&](const char* what, const Result<void>& done) {
    if (done.ok()) return;
    log::error("{}: {}", what, done.error().message());
    if (!first) first = done.error().with_context(what);
  };
  if (!files::is_dir(options.data_dir) && !files::is_dir(options.run_dir)) return ok();
  const std::string owner = owner_of_run_dir(options);
  if (!owner.empty() && owner != options.data_dir) return stop_server(options, owner, purge);
  (void)files::make_dirs(options.run_dir + "/children", 0750);
  (void)files::make_dirs(options.log_dir(), 0750);
  const auto locks = stop_fairlead(options);
  step("stopping fairlead", locks.ok() ? ok() : Result<void>(locks.error()));
  step("removing pods", remove_all_pods(options, paths));
  step("stopping children", Supervisor::stop_all(options.run_dir, seconds(10)));
  step("removing the proxy's rules", clean_proxy(options));
  step("removing files", remove_files(options, purge));
  return first ? Result<void>(*first) : ok();
}

}  // namespace fairlead::orchestrator
