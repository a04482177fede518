// SPDX-License-Identifier: Apache-2.0
// Whose turn it is: sources that are never done leave the loop its other work. All of it with the
// reactor's set in the loop's, and the other way round.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "proxy/stream/reactor.h"

namespace fairlead::proxy::stream {
namespace {

using std::chrono::seconds;

struct Busy : Reactor::Source {
  explicit Busy(Reactor& its_reactor) : reactor(its_reactor) {}
  void on_ready(uint32_t) override {
    ++turns;
    if (!enough) reactor.again(*this);
  }
  Reactor& reactor;
  size_t turns = 0;
  bool enough = false;
};

class StreamReactor : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    auto opened = Reactor::open(loop_);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    reactor_ = std::move(*opened);
    if (GetParam()) ASSERT_TRUE(reactor_->lead().ok());
  }
  bool run_until(const std::function<bool()>& done, Duration limit) {
    if (!GetParam()) return loop_.run_until(done, limit);
    const MonoTime until = loop_.clock().now() + limit;
    bool over = done();
    Timer look(loop_);
    look.start_every(std::chrono::milliseconds(1),
                     [&] { over = done() || loop_.clock().now() > until; });
    reactor_->run(over);
    return done();
  }

  Loop loop_;
  std::unique_ptr<Reactor> reactor_;
};

INSTANTIATE_TEST_SUITE_P(, StreamReactor, testing::Bool(),
                         [](const auto& leads) { return leads.param ? "Leads" : "IsLed"; });

TEST_P(StreamReactor, SourcesThatAreNeverDoneLeavePostsTimersAndSocketsTheirTurn) {
  Busy one(*reactor_), other(*reactor_), reader(*reactor_);
  reader.enough = true;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  Fd near(ends[0]), far(ends[1]);
  ASSERT_TRUE(reactor_->add(near.get(), reader, EPOLLIN).ok());
  reactor_->again(one);
  reactor_->again(other);
  ASSERT_TRUE(run_until([&] { return one.turns > 100; }, seconds(60)));
  int posted = 0;
  Timer timer(loop_);
  bool rung = false;
  timer.start_once(Duration(1), [&] { rung = true; });
  loop_.post([&] { loop_.post([&] { ++posted; }); });
  ASSERT_EQ(write(far.get(), "x", 1), 1);
  const size_t before = one.turns;
  EXPECT_TRUE(run_until([&] { return posted == 1 && rung && reader.turns > 0; }, seconds(60)));
  EXPECT_TRUE(run_until([&] { return one.turns > before + 100; }, seconds(60)));
  EXPECT_LE(std::max(one.turns, other.turns) - std::min(one.turns, other.turns), 1u);
  reactor_->forget(one);
  reactor_->forget(other);
}

TEST_P(StreamReactor, ASocketThatAnotherHasTooIsForgottenWhenItIsRemoved) {
  Busy gone(*reactor_), here(*reactor_);
  gone.enough = here.enough = true;
  int ends[2], others[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, others), 0);
  Fd near(ends[0]), far(ends[1]), other_near(others[0]), other_far(others[1]);
  ASSERT_TRUE(reactor_->add(near.get(), gone, EPOLLIN).ok());
  ASSERT_TRUE(reactor_->add(other_near.get(), here, EPOLLIN).ok());
  const Fd elsewhere(dup(near.get()));
  reactor_->remove(near.get());
  near.reset();
  ASSERT_EQ(write(far.get(), "x", 1), 1);
  ASSERT_EQ(write(other_far.get(), "x", 1), 1);
  ASSERT_TRUE(run_until([&] { return here.turns > 0; }, seconds(60)));
  EXPECT_EQ(gone.turns, 0u);
}

struct Grave : Reactor::Mortal {
  explicit Grave(int& its_count) : count(its_count) {}
  ~Grave() override { ++count; }
  int& count;
};

TEST_P(StreamReactor, WhatIsBuriedOutsideATurnIsDestroyedInTheNext) {
  int destroyed = 0;
  for (int round = 1; round <= 3; ++round) {
    reactor_->bury(std::make_unique<Grave>(destroyed));
    EXPECT_EQ(destroyed, round - 1);
    EXPECT_TRUE(run_until([&] { return destroyed == round; }, seconds(60)));
  }
}

// A timer that is due while the thread waits for sockets, however long others have kept it awake
// before: libuv's idea of now must not be an old one. They keep it awake for 5 s.
TEST_P(StreamReactor, ATimerIsOnTimeBesideSocketsThatKeepComing) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  Fd near(ends[0]), far(ends[1]);
  Busy reader(*reactor_);
  reader.enough = true;
  ASSERT_TRUE(reactor_->add(near.get(), reader, EPOLLIN).ok());
  Timer timer(loop_);
  bool rung = false;
  timer.start_once(std::chrono::milliseconds(200), [&] { rung = true; });
  std::atomic<bool> stop = false, writing = true;
  std::thread writer([&] {
    const MonoTime end = std::chrono::steady_clock::now() + seconds(5);
    while (!stop && std::chrono::steady_clock::now() < end && write(far.get(), "x", 1) == 1)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    writing = false;
  });
  if (GetParam())
    reactor_->run(rung);
  else
    EXPECT_TRUE(loop_.run_until([&] { return rung; }, seconds(60)));
  EXPECT_TRUE(writing);
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace fairlead::proxy::stream
