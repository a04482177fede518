// SPDX-License-Identifier: Apache-2.0
#include "netlink/aside.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace fairlead::netlink {
namespace {

TEST(Aside, CallsAreMadeInOrderInOneThreadAndAllOfThem) {
  std::vector<int> made;
  std::vector<std::thread::id> threads;
  {
    Aside aside;
    for (int i = 0; i < 1000; ++i)
      ASSERT_TRUE(aside.run([&, i] {
        made.push_back(i);
        threads.push_back(std::this_thread::get_id());
      }));
  }
  ASSERT_EQ(made.size(), 1000u) << "the last one too";
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(made[static_cast<size_t>(i)], i);
  for (const std::thread::id id : threads) EXPECT_EQ(id, threads[0]);
  EXPECT_NE(threads[0], std::this_thread::get_id());
}

TEST(Aside, WhatACallHoldsIsFreeBeforeTheNext) {
  Aside aside;
  std::weak_ptr<int> before;
  for (int i = 0; i < 100; ++i) {
    auto held = std::make_shared<int>(i);
    const std::weak_ptr<int> now = held;
    ASSERT_TRUE(aside.run([held = std::move(held)] {}));
    EXPECT_TRUE(before.expired());
    before = now;
  }
}

TEST(Aside, WithoutACallThereIsNothingToWaitFor) {
  const Aside aside;
}

}  // namespace
}  // namespace fairlead::netlink
