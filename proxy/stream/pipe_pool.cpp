// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/pipe_pool.h"

#include <fcntl.h>

namespace fairlead::proxy::stream {

Pipe PipePool::take() {
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    return pipe;
  }
  int fds[2];
  if (existing_ >= limit_ || pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return {};
  // Refused beyond fs.pipe-user-pages-soft: then it holds 64 KiB, or a page.
  (void)fcntl(fds[1], F_SETPIPE_SZ, kBytes);
  ++existing_;
  made_.add();
  return {Fd(fds[0]), Fd(fds[1])};
}

}  // namespace fairlead::proxy::stream
