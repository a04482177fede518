// SPDX-License-Identifier: Apache-2.0
// Readiness of many sockets on one Loop: an epoll set of its own, watched by the loop as one
// descriptor, or the other way round (lead()). Edge-triggered: a socket is registered once, for all
// events, and leaves by being closed; most need no further system call for their interests.
// (libuv's own polling is level-triggered, and takes one at each change of them.)
//
// Edge-triggered means: who is told that a socket is ready reads or writes until it is not, or asks
// to be called again(). That is asked for by an eventfd in the same set, never by a timer: libuv
// runs a timer of no delay that is started from its own callback again at once (before 1.45), and
// nothing else of the loop had its turn then.
//
// Threads: the loop's.
#pragma once

#include <sys/epoll.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"

namespace fairlead::proxy::stream {

class Reactor {
 public:
  // Somebody who waits for one socket.
  class Source {
   public:
    virtual ~Source() = default;
    // EPOLL*; 0 when called again.
    virtual void on_ready(uint32_t events) = 0;

   private:
    friend class Reactor;
    bool again_ = false;
  };
  // Something that may end while events for it are at hand.
  class Mortal {
   public:
    virtual ~Mortal() = default;
  };

  static Result<std::unique_ptr<Reactor>> open(Loop& loop);
  // For a thread that has nothing else to do, before the loop first runs: run() waits in this set,
  // with the loop in it (uv_backend_fd). A socket that becomes ready wakes the thread through one
  // set then, not two, and is learnt of by one system call. kResourceExhausted: no room, and the
  // reactor is of no use any more.
  Result<void> lead();
  // After lead(): runs the sockets and the loop until something of either sets `done`.
  void run(const bool& done);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // `fd` stays the caller's, who closes it before `source` ends. kResourceExhausted when the kernel
  // has no room.
  Result<void> add(int fd, Source& source, uint32_t events);
  // What it is told of from now on, and soon of what is so already.
  Result<void> change(int fd, Source& source, uint32_t events);
  // For a socket that another process may have too, which closing it does not take out of an epoll
  // set (epoll(7)). Before it is closed.
  void remove(int fd);
  // Calls source.on_ready(0) in the next turn, after others have had theirs.
  void again(Source& source);
  // Before a source ends: it is not called any more, but by events at hand already; so what owns it
  // is given to bury(), which destroys it when they have passed.
  void forget(Source& source);
  void bury(std::unique_ptr<Mortal> dead);
  // Runs at the end of each turn, and must not be slow.
  void set_on_turn(std::function<void()> callback) { on_turn_ = std::move(callback); }
  // When this turn's events were taken.
  MonoTime now() const { return now_; }
  // Reads the clock anew: for whoever is called from elsewhere than a turn.
  void look_at_clock() { now_ = loop_.clock().now(); }

 private:
  Reactor(Loop& loop, Fd epoll, Fd wake);
  void turn(int wait_millis);
  void wake();
  bool take_events(int wait_millis);
  void destroy_dead();
  Result<void> control(int operation, int fd, Source& source, uint32_t events);

  Loop& loop_;
  Fd epoll_;
  Fd wake_;                     // an eventfd in epoll_, without a source
  std::unique_ptr<Poll> poll_;  // null: this set leads
  bool loop_is_due_ = false;
  bool in_turn_ = false;
  MonoTime now_;
  std::vector<epoll_event> events_;
  std::vector<Source*> again_;
  std::vector<Source*> running_;  // those called again in this turn; null: forgotten
  std::vector<std::unique_ptr<Mortal>> dead_;
  std::function<void()> on_turn_;
};

}  // namespace fairlead::proxy::stream
