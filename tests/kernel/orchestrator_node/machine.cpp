// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/orchestrator_node/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "orchestrator/node/container_config.h"
#include "orchestrator/node/files.h"
#include "tests/support/paths.h"

extern char** environ;

namespace fairlead::orchestrator {

namespace {

[[noreturn]] void die(const std::string& sentence) {
  std::fprintf(stderr, "kernel tests of the node: %s\n", sentence.c_str());
  std::exit(1);
}

void bring_up_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::snprintf(request.ifr_name, IFNAMSIZ, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) die("loopback does not come up");
  close(fd);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int status = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) die("cannot start " + command[0]);
  return pid;
}

}  // namespace

Machine& Machine::get() {
  static Machine machine;
  return machine;
}

Machine::Machine() {
  if (getuid() != 0) die("they need root");
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    die("no network and mount namespaces of their own");
  bring_up_loopback();
  char name[] = "/tmp/fairlead-node-XXXXXX";
  if (mkdtemp(name) == nullptr) die("no temporary folder");
  root_ = name;
  cgroup_root_ = "/fairlead-test-" + std::to_string(getpid());
  paths_ = {root_ + "/data", root_ + "/run"};
  if (const auto forward = enable_forwarding(); !forward.ok()) die(forward.error().message());
  if (const auto found = check_programs(true); !found.ok()) die(found.error().message());
  Result<Cgroups> cgroups = Cgroups::detect();
  if (!cgroups.ok()) die(cgroups.error().message());
  const auto mounted = cgroups->mount_left_in_v2();
  if (!mounted.ok()) die(mounted.error().message());
  mounted_ = *mounted > 0;
  if (const auto held = cgroups->hold_ours(cgroup_root_); !held.ok()) die(held.error().message());
  if (const auto ready = prepare_containerd(paths_); !ready.ok()) die(ready.error().message());
  if (const auto ready = write_cni_config(paths_, *Cidr::parse("10.99.0.0/24")); !ready.ok())
    die(ready.error().message());
  if (run({fairlead::test::source_path("scripts/images"), paths_.images()}) != 0)
    die("scripts/images failed");
  start_containerd();
  for (const ImageArchive& archive : new_images(paths_)) {
    if (run({"ctr", "-a", paths_.socket(), "-n", "k8s.io", "images", "import", archive.path}) != 0)
      die("an image cannot be imported; containerd's log is " + root_ + "/containerd.log");
    if (!remember_image(paths_, archive).ok()) die("an imported image cannot be noted");
  }
}

Machine::~Machine() {
  if (containerd_ > 0) kill(containerd_, SIGTERM), waitpid(containerd_, nullptr, 0);
  if (const auto cgroups = Cgroups::detect(); cgroups.ok()) {
    (void)cgroups->kill_and_remove(cgroup_root_);
    if (mounted_) (void)cgroups->unmount_ours();
  }
  for (const std::string& point : files::mounts_below(root_)) umount2(point.c_str(), MNT_DETACH);
  (void)files::remove_tree(root_);
}

