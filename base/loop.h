// SPDX-License-Identifier: Apache-2.0
// The event loop over libuv, and its handles as RAII objects.
//
// Threads: one Loop belongs to the thread that runs it. Only Loop::post and Loop::stop may be
// called from elsewhere. Handles are made, used and destroyed on the loop's thread.
//
// Ownership: destroying a handle stops it at once; its callback does not run again. libuv needs the
// memory until the close callback (uv design notes, "Handles and requests"), so each handle keeps
// its state on the heap and frees it there. A callback may destroy its own handle.
//
// Signals: from the first Loop on SIGPIPE no longer ends the process; writing to a peer that has
// gone is an error of that write. Child processes start with the default.
//
// Shutdown: the Loop's destructor runs pending closes; a handle that outlives its Loop is a bug and
// asserts.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fairlead {

namespace internal {
template <typename UvHandle, typename Function>
struct HandleState;
}

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop().
  void run();
  // Runs until `done` is true or `limit` has passed; returns done(). For tests and short tools.
  bool run_until(const std::function<bool()>& done, Duration limit);
  // Makes run() return after the current callbacks. Any thread.
  void stop();
  // Runs `task` on the loop's thread, in order of posting. Any thread. Tasks still queued when the
  // Loop is destroyed are dropped.
  void post(std::function<void()> task);

  uv_loop_t* uv() { return &loop_; }
  Clock& clock() { return *clock_; }

 private:
  void run_posted();

  uv_loop_t loop_;
  uv_async_t wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // under mutex_
  bool stopping_ = false;                      // under mutex_
  std::unique_ptr<Clock> clock_;
};

// Calls back once, or again and again. Resolution: 1 ms; a delay is never cut short.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start_once(Duration delay, std::function<void()> callback);
  void start_every(Duration period, std::function<void()> callback);
  void stop();
  bool active() const;

 private:
  internal::HandleState<uv_timer_t, void()>* state_;
};

// Readiness of a file descriptor the caller owns; it must stay open as long as the Poll lives.
class Poll {
 public:
  // `events`: UV_READABLE | UV_WRITABLE. The callback gets the events that are ready, or
  // UV_READABLE | UV_WRITABLE when polling failed: the next read or write reports the error.
  Poll(Loop& loop, int fd);
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  void start(int events, std::function<void(int events)> callback);
  void stop();

 private:
  internal::HandleState<uv_poll_t, void(int)>* state_;
};

// Delivers a process signal on the loop.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal_number, std::function<void()> callback);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  internal::HandleState<uv_signal_t, void()>* state_;
};

}  // namespace fairlead
