// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace fairlead::orchestrator::files {

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Removes what is in the open folder `fd` of device `device`.
Result<void> empty_dir(int fd, dev_t device, const std::string& path) {
  DIR* dir = fdopendir(fd);  // owns fd
  if (dir == nullptr) {
    close(fd);
    return Error::from_errno(errno, "open " + path);
  }
  Result<void> result = ok();
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string child = path + "/" + name;
    struct stat info {};
    if (fstatat(dirfd(dir), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (info.st_dev != device) {
      result = Error(ErrorCode::kInvalid, child + " is a mount point; not removed");
      continue;
    }
    if (S_ISDIR(info.st_mode)) {
      const int below =
          openat(dirfd(dir), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below < 0) {
        result = Error::from_errno(errno, "open " + child);
        continue;
      }
      if (const Result<void> inner = empty_dir(below, device, child); !inner.ok()) result = inner;
    }
    if (unlinkat(dirfd(dir), name.c_str(), S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0) != 0 &&
        errno != ENOENT && result.ok())
      result = Error::from_errno(errno, "remove " + child);
  }
  closedir(dir);
  return result;
}

}  // namespace

Result<bool> write_if_changed(const std::string& path, std::string_view content, mode_t mode) {
  if (const Result<std::string> have = read(path, content.size()); have.ok() && *have == content)
    return false;
  if (const Result<void> written = write_atomic(path, content, mode); !written.ok())
    return written.error();
  return true;
}

Result<void> write_value(const std::string& path, std::string_view value) {
  const Descriptor file{open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.fd < 0) return Error::from_errno(errno, "open " + path);
  if (write(file.fd, value.data(), value.size()) < 0)
    return Error::from_errno(errno, "write \"" + std::string(value) + "\" to " + path);
  return ok();
}

Result<void> remove_tree(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0)
    return errno == ENOENT ? ok() : Error::from_errno(errno, path);
  if (!S_ISDIR(info.st_mode)) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "remove " + path);
    return ok();
  }
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Error::from_errno(errno, "open " + path);
  if (const Result<void> emptied = empty_dir(fd, info.st_dev, path); !emptied.ok()) return emptied;
  if (rmdir(path.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove " + path);
  return ok();
}

bool exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

bool is_dir(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> list(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::vector<std::string> found;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string field, point;
    for (int i = 0; i < 4; ++i) fields >> field;
    fields >> point;
    // Spaces and the like are octal escapes (proc(5)); our own paths have none.
    if (point == path || point.starts_with(path + "/")) found.push_back(point);
  }
  std::reverse(found.begin(), found.end());  // later mounts lie on or below earlier ones
  return found;
}

}  // namespace fairlead::orchestrator::files
