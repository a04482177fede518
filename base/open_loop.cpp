// SPDX-License-Identifier: Apache-2.0
#include "base/open_loop.h"

#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace fairlead {

namespace {

constexpr size_t kDescriptors = 4;  // of a loop: an epoll set, a pipe for signals, an eventfd

}  // namespace

// That there is room is made sure of before: libuv keeps a descriptor when it fails in between
// (1.44).
Result<std::unique_ptr<Loop>> open_loop() {
  for (std::array<Fd, kDescriptors> room; Fd & one : room) {
    one.reset(eventfd(0, EFD_CLOEXEC));
    if (!one) return Error::from_errno(errno, "opening an event loop");
  }
  return std::make_unique<Loop>();
}

}  // namespace fairlead
