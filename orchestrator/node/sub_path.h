// SPDX-License-Identifier: Apache-2.0
// A path below a volume that a container may have filled with links: it is found and made without
// ever leaving the volume, and handed on as what was found, not as a name.
//
// The kernel does the walk (openat2 with RESOLVE_BENEATH): a link inside the volume is followed,
// one that is absolute or leads out is an error. Blocking; any thread.
#pragma once

#include <string>

#include "base/result.h"

namespace fairlead::orchestrator {

// An open place in a file system.
class Place {
 public:
  explicit Place(int fd) : fd_(fd) {}
  Place(Place&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Place& operator=(Place&& other) noexcept;
  ~Place();

  int fd() const { return fd_; }
  bool is_dir() const;

 private:
  int fd_;
};

// `path` (relative, without "..") below the folder `volume`; folders that are missing are made with
// the volume's own mode, so that whoever may write to it may write there. kInvalid: it leaves the
// volume.
Result<Place> open_in_volume(const std::string& volume, const std::string& path);

// Mounts `place` on `target`, which is made as a folder or a file and freed of an older mount. No
// name is looked up again, so nothing can be put in its place. `target` is in a folder that only
// root writes to.
Result<void> bind_place(const Place& place, const std::string& target);

}  // namespace fairlead::orchestrator
