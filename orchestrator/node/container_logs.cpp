// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/container_logs.h"

#include <unistd.h>

#include <cerrno>
#include <climits>

#include "orchestrator/node/container_config.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {
constexpr size_t kMaxFileName = 255;
}  // namespace

std::string ContainerLogs::path(const PodSpec& pod, const std::string& container,
                                uint32_t attempt) const {
  return pod_log_dir(root, pod) + "/" + container_log_name(container, attempt);
}

std::string ContainerLogs::link_path(const PodSpec& pod, const ContainerInfo& container) const {
  const std::string end = "-" + container.id + ".log";
  const std::string name = pod.key.name + "_" + pod.key.ns + "_" + container.name;
  return links + "/" + name.substr(0, kMaxFileName - std::min(kMaxFileName, end.size())) + end;
}

Result<void> ContainerLogs::link(const PodSpec& pod, const ContainerInfo& container) const {
  if (links.empty()) return ok();
  if (const Result<void> made = files::make_dirs(links); !made.ok()) return made;
  const std::string name = link_path(pod, container);
  const std::string target = path(pod, container.name, container.attempt);
  if (symlink(target.c_str(), name.c_str()) != 0 && errno != EEXIST)
    return Error::from_errno(errno, "make the link " + name);
  return ok();
}

void ContainerLogs::remove(const PodSpec& pod, const ContainerInfo& container) const {
  const std::string log = path(pod, container.name, container.attempt);
  const std::string folder = log.substr(0, log.rfind('/'));
  const std::string name = log.substr(folder.size() + 1);
  for (const std::string& file : files::list(folder))
    if (file == name || file.starts_with(name + ".")) unlink((folder + "/" + file).c_str());
  if (!links.empty()) unlink(link_path(pod, container).c_str());
}

void ContainerLogs::remove_dead_links() const {
  if (links.empty()) return;
  for (const std::string& name : files::list(links)) {
    const std::string link = links + "/" + name;
    char target[PATH_MAX];
    const ssize_t length = readlink(link.c_str(), target, sizeof target);
    if (length < 0) continue;
    const std::string log(target, static_cast<size_t>(length));
    if (log.starts_with(root + "/") && !files::exists(log)) unlink(link.c_str());
  }
}

}  // namespace fairlead::orchestrator
