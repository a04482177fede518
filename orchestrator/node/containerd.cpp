// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/containerd.h"

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/log.h"
#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

// Mounts an overlay and looks at a file through it.
bool overlayfs_works(const std::string& scratch) {
  if (!files::remove_tree(scratch).ok()) return false;
  for (const char* part : {"/lower", "/upper", "/work", "/merged"})
    if (!files::make_dirs(scratch + part).ok()) return false;
  bool works = files::write_atomic(scratch + "/lower/file", "").ok();
  const std::string options =
      "lowerdir=" + scratch + "/lower,upperdir=" + scratch + "/upper,workdir=" + scratch + "/work";
  const std::string merged = scratch + "/merged";
  works = works && mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) == 0;
  if (works) {
    works = files::exists(merged + "/file");
    umount2(merged.c_str(), MNT_DETACH);
  }
  (void)files::remove_tree(scratch);
  return works;
}

// As TOML's basic strings.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

}  // namespace

bool has_capability(int number) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("CapEff:"))
      return (std::strtoull(line.c_str() + 7, nullptr, 16) >> number & 1) != 0;
  return false;
}

ContainerdFeatures detect_features(const std::string& data_dir) {
  ContainerdFeatures features{overlayfs_works(data_dir + "/containerd/.overlay-check"),
                              !has_capability(CAP_SYS_RESOURCE), "runc", ""};
  const Result<std::string> crun = find_program("crun");
  const Result<Cgroups> cgroups = Cgroups::detect();
  if (!crun.ok()) {
    features.why_runc = crun.error().message();
  } else if (!cgroups.ok()) {
    features.why_runc = cgroups.error().message();
  } else if (const std::string obstacle = cgroups->crun_obstacle(); !obstacle.empty()) {
    features.why_runc = "crun does not run here: " + obstacle;
  } else {
    features.runtime = *crun;
  }
  return features;
}

std::string containerd_config(const ContainerdPaths& paths, const ContainerdFeatures& features) {
  const std::string handler = features.runtime.substr(features.runtime.rfind('/') + 1);
  std::ostringstream out;
  out << "# Written by fairlead at each start; changes are lost.\n"
      << "version = 2\n"
      << "root = " << quoted(paths.root()) << "\n"
      << "state = " << quoted(paths.state()) << "\n"
      << "oom_score = 0\n"
      << "disabled_plugins = [\"io.containerd.snapshotter.v1.aufs\", "
         "\"io.containerd.snapshotter.v1.btrfs\", "
         "\"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\", "
         "\"io.containerd.internal.v1.opt\", \"io.containerd.internal.v1.restart\", "
         "\"io.containerd.tracing.processor.v1.otlp\", \"io.containerd.internal.v1.tracing\"]\n\n"
      << "[grpc]\n  address = " << quoted(paths.socket()) << "\n\n"
      << "[ttrpc]\n  address = " << quoted(paths.socket() + ".ttrpc") << "\n\n"
      << "[plugins.\"io.containerd.grpc.v1.cri\"]\n"
      << "  sandbox_image = " << quoted(kPauseImage) << "\n"
      << "  restrict_oom_score_adj = " << (features.restrict_oom_score_adj ? "true" : "false")
      << "\n"
      << "  netns_mounts_under_state_dir = true\n"
      << "  [plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
      << "    bin_dir = " << quoted(kCniBinDir) << "\n"
      << "    conf_dir = " << quoted(paths.cni_conf_dir()) << "\n"
      << "  [plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
      << "    config_path = " << quoted(paths.registries()) << "\n"
      << "  [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n"
      << "    snapshotter = \"" << (features.overlayfs ? "overlayfs" : "native") << "\"\n"
      << "    default_runtime_name = " << quoted(handler) << "\n"
      << "    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes." << handler << "]\n"
      << "      runtime_type = \"io.containerd.runc.v2\"\n"
      << "      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes." << handler
      << ".options]\n"
      << "        BinaryName = " << quoted(features.runtime) << "\n"
      << "        SystemdCgroup = false\n";
  return out.str();
}

