// SPDX-License-Identifier: Apache-2.0
#include "netlink/aside.h"

#include <system_error>
#include <utility>

namespace fairlead::netlink {

Aside::~Aside() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool Aside::run(std::function<void()> call) {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !busy_; });
  busy_ = true;
  call_ = std::move(call);
  lock.unlock();
  changed_.notify_all();
  return true;
}

void Aside::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return call_ || stopping_; });
    if (!call_) return;
    auto call = std::exchange(call_, nullptr);
    lock.unlock();
    call();
    call = nullptr;  // and what it holds
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace fairlead::netlink
