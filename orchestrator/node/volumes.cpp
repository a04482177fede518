// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/volumes.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "orchestrator/node/files.h"
#include "orchestrator/node/sub_path.h"

namespace fairlead::orchestrator {

namespace {

Result<void> append_object(const VolumeSource& source, const Objects& objects,
                           std::vector<VolumeFile>& out) {
  const ObjectRef reference{source.kind == VolumeSource::Kind::kSecret, source.object};
  const auto object = objects.find(reference);
  if (object == objects.end()) {
    if (source.optional) return ok();
    return Error(ErrorCode::kNotFound, reference.to_string() + " not found");
  }
  if (source.items.empty()) {
    for (const auto& [key, value] : object->second)
      out.push_back({key, value, source.default_mode});
    return ok();
  }
  for (const VolumeItem& item : source.items) {
    const auto value = object->second.find(item.key);
    if (value == object->second.end()) {
      if (source.optional) continue;
      return Error(ErrorCode::kNotFound,
                   (reference.secret ? "references non-existent secret key: "
                                     : "configmap references non-existent config key: ") +
                       item.key);
    }
    out.push_back({item.path, value->second, item.mode.value_or(source.default_mode)});
  }
  return ok();
}

Result<void> append_fields(const PodSpec& pod, const VolumeSource& source, const NodeFacts& node,
                           std::vector<VolumeFile>& out) {
  for (const VolumeItem& item : source.items) {
    Result<std::string> value =
        Error(ErrorCode::kNotFound, "container " + item.container + " not found");
    if (!item.resource)
      value = field_value(pod, node, item.key);
    else if (const ContainerSpec* container = pod.find(item.container))
      value = resource_value(*container, node, item.key, item.divisor);
    if (!value.ok()) return value.error();
    out.push_back({item.path, *value, item.mode.value_or(source.default_mode)});
  }
  return ok();
}

Result<void> append_files(const PodSpec& pod, const VolumeSource& source, const NodeFacts& node,
                          const Objects& objects, std::vector<VolumeFile>& out) {
  switch (source.kind) {
    case VolumeSource::Kind::kEmptyDir:
    case VolumeSource::Kind::kHostPath:
      return ok();
    case VolumeSource::Kind::kConfigMap:
    case VolumeSource::Kind::kSecret:
      return append_object(source, objects, out);
    case VolumeSource::Kind::kDownwardApi:
      return append_fields(pod, source, node, out);
    case VolumeSource::Kind::kProjected:
      for (const VolumeSource& part : source.sources)
        if (const Result<void> done = append_files(pod, part, node, objects, out); !done.ok())
          return done;
      return ok();
  }
  return ok();
}

Result<void> mount_tmpfs(const std::string& path, const std::string& options) {
  const std::vector<std::string> mounts = files::mounts_below(path);
  if (std::find(mounts.begin(), mounts.end(), path) != mounts.end()) return ok();
  if (mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return Error::from_errno(errno, "mount tmpfs on " + path);
  return ok();
}

// Complete from the moment that it is there: a container may change its mode and owner later.
Result<void> make_empty_dir(const std::string& dir, const VolumeSource& source,
                            std::optional<int64_t> group) {
  if (source.memory) {
    std::string options = group ? "mode=3777,gid=" + std::to_string(*group) : "mode=1777";
    if (source.size_limit > 0) options += ",size=" + std::to_string(source.size_limit);
    if (const Result<void> made = files::make_dirs(dir); !made.ok()) return made;
    return mount_tmpfs(dir, options);
  }
  if (files::is_dir(dir)) return ok();
  const std::string staging = dir + ".new";  // no volume has a name with a dot
  if (const Result<void> made = files::make_dirs(staging); !made.ok()) return made;
  if (group && chown(staging.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0)
    return Error::from_errno(errno, "change the group of " + staging);
  if (chmod(staging.c_str(), group ? 02777 : 0777) != 0)
    return Error::from_errno(errno, "chmod " + staging);
  if (rename(staging.c_str(), dir.c_str()) != 0)
    return Error::from_errno(errno, "rename " + staging + " to " + dir);
  return ok();
}

Error wrong_type(const VolumeSource& source) {
  const std::string& type = source.host_path_type;
  const char* words = type == "Directory"     ? "directory"
                      : type == "Socket"      ? "socket file"
                      : type == "CharDevice"  ? "character device"
                      : type == "BlockDevice" ? "block device"
                                              : "file";
  return Error(ErrorCode::kInvalid,
               "hostPath type check failed: " + source.host_path + " is not a " + words);
}

// What the type asks for exists, or is made where it says so (api/core/v1 HostPathType).
Result<void> check_host_path(const VolumeSource& source) {
  const std::string& type = source.host_path_type;
  const std::string& path = source.host_path;
  if (type.empty()) return files::exists(path) ? ok() : files::make_dirs(path);
  if (type == "DirectoryOrCreate") return files::make_dirs(path);
  struct stat info {};
  const bool there = stat(path.c_str(), &info) == 0;
  if (type == "FileOrCreate") {
    if (there) return S_ISREG(info.st_mode) ? ok() : Result<void>(wrong_type(source));
    return files::write_atomic(path, "");
  }
  const bool right = there && ((type == "Directory" && S_ISDIR(info.st_mode)) ||
                               (type == "File" && S_ISREG(info.st_mode)) ||
                               (type == "Socket" && S_ISSOCK(info.st_mode)) ||
                               (type == "CharDevice" && S_ISCHR(info.st_mode)) ||
                               (type == "BlockDevice" && S_ISBLK(info.st_mode)));
  return right ? ok() : Result<void>(wrong_type(source));
}

}  // namespace

Result<std::vector<VolumeFile>> volume_files(const PodSpec& pod, const VolumeSource& source,
                                             const NodeFacts& node, const Objects& objects) {
  std::vector<VolumeFile> out;
  if (const Result<void> done = append_files(pod, source, node, objects, out); !done.ok())
    return done.error();
  return out;
}

Result<void> Volumes::set_up(const PodSpec& pod, const NodeFacts& node, const Objects& objects) {
  const std::string dir = pod_dir(pod.uid);
  for (const char* part : {"", "/volumes", "/messages"})
    if (const Result<void> made = files::make_dirs(dir + part, 0750); !made.ok()) return made;
  for (const VolumeSpec& volume : pod.volumes)
    if (const Result<void> done = set_up_one(pod, volume, node, objects); !done.ok()) return done;
  return ok();
}

Result<void> Volumes::update(const PodSpec& pod, const NodeFacts& node, const Objects& objects) {
  for (const VolumeSpec& volume : pod.volumes)
    if (volume.source.of_objects())
      if (const Result<void> done = set_up_one(pod, volume, node, objects); !done.ok()) return done;
  return ok();
}

Result<void> Volumes::set_up_one(const PodSpec& pod, const VolumeSpec& volume,
                                 const NodeFacts& node, const Objects& objects) {
  const Result<void> done = make(pod, volume, node, objects);
  if (done.ok()) return done;
  // With a space before the colon: the kubelet's words.
  return done.error().with_context("MountVolume.SetUp failed for volume \"" + volume.name + "\" ");
}

Result<void> Volumes::make(const PodSpec& pod, const VolumeSpec& volume, const NodeFacts& node,
                           const Objects& objects) {
  const VolumeSource& source = volume.source;
  const std::string dir = pod_dir(pod.uid) + "/volumes/" + volume.name;
  if (source.kind == VolumeSource::Kind::kHostPath) return check_host_path(source);
  if (source.kind == VolumeSource::Kind::kEmptyDir)
    return make_empty_dir(dir, source, pod.fs_group);
  const Result<std::vector<VolumeFile>> list = volume_files(pod, source, node, objects);
  if (!list.ok()) return list.error();
  if (const Result<void> made = files::make_dirs(dir); !made.ok()) return made;
  const auto is_secret = [](const VolumeSource& part) {
    return part.kind == VolumeSource::Kind::kSecret;
  };
  if (is_secret(source) || std::any_of(source.sources.begin(), source.sources.end(), is_secret))
    if (const Result<void> done = mount_tmpfs(dir, "mode=1777"); !done.ok()) return done;
  const Result<bool> written = write_atomic_dir(dir, *list, pod.fs_group);
  return written.ok() ? ok() : Result<void>(written.error());
}

Result<std::string> Volumes::tear_down(const std::string& pod_uid) {
  if (pod_uid.empty() || pod_uid.find('/') != std::string::npos)
    return Error(ErrorCode::kInvalid, "\"" + pod_uid + "\" is no pod UID");
  const std::string dir = pod_dir(pod_uid);
  for (const std::string& point : files::mounts_below(dir))
    if (umount2(point.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
      return Error::from_errno(errno, "unmount " + point);
  // What a mount shows is not the pod's to remove.
  if (const auto left = files::mounts_below(dir); !left.empty())
    return Error(ErrorCode::kInvalid, left.front() + " is still mounted");
  if (!files::exists(dir)) return std::string();
  // A full disk, or one of its own: then it is removed from where it is.
  if (!files::make_dirs(trash_dir(), 0750).ok()) return dir;
  std::string moved = trash_dir() + "/" + pod_uid + ".0";
  for (int i = 1; files::exists(moved); ++i)
    moved = trash_dir() + "/" + pod_uid + "." + std::to_string(i);
  return rename(dir.c_str(), moved.c_str()) == 0 ? moved : dir;
}

// What is mounted at number `index` of the container's volumeMounts. A sub-path is bound to a place
// that no container can reach, so that the runtime, which takes names, finds what we found.
Result<CriMount> Volumes::mount_of(const PodSpec& pod, const ContainerSpec& container,
                                   size_t index) {
  const VolumeMount& mount = container.mounts[index];
  const auto volume = std::find_if(pod.volumes.begin(), pod.volumes.end(),
                                   [&](const VolumeSpec& v) { return v.name == mount.volume; });
  if (volume == pod.volumes.end())
    return Error(ErrorCode::kInvalid, "volumeMounts: there is no volume \"" + mount.volume + "\"");
  const std::string dir = pod_dir(pod.uid);
  // A container that could write to what the node writes could have it write elsewhere.
  CriMount out{mount.path,
               volume->source.kind == VolumeSource::Kind::kHostPath
                   ? volume->source.host_path
                   : dir + "/volumes/" + mount.volume,
               mount.read_only || volume->source.of_objects(), mount.propagation};
  if (mount.sub_path.empty()) return out;
  const Result<Place> place = open_in_volume(out.host_path, mount.sub_path);
  if (!place.ok()) return place.error();
  const std::string folder = dir + "/subpaths/" + container.name;
  if (const Result<void> made = files::make_dirs(folder, 0750); !made.ok()) return made.error();
  out.host_path = folder + "/" + std::to_string(index);
  if (const Result<void> bound = bind_place(*place, out.host_path); !bound.ok())
    return bound.error();
  return out;
}

Result<std::vector<CriMount>> Volumes::mounts(const PodSpec& pod, const ContainerSpec& container,
                                              uint32_t attempt, const std::string& hosts) {
  std::vector<CriMount> mounts;
  bool own_hosts = false;
  for (size_t i = 0; i < container.mounts.size(); ++i) {
    Result<CriMount> mount = mount_of(pod, container, i);
    if (!mount.ok()) return mount.error();
    own_hosts = own_hosts || mount->container_path == "/etc/hosts";
    mounts.push_back(*std::move(mount));
  }
  const std::string dir = pod_dir(pod.uid);
  if (!own_hosts) {
    const Result<bool> written = files::write_if_changed(dir + "/etc-hosts", hosts);
    if (!written.ok()) return written.error();
    mounts.push_back({"/etc/hosts", dir + "/etc-hosts", false, CriMount::Propagation::kPrivate});
  }
  const std::string message = message_path(pod.uid, container.name, attempt);
  if (const Result<void> made = files::write_atomic(message, "", 0666); !made.ok())
    return made.error();
  mounts.push_back(
      {container.termination_message_path, message, false, CriMount::Propagation::kPrivate});
  return mounts;
}

std::string Volumes::message_path(const std::string& uid, const std::string& container,
                                  uint32_t attempt) const {
  return pod_dir(uid) + "/messages/" + container + "-" + std::to_string(attempt);
}

std::vector<std::string> Volumes::known_pods() const {
  return files::list(root_ + "/pods");
}

}  // namespace fairlead::orchestrator
