// SPDX-License-Identifier: Apache-2.0
// A constant thing that is replaced as a whole: the program's thread makes a new one, the workers
// take the newest. A worker that holds the version it has seen asks for no lock until there is
// another.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace fairlead::dns {

// Any thread.
template <typename T>
class Current {
 public:
  void set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
    version_.fetch_add(1, std::memory_order_release);
  }
  std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;  // under mutex_
  std::atomic<uint64_t> version_{0};
};

// What one worker has taken of it. Null while nothing has been set.
template <typename T>
class Seen {
 public:
  const std::shared_ptr<const T>& newest(const Current<T>& current) {
    if (const uint64_t version = current.version(); version != version_) {
      version_ = version;
      value_ = current.get();
    }
    return value_;
  }

 private:
  uint64_t version_ = 0;
  std::shared_ptr<const T> value_;
};

}  // namespace fairlead::dns
