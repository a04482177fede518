// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "base/idle.h"
#include "base/open_loop.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Loop, RunsPostedTasksInOrderFromAnotherThread) {
  Loop loop;
  std::vector<int> seen;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) loop.post([&seen, i] { seen.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  poster.join();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST(Loop, StopBeforeRunReturnsAtOnce) {
  Loop loop;
  loop.stop();
  loop.run();
}

TEST(Loop, WithoutADescriptorItIsAnErrorAndLeavesNothing) {
  ASSERT_TRUE(open_loop().ok());
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest = dup(0);
  close(lowest);
  for (rlim_t room = 0; room < 4; ++room) {  // it needs as many
    const rlimit few = {static_cast<rlim_t>(lowest) + room, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    const auto loop = open_loop();
    setrlimit(RLIMIT_NOFILE, &before);
    ASSERT_FALSE(loop.ok()) << room;
    EXPECT_EQ(loop.error().code(), ErrorCode::kResourceExhausted) << loop.error().message();
    const int next = dup(0);
    close(next);
    EXPECT_EQ(next, lowest) << room;
  }
}

TEST(Loop, WritingToAPeerThatHasGoneIsAnErrorOnly) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[0]);
  EXPECT_EQ(write(fds[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(fds[1]);
}

TEST(Loop, WhatIsWaitedForIsNotAskedAgainOnceItIsSo) {
  Loop loop;
  int asked = 0;
  EXPECT_TRUE(loop.run_until([&] { return ++asked == 1; }, seconds(5)));
  EXPECT_EQ(asked, 1);
}

TEST(Loop, ALimitThatPassedBeforeItWaitsEndsItAtOnce) {
  Loop loop;
  bool next_event = false;
  Timer timer(loop);
  timer.start_once(seconds(2), [&] { next_event = true; });
  const auto slow = [] {
    std::this_thread::sleep_for(milliseconds(20));
    return false;
  };
  EXPECT_FALSE(loop.run_until(slow, milliseconds(10)));
  EXPECT_FALSE(next_event) << "it waited for something else";
}

// libuv's clock counts whole milliseconds, the delay begins within one, and a loop that other
// events keep awake looks at that clock all the time.
TEST(Timer, ADelayIsNeverCutShort) {
  Loop loop;
  Timer timer(loop);
  Idle busy(loop);
  busy.start([] {});
  for (int i = 1; i <= 60; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(i * 137 % 1000));  // anywhere within one
    const Duration delay = std::chrono::microseconds(i * 77);
    const MonoTime due = loop.clock().now() + delay;
    std::optional<MonoTime> fired;
    timer.start_once(delay, [&] { fired = loop.clock().now(); });
    ASSERT_TRUE(loop.run_until([&] { return fired.has_value(); }, seconds(5)));
    EXPECT_GE(*fired, due) << delay.count() << " ns";
  }
}

TEST(Timer, MayDestroyItselfInItsCallback) {
  Loop loop;
  auto timer = std::make_unique<Timer>(loop);
  bool fired = false;
  timer->start_once(milliseconds(1), [&] {
    timer.reset();
    fired = true;
  });
  EXPECT_TRUE(loop.run_until([&] { return fired; }, seconds(5)));
}

TEST(Timer, RepeatsUntilStopped) {
  Loop loop;
  Timer timer(loop);
  int count = 0;
  timer.start_every(milliseconds(1), [&] {
    if (++count == 3) timer.stop();
  });
  EXPECT_TRUE(loop.run_until([&] { return !timer.active(); }, seconds(5)));
  EXPECT_EQ(count, 3);
}

TEST(Poll, TellsReadable) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  {
    Poll poll(loop, fds[0]);
    bool readable = false;
    poll.start(UV_READABLE, [&](int events) { readable = (events & UV_READABLE) != 0; });
    ASSERT_EQ(write(fds[1], "x", 1), 1);
    EXPECT_TRUE(loop.run_until([&] { return readable; }, seconds(5)));
  }
  loop.run_until([] { return false; }, milliseconds(1));  // libuv lets go of the descriptor
  close(fds[0]);
  close(fds[1]);
}

TEST(SignalWatch, Delivers) {
  Loop loop;
  bool seen = false;
  SignalWatch watch(loop, SIGUSR1, [&] { seen = true; });
  raise(SIGUSR1);
  EXPECT_TRUE(loop.run_until([&] { return seen; }, seconds(5)));
}

TEST(LoopClock, AlarmFiresUnlessCancelled) {
  Loop loop;
  bool fired = false;
  bool cancelled_fired = false;
  Alarm keep = loop.clock().after(milliseconds(2), [&] { fired = true; });
  Alarm drop = loop.clock().after(milliseconds(1), [&] { cancelled_fired = true; });
  drop.cancel();
  EXPECT_TRUE(loop.run_until([&] { return fired; }, seconds(5)));
  EXPECT_FALSE(cancelled_fired);
}

TEST(ManualClock, RunsWhatFallsDueInOrder) {
  ManualClock clock;
  std::vector<int> seen;
  Alarm nested;
  Alarm a = clock.after(seconds(2), [&] { seen.push_back(2); });
  Alarm b = clock.after(seconds(1), [&] {
    seen.push_back(1);
    nested = clock.after(milliseconds(500), [&] { seen.push_back(15); });
  });
  Alarm c = clock.after(seconds(9), [&] { seen.push_back(9); });
  clock.advance(seconds(3));
  EXPECT_EQ(seen, (std::vector<int>{1, 15, 2}));
  EXPECT_EQ(clock.pending(), 1u);
  EXPECT_EQ(clock.until_next(), seconds(6));
  c.cancel();
  clock.advance(seconds(30));
  EXPECT_EQ(seen.size(), 3u);
}

TEST(ManualClock, AlarmMayOutliveTheClock) {
  Alarm alarm;
  {
    ManualClock clock;
    alarm = clock.after(seconds(1), [] {});
  }
}

TEST(Idle, LeavesEveryTurnToOthers) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  int turns = 0;
  Idle idle(loop);
  EXPECT_FALSE(idle.active());
  idle.start([&] {
    if (++turns == 3) ASSERT_EQ(write(fds[1], "x", 1), 1);
    if (turns == 100) idle.stop();
  });
  EXPECT_TRUE(idle.active());
  int seen_after = 0;
  Poll poll(loop, fds[0]);
  poll.start(UV_READABLE, [&](int) {
    seen_after = turns;
    poll.stop();
  });
  ASSERT_TRUE(loop.run_until([&] { return !idle.active() && seen_after > 0; }, seconds(20)));
  EXPECT_LE(seen_after, 4);
  EXPECT_EQ(turns, 100);
  for (const int fd : fds) close(fd);
}

TEST(Idle, MayDestroyItself) {
  Loop loop;
  auto idle = std::make_unique<Idle>(loop);
  int turns = 0;
  idle->start([&] {
    ++turns;
    idle.reset();
  });
  loop.run_until([] { return false; }, milliseconds(20));
  EXPECT_EQ(turns, 1);
}

}  // namespace
}  // namespace fairlead
