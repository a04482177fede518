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
Result<void> empty_dir(int fd, dev_t device, const std::string& path,
                       const std::atomic<bool>* stop) {
  DIR* dir = fdopendir(fd);  // owns fd
  if (dir == nullptr) {
    close(fd);
    return Error::from_errno(errno, "open " + path);
  }
  Result<void> result = ok();
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (stop != nullptr && *stop) {
      result = Error(ErrorCode::kCancelled, "remove " + path + ": given up");
      break;
    }
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
      if (const Result<void> inner = empty_dir(below, device, child, stop); !inner.ok())
        result = inner;
    }
    if (unlinkat(dirfd(dir), name.c_str(), S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0) != 0 &&
        errno != ENOENT && result.ok())
      result = Error::from_errno(errno, "remove " + child);
  }
  closedir(dir);
  return result;
}

// Spaces and the like in a mount point are octal escapes (proc(5)).
std::string unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size() &&
                        text.find_first_not_of("01234567", i + 1) >= i + 4;
    out += escape ? static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (escape) i += 3;
  }
  return out;
}

}  // namespace

Result<std::string> read_end(const std::string& path, size_t most) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  if (file.fd < 0 || fstat(file.fd, &info) != 0) return Error::from_errno(errno, "read " + path);
  std::string bytes(std::min(most, static_cast<size_t>(info.st_size)), '\0');
  const ssize_t n =
      pread(file.fd, bytes.data(), bytes.size(), info.st_size - static_cast<off_t>(bytes.size()));
  if (n < 0) return Error::from_errno(errno, "read " + path);
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

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

Result<void> remove_tree(const std::string& path, const std::atomic<bool>* stop) {
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
  if (const Result<void> emptied = empty_dir(fd, info.st_dev, path, stop); !emptied.ok())
    return emptied;
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
    point = unescape(point);
    if (point == path || point.starts_with(path + "/")) found.push_back(point);
  }
  std::reverse(found.begin(), found.end());  // later mounts lie on or below earlier ones
  return found;
}

}  // namespace fairlead::orchestrator::files
