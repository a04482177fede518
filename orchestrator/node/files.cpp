// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

namespace fairlead::orchestrator::files {

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Empties a folder. What is further down is moved up first, under a new name, so that neither the
// stack nor open files grow with the depth of a tree, which is anybody's choice.
class Emptier {
 public:
  Emptier(int fd, dev_t device, const std::string& path, const std::atomic<bool>* stop)
      : top_(fd), device_(device), path_(path), stop_(stop) {}

  Result<void> run() {
    do {
      progress_ = false;
      result_ = ok();
      each(top_, [this](int dir, const char* name) { remove(dir, name); });
    } while (progress_ && !stopped());
    if (stopped()) return Error(ErrorCode::kCancelled, "remove " + path_ + ": given up");
    return result_;
  }

 private:
  bool stopped() const { return stop_ != nullptr && *stop_; }

  template <typename Function>  // void(int folder, const char* name)
  void each(int folder, Function&& function) {
    const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* dir = copy < 0 ? nullptr : fdopendir(copy);  // owns it
    if (dir == nullptr) {
      fail(".", "open");
      if (copy >= 0) close(copy);
      return;
    }
    for (const dirent* entry = readdir(dir); entry != nullptr && !stopped(); entry = readdir(dir))
      if (const std::string_view name = entry->d_name; name != "." && name != "..")
        function(folder, entry->d_name);
    closedir(dir);
  }

  // Of the top.
  void remove(int dir, const char* name) {
    const std::optional<bool> folder = is_folder(dir, name);
    if (!folder) return;
    if (*folder) {
      const Descriptor below{openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
      if (below.fd < 0) return fail(name, "open");
      each(below.fd, [this](int inner, const char* inside) { lift(inner, inside); });
    }
    unlink(dir, name, *folder);
  }

  // Of a folder in the top.
  void lift(int dir, const char* name) {
    const std::optional<bool> folder = is_folder(dir, name);
    if (!folder) return;
    if (!*folder) return unlink(dir, name, false);
    int moved = 0;
    do {
      const std::string fresh = "fairlead-" + std::to_string(next_++);
      moved = renameat2(dir, name, top_, fresh.c_str(), RENAME_NOREPLACE);
    } while (moved != 0 && errno == EEXIST);
    if (moved != 0) return fail(name, "move");
    progress_ = true;
  }

  // Nothing: it has gone, or is a mount point.
  std::optional<bool> is_folder(int dir, const char* name) {
    struct stat info {};
    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    if (info.st_dev == device_) return S_ISDIR(info.st_mode);
    result_ =
        Error(ErrorCode::kInvalid, path_ + ": " + name + " in it is a mount point; not removed");
    return std::nullopt;
  }

  void unlink(int dir, const char* name, bool folder) {
    if (unlinkat(dir, name, folder ? AT_REMOVEDIR : 0) == 0)
      progress_ = true;
    else if (errno != ENOENT && result_.ok())
      fail(name, "remove");
  }

  void fail(const char* name, const char* what) {
    result_ = Error::from_errno(errno, std::string(what) + " " + name + " in " + path_);
  }

  const int top_;
  const dev_t device_;
  const std::string& path_;
  const std::atomic<bool>* const stop_;
  uint64_t next_ = 0;
  bool progress_ = false;
  Result<void> result_ = ok();
};

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
  const Descriptor top{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (top.fd < 0) return Error::from_errno(errno, "open " + path);
  if (Result<void> emptied = Emptier(top.fd, info.st_dev, path, stop).run(); !emptied.ok())
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
