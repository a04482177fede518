// SPDX-License-Identifier: Apache-2.0
// One proxy in a network namespace: two would undo each other's work. The lock is an abstract unix
// socket name, which belongs to the namespace and goes with the process, however it ends (unix(7)).
#pragma once

#include <utility>

#include "base/result.h"

namespace fairlead::proxy {

class InstanceLock {
 public:
  // kAlreadyExists when another process has it.
  static Result<InstanceLock> acquire();
  InstanceLock(InstanceLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  InstanceLock& operator=(InstanceLock&&) = delete;
  ~InstanceLock();

 private:
  explicit InstanceLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace fairlead::proxy
