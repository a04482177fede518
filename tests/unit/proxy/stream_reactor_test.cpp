// SPDX-License-Identifier: Apache-2.0
// Whose turn it is: sources that are never done leave the loop its other work.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

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

TEST(StreamReactor, SourcesThatAreNeverDoneLeavePostsTimersAndSocketsTheirTurn) {
  Loop loop;
  auto reactor = Reactor::open(loop);
  ASSERT_TRUE(reactor.ok()) << reactor.error().message();
  Busy one(**reactor), other(**reactor), reader(**reactor);
  reader.enough = true;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  Fd near(ends[0]), far(ends[1]);
  ASSERT_TRUE((*reactor)->add(near.get(), reader, EPOLLIN).ok());
  (*reactor)->again(one);
  (*reactor)->again(other);
  ASSERT_TRUE(loop.run_until([&] { return one.turns > 100; }, seconds(60)));
  int posted = 0;
  Timer timer(loop);
  bool rung = false;
  timer.start_once(Duration(1), [&] { rung = true; });
  loop.post([&] { loop.post([&] { ++posted; }); });
  ASSERT_EQ(write(far.get(), "x", 1), 1);
  const size_t before = one.turns;
  EXPECT_TRUE(loop.run_until([&] { return posted == 1 && rung && reader.turns > 0; }, seconds(60)));
  EXPECT_TRUE(loop.run_until([&] { return one.turns > before + 100; }, seconds(60)));
  EXPECT_LE(std::max(one.turns, other.turns) - std::min(one.turns, other.turns), 1u);
  (*reactor)->forget(one);
  (*reactor)->forget(other);
}

TEST(StreamReactor, ASocketThatAnotherHasTooIsForgottenWhenItIsRemoved) {
  Loop loop;
  auto reactor = Reactor::open(loop);
  ASSERT_TRUE(reactor.ok()) << reactor.error().message();
  Busy gone(**reactor), here(**reactor);
  gone.enough = here.enough = true;
  int ends[2], others[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, others), 0);
  Fd near(ends[0]), far(ends[1]), other_near(others[0]), other_far(others[1]);
  ASSERT_TRUE((*reactor)->add(near.get(), gone, EPOLLIN).ok());
  ASSERT_TRUE((*reactor)->add(other_near.get(), here, EPOLLIN).ok());
  const Fd elsewhere(dup(near.get()));
  (*reactor)->remove(near.get());
  near.reset();
  ASSERT_EQ(write(far.get(), "x", 1), 1);
  ASSERT_EQ(write(other_far.get(), "x", 1), 1);
  ASSERT_TRUE(loop.run_until([&] { return here.turns > 0; }, seconds(60)));
  EXPECT_EQ(gone.turns, 0u);
}

struct Grave : Reactor::Mortal {
  explicit Grave(int& its_count) : count(its_count) {}
  ~Grave() override { ++count; }
  int& count;
};

TEST(StreamReactor, WhatIsBuriedOutsideATurnIsDestroyedInTheNext) {
  Loop loop;
  auto reactor = Reactor::open(loop);
  ASSERT_TRUE(reactor.ok()) << reactor.error().message();
  int destroyed = 0;
  for (int round = 1; round <= 3; ++round) {
    (*reactor)->bury(std::make_unique<Grave>(destroyed));
    EXPECT_EQ(destroyed, round - 1);
    EXPECT_TRUE(loop.run_until([&] { return destroyed == round; }, seconds(60)));
  }
}

}  // namespace
}  // namespace fairlead::proxy::stream