std::string cni_conflist(const ContainerdPaths& paths, const Cidr& pod_cidr) {
  using Json = nlohmann::json;
  const Json ipam = {{"type", "host-local"},
                     {"dataDir", paths.cni_state_dir()},
                     {"ranges", Json::array({Json::array({{{"subnet", pod_cidr.to_string()}}})})},
                     {"routes", Json::array({{{"dst", "0.0.0.0/0"}}})}};
  const Json ptp = {{"type", "ptp"}, {"ipMasq", false}, {"ipam", ipam}};
  return Json{{"cniVersion", "0.4.0"}, {"name", "fairlead"}, {"plugins", Json::array({ptp})}}.dump(
             2) +
         "\n";
}

Result<std::string> find_program(const std::string& name) {
  const char* path = getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "") +
                             ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return Error(ErrorCode::kNotFound, name + " is not installed");
}

Result<void> check_programs(bool own_containerd) {
  struct Row {
    const char* program;
    const char* package;
  };
  static constexpr Row kRows[] = {
      {"containerd", "containerd"}, {"containerd-shim-runc-v2", "containerd"}, {"runc", "runc"}};
  if (own_containerd)
    for (const Row& row : kRows)
      if (const auto found = find_program(row.program); !found.ok())
        return Error(ErrorCode::kNotFound, found.error().message() + ": install the package " +
                                               row.package + " (scripts/deps run does)");
  if (own_containerd)
    for (const char* plugin : {"ptp", "host-local", "loopback"})
      if (access((std::string(kCniBinDir) + "/" + plugin).c_str(), X_OK) != 0)
        return Error(ErrorCode::kNotFound, std::string("the CNI plugin ") + plugin + " is not in " +
                                               kCniBinDir +
                                               ": install the package containernetworking-plugins "
                                               "(scripts/deps run does)");
  return ok();
}

Result<bool> prepare_containerd(const ContainerdPaths& paths) {
  for (const std::string& dir : {paths.root(), paths.registries(), paths.state(),
                                 paths.cni_conf_dir(), paths.cni_state_dir(), paths.images()})
    if (const Result<void> made = files::make_dirs(dir, 0711); !made.ok()) return made.error();
  const ContainerdFeatures features = detect_features(paths.data_dir);
  if (!features.why_runc.empty()) log::info("runc makes the containers: {}", features.why_runc);
  return files::write_if_changed(paths.config(), containerd_config(paths, features));
}

Result<bool> write_cni_config(const ContainerdPaths& paths, const Cidr& pod_cidr) {
  if (const Result<void> made = files::make_dirs(paths.cni_conf_dir()); !made.ok())
    return made.error();
  return files::write_if_changed(paths.cni_conf_dir() + "/10-fairlead.conflist",
                                 cni_conflist(paths, pod_cidr));
}

Result<bool> enable_forwarding() {
  constexpr char kPath[] = "/proc/sys/net/ipv4/ip_forward";
  const Result<std::string> now = files::read(kPath);
  if (now.ok() && now->starts_with("1")) return false;
  if (const Result<void> set = files::write_value(kPath, "1"); !set.ok())
    return set.error().with_context("pods need IP forwarding (sysctl net.ipv4.ip_forward=1)");
  return true;
}

std::vector<ImageArchive> new_images(const ContainerdPaths& paths) {
  std::vector<ImageArchive> list;
  for (const std::string& name : files::list(paths.images())) {
    if (!name.ends_with(".tar")) continue;
    const std::string path = paths.images() + "/" + name;
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) continue;
    const std::string stamp = std::to_string(info.st_size) + " " +
                              std::to_string(info.st_mtim.tv_sec) + "." +
                              std::to_string(info.st_mtim.tv_nsec);
    const Result<std::string> done = files::read(paths.root() + "/imported-" + name);
    if (!done.ok() || *done != stamp) list.push_back({path, stamp});
  }
  return list;
}

Result<void> remember_image(const ContainerdPaths& paths, const ImageArchive& archive) {
  const std::string name = archive.path.substr(archive.path.rfind('/') + 1);
  return files::write_atomic(paths.root() + "/imported-" + name, archive.stamp);
}

}  // namespace fairlead::orchestrator
