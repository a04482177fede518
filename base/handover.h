// SPDX-License-Identifier: Apache-2.0
// Listening sockets from a running server to the one that takes its place, over a Unix socket, so
// that no client is lost: both have the same sockets, and what waits in them is answered by either.
//
//   new                          running
//   connects to PATH         ->
//                            <-  every socket (SCM_RIGHTS)
//   starts, and answers
//   one byte: "I answer"     ->
//   listens at PATH itself       reads no more, finishes what it has, ends
//
// Whoever dies before the byte leaves the other answering: the running one goes on when the
// connection breaks or nothing is heard for kPatience; the new one has the sockets. PATH has mode
// 0600, and both look at the other's user (SO_PEERCRED): our own, or root.
//
// Threads: the loop's. Giving the sockets blocks it for as long as the other needs to take them,
// kWait at most for each 64 of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"

namespace fairlead {

// The new server's side.
class Predecessor {
 public:
  static constexpr Duration kWait = std::chrono::seconds(5);  // for each message

  // Blocks while the sockets come. Null: nobody runs at the path, or dies before it has given all.
  static Result<std::unique_ptr<Predecessor>> meet(const std::string& path);

  std::vector<Fd> take_sockets() { return std::move(sockets_); }
  // We answer: it may go.
  void dismiss();

 private:
  Fd connection_;
  std::vector<Fd> sockets_;
};

// The running server's side: waits for a successor, one at a time.
class Succession {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(60);

  struct Hooks {
    std::function<std::vector<int>()> begin;  // the sockets to give, which stay ours as well
    std::function<void()> failed;             // it will not answer: go on
    std::function<void()> done;               // it answers: stop
  };
  // Takes the path over from whoever had it.
  static Result<std::unique_ptr<Succession>> listen(Loop& loop, const std::string& path,
                                                    Hooks hooks);

 private:
  Succession(Loop& loop, Fd listener, Hooks hooks);
  void on_connection();
  void on_answer();
  void end(bool answers);

  Loop& loop_;
  const Hooks hooks_;
  Fd listener_;
  Fd successor_;
  Poll listener_poll_;
  std::unique_ptr<Poll> successor_poll_;
  Alarm patience_;
};

}  // namespace fairlead
