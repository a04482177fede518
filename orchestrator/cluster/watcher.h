// SPDX-License-Identifier: Apache-2.0
// `fairlead up`, `server` and `node` are two processes of one program: the worker, which does the
// work, and its parent, the watcher, which starts it again when it dies.
//
// The watcher forks the worker before anything but the locks is opened, so that both hold them, and
// then waits in poll(2): no loop, no thread, no memory of its own but what a fork copies. Its name
// is fairlead-watch, the worker's fairlead.
//
// The worker ends           and the watcher
//   by a signal             starts another after 100 ms doubling to 10 s, from anew once one ran a
//                           minute
//   with an error           does the same if any worker was ever started; else that was a refusal,
//                           and it ends with the same status
//   with success            ends too
//   because the watcher     ends with its status. SIGTERM, SIGINT and SIGHUP are passed on; a worker
//   was told to end         that is still there after 10 s is killed. Until a worker can hear them
//                           they wait
//   because the watcher     (is dead, kill -9) The worker ends its work and executes the program
//   is gone                 anew: the process becomes a watcher, and its worker adopts what runs.
//
// Under a service manager that waits for READY=1 (NOTIFY_SOCKET, sd_notify(3)) the watcher says so
// once the worker is started, and a worker whose watcher is gone ends: the manager has seen its
// main process die and starts the program again.
#pragma once

#include <csignal>
#include <functional>

#include "base/time.h"

namespace fairlead::orchestrator {

// The worker's end of the line to its watcher.
class WatcherLink {
 public:
  // `hearing`: the signals that are blocked in a worker that hears.
  WatcherLink(int fd, const sigset_t& hearing) : fd_(fd), hearing_(hearing) {}
  int fd() const { return fd_; }  // readable: the watcher is gone
  void tell_started() const;      // from now on an error is no refusal

  // A worker is begun, and left, with SIGTERM, SIGINT and SIGHUP blocked: without its handlers they
  // would kill it, and its end would look like a failure. It hears them as long as this lives,
  // which is shorter than the handlers do. Of the thread that makes it.
  class Hearing {
   public:
    explicit Hearing(const WatcherLink& link) {
      pthread_sigmask(SIG_SETMASK, &link.hearing_, &before_);
    }
    ~Hearing() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    Hearing(const Hearing&) = delete;
    Hearing& operator=(const Hearing&) = delete;

   private:
    sigset_t before_{};
  };

 private:
  int fd_;
  sigset_t hearing_;
};

struct WatchTimes {
  Duration min_delay = std::chrono::milliseconds(100);
  Duration max_delay = std::chrono::seconds(10);
  Duration steady = std::chrono::minutes(1);
  Duration stop_limit = std::chrono::seconds(10);
};

// What `work` returns when it ended because the watcher is gone.
inline constexpr int kWatcherGone = -1;

// Runs `work` in workers and returns the exit status of the program. In a worker it never returns.
// `argv` is main's, for executing it anew. Call with one thread.
int keep_running(char** argv, const std::function<int(const WatcherLink&)>& work,
                 const WatchTimes& times = {});

}  // namespace fairlead::orchestrator
