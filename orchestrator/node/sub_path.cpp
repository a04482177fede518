// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/sub_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

// Below the mount and nowhere else: relative, no "..".
bool is_inside(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  return ("/" + path + "/").find("/../") == std::string::npos;
}

Error leaves(const std::string& path) {
  return Error(ErrorCode::kInvalid, "subPath \"" + path + "\" leaves the volume");
}

// -1 and errno, as the system call.
int open_beneath(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const auto fd = static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
    // The kernel could not tell because something was renamed meanwhile (openat2(2)).
    if (fd >= 0 || errno != EAGAIN || tries == 100) return fd;
  }
}

// A folder in `parent`, with `mode` whatever the umask says. One that is there already stays.
Result<void> make_dir(int parent, const std::string& name, mode_t mode, const std::string& path) {
  if (mkdirat(parent, name.c_str(), mode) != 0)
    return errno == EEXIST ? ok() : Error::from_errno(errno, "make subPath \"" + path + "\"");
  const Place made(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (made.fd() < 0 || fchmod(made.fd(), mode) != 0)
    return Error::from_errno(errno, "chmod subPath \"" + path + "\"");
  return ok();
}

}  // namespace

Place& Place::operator=(Place&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Place::~Place() {
  if (fd_ >= 0) close(fd_);
}

bool Place::is_dir() const {
  struct stat info {};
  return fstat(fd_, &info) == 0 && S_ISDIR(info.st_mode);
}

Result<Place> open_in_volume(const std::string& volume, const std::string& path) {
  if (!is_inside(path)) return leaves(path);
  const Place root(open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (root.fd() < 0 || fstat(root.fd(), &info) != 0)
    return Error::from_errno(errno, "open " + volume);
  Place here(open_beneath(root.fd(), "."));
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin), so_far = path.substr(0, end);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    // From the root each time: a link may lead up, as long as it stays inside.
    Place next(open_beneath(root.fd(), so_far));
    if (next.fd() < 0 && errno == ENOENT) {
      if (const auto made = make_dir(here.fd(), name, info.st_mode & 07777, so_far); !made.ok())
        return made.error();
      next = Place(open_beneath(root.fd(), so_far));
    }
    if (next.fd() < 0)
      return errno == EXDEV ? leaves(path)
                            : Error::from_errno(errno, "open subPath \"" + so_far + "\"");
    here = std::move(next);
  }
  return here;
}

Result<void> bind_place(const Place& place, const std::string& target) {
  for (const std::string& point : files::mounts_below(target))
    if (umount2(point.c_str(), MNT_DETACH) != 0)
      return Error::from_errno(errno, "unmount " + point);
  // Never what is in it: below an overlooked mount that would be the volume itself.
  if (remove(target.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove " + target);
  const Result<void> made =
      place.is_dir() ? files::make_dirs(target) : files::write_atomic(target, "");
  if (!made.ok()) return made;
  const std::string source = "/proc/self/fd/" + std::to_string(place.fd());
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return Error::from_errno(errno, "mount a subPath on " + target);
  return ok();
}

}  // namespace fairlead::orchestrator
