// SPDX-License-Identifier: Apache-2.0
// Files and folders of the node, with errors as values: base/file.h with the node's limits and
// modes, and what only a node does. Any thread.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace fairlead::orchestrator::files {

inline Result<void> make_dirs(const std::string& path, mode_t mode = 0755) {
  return make_directories(path, mode);
}
inline Result<std::string> read(const std::string& path, size_t limit = 1024 * 1024) {
  return read_file(path, limit);
}
// The last `most` bytes of a file of any size.
Result<std::string> read_end(const std::string& path, size_t most);
// Not synced: whatever is written here is written again after a crash.
inline Result<void> write_atomic(const std::string& path, std::string_view content,
                                 mode_t mode = 0644) {
  return write_file_atomic(path, content, mode, Durability::kUnsynced);
}
// As write_atomic, and leaves the file alone when it has that content already. True: written.
Result<bool> write_if_changed(const std::string& path, std::string_view content,
                              mode_t mode = 0644);
// Into an existing file (sysctl, cgroup), one write call.
Result<void> write_value(const std::string& path, std::string_view value);
// The whole tree, never crossing into another file system or following a link. Absent is success.
// Once `stop` says so it ends with kCancelled, some of the tree still there.
Result<void> remove_tree(const std::string& path, const std::atomic<bool>* stop = nullptr);
bool exists(const std::string& path);
bool is_dir(const std::string& path);
// Names in a folder, sorted, without "." and ".."; empty when it cannot be read.
std::vector<std::string> list(const std::string& path);
// Mount points at or below `path`, deepest first.
std::vector<std::string> mounts_below(const std::string& path);

}  // namespace fairlead::orchestrator::files