int Machine::run(const std::vector<std::string>& command) {
  const pid_t pid = spawn(command, "/dev/null");
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

void Machine::start_containerd() {
  containerd_ = spawn({"containerd", "-c", paths_.config()}, root_ + "/containerd.log");
  for (int i = 0; i < 200; ++i) {
    if (run({"ctr", "-a", paths_.socket(), "version"}) == 0) return;
    usleep(50 * 1000);
  }
  die("containerd does not answer; its log is " + root_ + "/containerd.log");
}

void Machine::kill_containerd() {
  kill(containerd_, SIGKILL);
  waitpid(containerd_, nullptr, 0);
  containerd_ = -1;
}

void FakeApi::later(std::function<void()> task) {
  alarms_.push_back(clock_.after(Duration::zero(), std::move(task)));
}

void FakeApi::patch_pod_status(const kube::ObjectKey&, const std::string& uid,
                               const nlohmann::json& change, JsonDone done) {
  nlohmann::json& have = status[uid];
  have.merge_patch(change);
  history.push_back(change);
  later([done = std::move(done), reply = nlohmann::json{{"status", have}}] { done(reply); });
}

void FakeApi::delete_pod(const kube::ObjectKey&, const std::string& uid,
                         std::function<void(Result<void>)> done) {
  deleted.push_back(uid);
  later([this, uid, done = std::move(done)] {
    done(ok());
    if (on_delete) on_delete(uid);
  });
}

void FakeApi::get_object(const std::string&, const ObjectRef& reference,
                         std::function<void(Result<ObjectData>)> done) {
  const auto found = objects.find(reference);
  Result<ObjectData> result = Error(ErrorCode::kNotFound, reference.to_string() + " not found");
  if (found != objects.end()) result = found->second;
  later([done = std::move(done), result] { done(result); });
}

bool SeenEvents::has(const std::string& reason) const {
  for (const std::string& line : list)
    if (line.starts_with(reason + ":")) return true;
  return false;
}

PodBench::PodBench()
    : api(loop.clock()),
      volumes(Machine::get().paths().data_dir),
      trash(volumes.trash_dir()),
      cgroups(*Cgroups::detect()) {
  connect();
  api.on_delete = [this](const std::string& uid) {
    pods_.erase(uid);
    if (const auto it = workers.find(uid); it != workers.end()) it->second->set_gone();
  };
}

PodBench::~PodBench() {
  clean();
  workers.clear();
  finished_.clear();
}

void PodBench::connect() {
  const Machine& machine = Machine::get();
  cri = std::make_unique<CriClient>(loop, machine.paths().socket());
  probes = std::make_unique<NetworkProbeRunner>(loop, *cri);
  context = std::make_unique<PodContext>(
      PodContext{loop.clock(),
                 *cri,
                 api,
                 events,
                 *probes,
                 volumes,
                 trash,
                 cgroups,
                 machine.cgroup_root(),
                 {machine.root() + "/log", machine.root() + "/links"},
                 "/etc/resolv.conf",
                 "",
                 {"10.96.0.10", "cluster.local"},
                 {"test-node", "127.0.0.1", {}, 2000, int64_t{1} << 32},
                 nullptr});
  cri->subscribe(
      [this](const RuntimeEvent& event) {
        for (const auto& [uid, worker] : workers)
          if (worker->task_ended(event.container_id)) return;
      },
      [this] {
        for (const auto& [uid, worker] : workers) worker->retry();
      });
}

nlohmann::json PodBench::pod(const std::string& name, nlohmann::json spec) {
  static int count = 0;
  const std::string uid = "uid-" + std::to_string(getpid()) + "-" + std::to_string(++count);
  for (auto& container : spec["containers"])
    if (!container.contains("image")) container["image"] = "localhost/fairlead/demo:1";
  return {{"metadata", {{"name", name}, {"namespace", "default"}, {"uid", uid}}},
          {"spec", std::move(spec)}};
}

PodWorker& PodBench::apply(const nlohmann::json& object) {
  auto spec = parse_pod(object);
  if (!spec.ok()) die(spec.error().message());
  const std::string uid = spec->uid;
  pods_[uid] = object;
  auto& worker = workers[uid];
  if (!worker)
    worker = std::make_unique<PodWorker>(*context, uid, [this, uid] {
      finished_.push_back(std::move(workers[uid]));
      workers.erase(uid);
    });
  worker->update(*std::move(spec), api.status[uid]);
  return *worker;
}

void PodBench::remove(const nlohmann::json& object, int grace_seconds) {
  nlohmann::json deleting = object;
  deleting["metadata"]["deletionTimestamp"] =
      format_time(loop.clock().wall_now() + std::chrono::seconds(grace_seconds));
  deleting["metadata"]["deletionGracePeriodSeconds"] = grace_seconds;
  apply(deleting);
}

bool PodBench::wait(const std::function<bool()>& done, Duration limit) {
  Timer look(loop);  // the loop looks after each event, and files make none
  look.start_every(std::chrono::milliseconds(50), [] {});
  return loop.run_until(done, limit);
}

nlohmann::json PodBench::status(const nlohmann::json& object) const {
  const auto it = api.status.find(object["metadata"]["uid"].get<std::string>());
  return it == api.status.end() || it->second.is_null() ? nlohmann::json::object() : it->second;
}

std::string PodBench::phase(const nlohmann::json& object) const {
  return status(object).value("phase", "");
}

bool PodBench::ready(const nlohmann::json& object) const {
  for (const auto& condition : status(object).value("conditions", nlohmann::json::array()))
    if (condition["type"] == "Ready") return condition["status"] == "True";
  return false;
}

nlohmann::json PodBench::container(const nlohmann::json& object, const std::string& name) const {
  const nlohmann::json all = status(object);
  for (const char* list : {"containerStatuses", "initContainerStatuses"})
    for (const auto& each : all.value(list, nlohmann::json::array()))
      if (each["name"] == name) return each;
  return nlohmann::json::object();
}

std::string PodBench::log(const nlohmann::json& object, const std::string& name,
                          int attempt) const {
  const auto spec = parse_pod(object);
  const auto text = files::read(pod_log_dir(context->logs.root, *spec) + "/" +
                                container_log_name(name, static_cast<uint32_t>(attempt)));
  return text.ok() ? *text : "";
}

void PodBench::restart() {
  workers.clear();
  finished_.clear();
  context.reset();
  probes.reset();
  cri.reset();
  connect();
  for (const auto& [uid, object] : std::map(pods_)) apply(object);
}

void PodBench::clean() {
  for (const auto& [uid, object] : std::map(pods_)) remove(object, 0);
  wait([&] { return workers.empty(); });
}

}  // namespace fairlead::orchestrator
