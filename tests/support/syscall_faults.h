// SPDX-License-Identifier: Apache-2.0
// A thread whose system calls fail when the test says so, as those of a kernel without memory or
// room would, and else go on as ever: by a seccomp filter that asks another thread
// (seccomp_unotify(2); Linux 5.5). Needs no privileges.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace fairlead::test {

struct SystemCall {
  int number = 0;  // SYS_*
  std::array<uint64_t, 6> arguments{};
  // What that argument points to, which is the memory of a thread that waits meanwhile.
  template <typename T>
  T at(size_t argument) const {
    T value;
    copy(argument, &value, sizeof value);
    return value;
  }

 private:
  void copy(size_t argument, void* to, size_t size) const;
};

class FaultyThread {
 public:
  // The error of that call, which then is not made; 0: it is made. Called in a thread of its own,
  // for one call at a time.
  using Decide = std::function<int(const SystemCall&)>;

  // Runs `body`. Of the calls that it and every thread it starts make, those with these numbers are
  // asked about. A failure to filter aborts the test program.
  FaultyThread(std::vector<int> numbers, Decide decide, std::function<void()> body);
  // Waits for the body, and with it the threads it has started must have ended: from then on those
  // calls fail with ENOSYS.
  ~FaultyThread();
  FaultyThread(const FaultyThread&) = delete;
  FaultyThread& operator=(const FaultyThread&) = delete;

 private:
  void answer();

  const Decide decide_;
  std::atomic<int> listener_{-1};
  int end_;  // an eventfd
  std::thread body_, answers_;
};

}  // namespace fairlead::test
