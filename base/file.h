// SPDX-License-Identifier: Apache-2.0
// Whole files, read and replaced, and a watch on one. Blocking: for configuration and state, not
// for hot paths. Any thread, but a FileWatch belongs to its loop's.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/loop.h"
#include "base/result.h"

namespace fairlead {

// More than `max_bytes` is kResourceExhausted. Works for /proc, whose files have no size.
Result<std::string> read_file(const std::string& path, size_t max_bytes);

// The file has the old content or the new, whatever happens: a temporary file in the same directory
// is renamed over it. kSynced: power loss included, since file and directory are synced; kUnsynced
// is for what is written again after a crash.
enum class Durability { kSynced, kUnsynced };
Result<void> write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode,
                               Durability durability = Durability::kSynced);

// The same for what is too large to be made in memory first: pieces, then commit(). Without that
// the path stays as it was. One owner; the temporary file goes with it.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path, mode_t mode);
  AtomicFile(AtomicFile&& other) noexcept;
  ~AtomicFile();
  AtomicFile& operator=(AtomicFile&&) = delete;

  Result<void> append(std::string_view bytes);
  Result<void> commit(Durability durability);

 private:
  AtomicFile() = default;
  std::string path_;
  std::string temporary_;  // empty once it is gone
  int fd_ = -1;
};

// Like mkdir -p; those that exist keep their mode.
Result<void> make_directories(const std::string& path, mode_t mode);

// Calls back when the file's content may have changed: rewritten, replaced by rename, or, as
// Kubernetes updates mounted volumes, reached through a symbolic link that was swapped
// (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go). A burst of changes gives one call, a short
// while after the last. A file that is gone gives a call once it is back, if it differs.
// inotify tells about the file's own directory; a slow poll finds the rest (links to elsewhere, a
// directory that appears later). The callback may destroy the watch.
class FileWatch {
 public:
  FileWatch(Loop& loop, std::string path, std::function<void()> on_change,
            Duration poll_period = std::chrono::seconds(15));
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fairlead
