// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/atomic_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <iterator>
#include <set>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

constexpr const char* kCurrent = "..data";

std::string first_part(const std::string& path) {
  return path.substr(0, path.find('/'));
}

bool is_allowed(const std::string& path) {
  if (first_part(path).starts_with("..")) return false;
  for (size_t begin = 0;;) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.size()) return true;
    begin = end + 1;
  }
}

// "" when there is no such link.
std::string link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length < 0 ? "" : std::string(target, static_cast<size_t>(length));
}

Result<void> make_link(const std::string& target, const std::string& path) {
  if (link_target(path) == target) return ok();
  const std::string fresh = path.substr(0, path.rfind('/')) + "/..link";
  unlink(fresh.c_str());
  if (symlink(target.c_str(), fresh.c_str()) != 0)
    return Error::from_errno(errno, "make the link " + fresh);
  // A folder in its place, from a layout without links, would stop the rename.
  if (struct stat info{}; lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    if (const Result<void> removed = files::remove_tree(path); !removed.ok()) return removed;
  if (rename(fresh.c_str(), path.c_str()) != 0)
    return Error::from_errno(errno, "rename " + fresh + " to " + path);
  return ok();
}

void collect(const std::string& dir, const std::string& prefix, std::set<std::string>& found) {
  for (const std::string& name : files::list(dir))
    if (files::is_dir(dir + "/" + name))
      collect(dir + "/" + name, prefix + name + "/", found);
    else
      found.insert(prefix + name);
}

// Of files with one path the last one counts.
void keep_last(std::vector<VolumeFile>& list) {
  std::set<std::string> later;
  std::vector<VolumeFile> kept;
  for (auto file = list.rbegin(); file != list.rend(); ++file)
    if (later.insert(file->path).second) kept.push_back(std::move(*file));
  list.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

bool is_current(const std::string& version, const std::vector<VolumeFile>& list,
                std::optional<int64_t> group) {
  std::set<std::string> have;
  collect(version, "", have);
  if (have.size() != list.size()) return false;
  for (const VolumeFile& file : list) {
    const std::string path = version + "/" + file.path;
    struct stat info {};
    if (!have.contains(file.path) || stat(path.c_str(), &info) != 0) return false;
    if ((info.st_mode & 07777) != static_cast<mode_t>(file.mode)) return false;
    if (group && info.st_gid != static_cast<gid_t>(*group)) return false;
    const Result<std::string> content = files::read(path, file.content.size());
    if (!content.ok() || *content != file.content) return false;
  }
  return true;
}

Result<void> write_version(const std::string& version, const std::vector<VolumeFile>& list,
                           std::optional<int64_t> group) {
  if (chmod(version.c_str(), 0755) != 0) return Error::from_errno(errno, "chmod " + version);
  for (const VolumeFile& file : list) {
    const std::string path = version + "/" + file.path;
    if (const Result<void> made = files::make_dirs(path.substr(0, path.rfind('/'))); !made.ok())
      return made;
    const auto mode = static_cast<mode_t>(file.mode);
    if (const Result<void> done = files::write_atomic(path, file.content, mode); !done.ok())
      return done;
    if (group && lchown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0)
      return Error::from_errno(errno, "change the group of " + path);
  }
  return ok();
}

Result<void> put_in_force(const std::string& dir, const std::string& name,
                          const std::vector<VolumeFile>& list) {
  if (const Result<void> done = make_link(name, dir + "/" + kCurrent); !done.ok()) return done;
  std::set<std::string> shown = {kCurrent, name};
  for (const VolumeFile& file : list) {
    const std::string part = first_part(file.path);
    if (!shown.insert(part).second) continue;
    if (const Result<void> done = make_link(std::string(kCurrent) + "/" + part, dir + "/" + part);
        !done.ok())
      return done;
  }
  for (const std::string& old : files::list(dir))
    if (!shown.contains(old))
      if (const Result<void> removed = files::remove_tree(dir + "/" + old); !removed.ok())
        return removed;
  return ok();
}

}  // namespace

Result<bool> write_atomic_dir(const std::string& dir, std::vector<VolumeFile> files,
                              std::optional<int64_t> group) {
  for (VolumeFile& file : files) {
    if (!is_allowed(file.path))
      return Error(ErrorCode::kInvalid, "the path \"" + file.path + "\" is none inside a volume");
    if (group) file.mode |= 0440;
  }
  keep_last(files);
  const std::string current = link_target(dir + "/" + kCurrent);
  if (!current.empty() && is_current(dir + "/" + current, files, group)) {
    // What a crash left half done is done now.
    if (const Result<void> done = put_in_force(dir, current, files); !done.ok())
      return done.error();
    return false;
  }
  std::string version = dir + "/..v-XXXXXX";
  if (mkdtemp(version.data()) == nullptr)
    return Error::from_errno(errno, "make a folder in " + dir);
  Result<void> done = write_version(version, files, group);
  if (done.ok()) done = put_in_force(dir, version.substr(dir.size() + 1), files);
  if (done.ok()) return true;
  // What is in force stays; of what could not be written nothing does.
  const std::string in_force = link_target(dir + "/" + kCurrent);
  if (in_force != version.substr(dir.size() + 1)) (void)files::remove_tree(version);
  return done.error();
}

}  // namespace fairlead::orchestrator
