// SPDX-License-Identifier: Apache-2.0
// Numbers nobody can guess, fetched from the kernel a page at a time. One thread.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <iterator>

namespace fairlead::dns {

class RandomSource {
 public:
  using result_type = uint16_t;
  static constexpr uint16_t min() { return 0; }
  static constexpr uint16_t max() { return UINT16_MAX; }
  uint16_t operator()() {
    if (left_ == 0) {
      // Up to 256 bytes never come short once the kernel's pool is ready (getrandom(2)).
      while (getrandom(pool_, sizeof pool_, 0) != static_cast<ssize_t>(sizeof pool_)) {
      }
      left_ = std::size(pool_);
    }
    return pool_[--left_];
  }

 private:
  uint16_t pool_[128];
  size_t left_ = 0;
};

}  // namespace fairlead::dns
