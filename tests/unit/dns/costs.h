// SPDX-License-Identifier: Apache-2.0
// Counts heap allocations and locks of mutexes, in the test's thread or in all others.
//
// It stands in for malloc and its kin, on which operator new stands, and for pthread_mutex_lock in
// this test binary. A sanitizer stands there itself; then the counts stay zero, and the sanitizer
// looks at the same paths instead: what counts is the release build, which `scripts/test unit` runs
// too.
#pragma once

#include <cstddef>

namespace fairlead::dns::test {

enum class Watch : int { kNobody, kThisThread, kOtherThreads };

// Counts from zero while it lives or until stop(). One at a time.
class Counting {
 public:
  explicit Counting(Watch which);
  ~Counting() { stop(); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
  void stop();
  static bool active();
  static bool possible();  // false under a sanitizer
};

size_t allocations();
size_t locks();

}  // namespace fairlead::dns::test
