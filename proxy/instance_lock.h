// SPDX-License-Identifier: Apache-2.0
// One proxy in a network namespace: two would undo each other's work. The lock is an abstract unix
// socket name, which belongs to the namespace and goes with the last process that has the socket,
// however it ends (unix(7)).
#pragma once

#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace fairlead::proxy {

class InstanceLock {
 public:
  // kAlreadyExists when another process has it.
  static Result<InstanceLock> acquire();
  // The lock, by whom it was handed over (base/handover.h).
  static InstanceLock take(Fd socket) { return InstanceLock(std::move(socket)); }
  // Whether that socket is the lock.
  static bool is_one(const Fd& socket);

  int fd() const { return socket_.get(); }

 private:
  explicit InstanceLock(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace fairlead::proxy
