// SPDX-License-Identifier: Apache-2.0
// A thread that makes one call after another while its owner goes on.
//
// It stays, asleep, from the first call to the end: the kernel wakes a thread where it ran last, on
// a processor that is idle, while a new one would begin on its maker's as often as not
// (select_task_rq_fair() of the kernel looks at how busy the others have been), and wait there for
// what the owner goes on with.
//
// Threads: run() and the destructor are one thread's, the owner's; calls are made in the other, one
// at a time, in order. Both wait for the call under way, however long it takes.
// What was taken by run() is made before the destructor returns. At rest it costs a stack of which
// little has been touched.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace fairlead::netlink {

class Aside {
 public:
  Aside() = default;
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  // Makes `call` soon, after the one before it, which is waited for. It must not throw. False: the
  // system has no thread for us, and `call` is not made.
  bool run(std::function<void()> call);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> call_;  // under mutex_; to be made
  bool busy_ = false;           // under mutex_; until it has been
  bool stopping_ = false;       // under mutex_
  std::thread thread_;
};

}  // namespace fairlead::netlink
