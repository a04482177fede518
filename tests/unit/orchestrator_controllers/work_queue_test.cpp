// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/work_queue.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WorkQueueTest : public testing::Test {
 protected:
  ManualClock clock_;
  std::vector<std::string> worked_;
  std::vector<WorkQueue::Pass> held_;
  bool hold_ = false;
  bool fail_ = false;
  std::optional<WorkQueue> queue_;

  void SetUp() override {
    queue_.emplace(clock_, WorkQueue::Options{.name = "test", .max_in_flight = 2},
                   [this](const WorkQueue::Key& key, WorkQueue::Pass pass) {
                     worked_.push_back(key.name);
                     if (fail_) pass.fail(Error(ErrorCode::kUnavailable, "no"));
                     if (hold_) held_.push_back(pass);
                   });
  }
  void TearDown() override {
    queue_.reset();
    held_.clear();
  }
};

TEST_F(WorkQueueTest, CoalescesATurnAndKeepsOrder) {
  queue_->add({"", "a"});
  queue_->add({"", "b"});
  queue_->add({"", "a"});
  clock_.advance(seconds(1));
  EXPECT_TRUE(worked_.empty()) << "not started";
  queue_->start();
  EXPECT_TRUE(worked_.empty()) << "never from inside a call";
  clock_.advance(Duration::zero());
  EXPECT_EQ(worked_, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(queue_->idle());
  EXPECT_EQ(clock_.pending(), 0u);
}

TEST_F(WorkQueueTest, OnePassAKeyAndABoundOnAll) {
  hold_ = true;
  queue_->start();
  for (const char* name : {"a", "b", "c"}) queue_->add({"", name});
  clock_.advance(Duration::zero());
  EXPECT_EQ(worked_.size(), 2u);
  queue_->add({"", "a"});
  clock_.advance(seconds(1));
  EXPECT_EQ(worked_.size(), 2u);
  held_.erase(held_.begin());  // a ends
  clock_.advance(Duration::zero());
  EXPECT_EQ(worked_, (std::vector<std::string>{"a", "b", "c"}));
  held_.clear();
  clock_.advance(Duration::zero());
  EXPECT_EQ(worked_.back(), "a") << "added while it ran: worked again";
}

TEST_F(WorkQueueTest, FailuresBackOffAndNewsComeAtOnce) {
  fail_ = true;
  queue_->start();
  queue_->add({"", "a"});
  clock_.advance(milliseconds(4));
  EXPECT_EQ(worked_.size(), 1u);
  clock_.advance(milliseconds(2));
  EXPECT_EQ(worked_.size(), 2u);
  clock_.advance(std::chrono::minutes(10));
  EXPECT_GT(worked_.size(), 40u);
  EXPECT_LT(worked_.size(), 60u) << "16 s between the later ones";
  const size_t before = worked_.size();
  fail_ = false;
  queue_->add({"", "a"});
  clock_.advance(Duration::zero());
  EXPECT_EQ(worked_.size(), before + 1);
  clock_.advance(seconds(20));
  EXPECT_EQ(worked_.size(), before + 2) << "the wait of the last failure still ends";
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(worked_.size(), before + 2);
}

TEST_F(WorkQueueTest, TheShortestDelayCounts) {
  queue_->start();
  queue_->add_after({"", "a"}, seconds(10));
  queue_->add_after({"", "a"}, seconds(5));
  queue_->add_after({"", "a"}, seconds(7));
  clock_.advance(seconds(5));
  EXPECT_EQ(worked_.size(), 1u);
  clock_.advance(seconds(60));
  EXPECT_EQ(worked_.size(), 1u);
}

TEST_F(WorkQueueTest, APassMayOutliveTheQueue) {
  hold_ = true;
  queue_->start();
  queue_->add({"", "a"});
  clock_.advance(Duration::zero());
  queue_.reset();
  held_[0].fail(Error(ErrorCode::kUnavailable, "late"));
  held_.clear();
  clock_.advance(seconds(60));
  EXPECT_EQ(worked_.size(), 1u);
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
