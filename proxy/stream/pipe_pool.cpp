// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/pipe_pool.h"

#include <fcntl.h>

namespace fairlead::proxy::stream {

namespace {

constexpr int kLeast = 64 * 1024;  // less is moved faster by copying
// Pipes asked for in vain before the kernel is asked again: others may have given theirs back.
constexpr size_t kPatience = 4096;

}  // namespace

// Beyond fs.pipe-max-size it is refused to who lacks CAP_SYS_RESOURCE; beyond
// fs.pipe-user-pages-soft, of all pipes of a user who has neither that nor CAP_SYS_ADMIN, new ones
// have two pages and stay so (alloc_pipe_info(), pipe_set_size() in fs/pipe.c).
bool PipePool::enlarge(int pipe) const {
  for (int bytes = bytes_; bytes > kLeast; bytes /= 4)
    if (fcntl(pipe, F_SETPIPE_SZ, bytes) >= 0) return true;
  return fcntl(pipe, F_GETPIPE_SZ) >= kLeast;
}

Pipe PipePool::take() {
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    return pipe;
  }
  int fds[2];
  if (existing_ >= limit_) return {};
  if (patience_ > 0) return --patience_, Pipe();
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return {};
  Pipe pipe = {Fd(fds[0]), Fd(fds[1]), this};
  if (!enlarge(fds[1])) {
    patience_ = kPatience;
    return {};
  }
  ++existing_;
  made_.add();
  return pipe;
}

}  // namespace fairlead::proxy::stream
