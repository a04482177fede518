// SPDX-License-Identifier: Apache-2.0
// How many questions wait for upstream servers at once, all workers together. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace fairlead::dns {

class InFlightLimit {
 public:
  // One place; free again when it goes. The limit must outlive it.
  class Place {
   public:
    Place() = default;
    explicit Place(InFlightLimit* limit) : limit_(limit) {}
    Place(Place&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(limit_, other.limit_);
      return *this;
    }
    ~Place() {
      if (limit_ != nullptr) limit_->taken_.fetch_sub(1, std::memory_order_relaxed);
    }
    explicit operator bool() const { return limit_ != nullptr; }

   private:
    InFlightLimit* limit_ = nullptr;
  };

  explicit InFlightLimit(size_t most) : most_(most) {}
  InFlightLimit(const InFlightLimit&) = delete;
  InFlightLimit& operator=(const InFlightLimit&) = delete;

  size_t most() const { return most_; }
  // Places that nobody has.
  size_t free() const {
    const size_t taken = taken_.load(std::memory_order_relaxed);
    return taken < most_ ? most_ - taken : 0;
  }
  // Empty when all places are taken.
  Place take() {
    if (taken_.fetch_add(1, std::memory_order_relaxed) < most_) return Place(this);
    taken_.fetch_sub(1, std::memory_order_relaxed);
    return Place();
  }

 private:
  const size_t most_;
  std::atomic<size_t> taken_{0};
};

}  // namespace fairlead::dns
