// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "tests/support/fake_api.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Resource kPods{"", "pods"};
const Resource kNodes{"", "nodes"};
const Resource kEvents{"", "events"};

class SchedulerTest : public testing::Test {
 protected:
  ManualClock clock_;
  test::FakeApi api_{clock_};
  std::unique_ptr<Scheduler> scheduler_;

  void start() {
    scheduler_ = std::make_unique<Scheduler>(clock_, api_);
    scheduler_->start();
  }
  void add_node(const std::string& name, const std::string& cpu = "2") {
    api_.put(kNodes, {{"metadata", {{"name", name}}},
                      {"status",
                       {{"allocatable", {{"cpu", cpu}, {"memory", "4Gi"}, {"pods", "110"}}},
                        {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
  }
  void add_pod(const std::string& name, Json extra_spec = Json::object()) {
    Json spec = {
        {"containers", {{{"name", "c"}, {"resources", {{"requests", {{"cpu", "500m"}}}}}}}}};
    spec.update(extra_spec);
    api_.put(kPods, {{"metadata", {{"name", name}, {"namespace", "default"}}}, {"spec", spec}});
  }
  std::string node_of(const std::string& pod) {
    const auto object = api_.find(kPods, {"default", pod});
    return object ? (*object)["spec"].value("nodeName", "") : "gone";
  }
  std::string message_of(const std::string& pod) {
    const Json object = *api_.find(kPods, {"default", pod});
    for (const Json& condition : object["status"].value("conditions", Json::array()))
      if (condition["type"] == "PodScheduled" && condition["status"] == "False")
        return condition["message"];
    return "";
  }
  size_t writes(const char* verb) {
    size_t count = 0;
    for (const auto& write : api_.writes()) count += write.verb == verb ? 1 : 0;
    return count;
  }
};

TEST_F(SchedulerTest, BindsAndSaysSo) {
  add_node("n1");
  start();
  add_pod("a");
  clock_.advance(milliseconds(10));
  EXPECT_EQ(node_of("a"), "n1");
  ASSERT_EQ(api_.all(kEvents).size(), 1u);
  EXPECT_EQ(api_.all(kEvents)[0]["reason"], "Scheduled");
  EXPECT_EQ(api_.all(kEvents)[0]["message"], "Successfully assigned default/a to n1");
}

TEST_F(SchedulerTest, LeavesOtherSchedulersAndGatedPodsAlone) {
  add_node("n1");
  start();
  add_pod("other", {{"schedulerName", "mine"}});
  add_pod("gated", {{"schedulingGates", {{{"name", "wait"}}}}});
  clock_.advance(seconds(20));
  EXPECT_EQ(node_of("other"), "");
  EXPECT_EQ(node_of("gated"), "");
  api_.merge(kPods, {"default", "gated"}, {{"spec", {{"schedulingGates", nullptr}}}});
  clock_.advance(milliseconds(10));
  EXPECT_EQ(node_of("gated"), "n1");
}

TEST_F(SchedulerTest, NeverPromisesMoreThanThereIs) {
  add_node("n1");
  add_node("n2");
  api_.write_delay = milliseconds(20);
  start();
  for (int i = 0; i < 12; ++i) add_pod("p" + std::to_string(i));
  clock_.advance(seconds(5));
  std::map<std::string, int> count;
  for (int i = 0; i < 12; ++i) ++count[node_of("p" + std::to_string(i))];
  EXPECT_EQ(count["n1"], 4);
  EXPECT_EQ(count["n2"], 4);
  EXPECT_EQ(count[""], 4);
}

TEST_F(SchedulerTest, UnschedulablePodsAreToldOnceAndTriedAfterEvents) {
  add_node("n1", "400m");
  start();
  add_pod("a");
  clock_.advance(milliseconds(50));
  EXPECT_EQ(message_of("a"), "0/1 nodes are available: 1 Insufficient cpu.");
  const Json told = *api_.find(kPods, {"default", "a"});
  EXPECT_EQ(told["status"]["conditions"][0]["observedGeneration"], told["metadata"]["generation"]);
  const size_t patches = writes("patch");
  clock_.advance(std::chrono::minutes(10));
  EXPECT_EQ(writes("patch"), patches) << "nothing happened, nothing is written";
  add_node("n2", "2");
  clock_.advance(seconds(11));
  EXPECT_EQ(node_of("a"), "n2");
}

TEST_F(SchedulerTest, RoomLeftByAPodIsUsed) {
  add_node("n1", "500m");
  start();
  add_pod("a");
  clock_.advance(milliseconds(20));
  add_pod("b");
  clock_.advance(seconds(1));
  EXPECT_EQ(node_of("b"), "");
  DeleteOptions now;
  now.grace_period_seconds = 0;
  api_.erase(kPods, {"default", "a"}, now);
  clock_.advance(seconds(11));
  EXPECT_EQ(node_of("b"), "n1");
}

TEST_F(SchedulerTest, HigherPriorityFirst) {
  add_node("n1", "500m");
  add_pod("low");
  add_pod("high", {{"priority", 1000}});
  start();
  clock_.advance(seconds(1));
  EXPECT_EQ(node_of("high"), "n1");
  EXPECT_EQ(node_of("low"), "");
}

TEST_F(SchedulerTest, WhatItCannotDoIsSaid) {
  add_node("n1");
  start();
  add_pod("a", {{"topologySpreadConstraints",
                 {{{"topologyKey", "zone"}, {"whenUnsatisfiable", "DoNotSchedule"}}}}});
  clock_.advance(seconds(1));
  EXPECT_EQ(node_of("a"), "");
  EXPECT_NE(message_of("a").find("topologySpreadConstraints"), std::string::npos);
}

TEST_F(SchedulerTest, AFailedBindGivesTheRoomBackAndIsRepeated) {
  add_node("n1", "500m");
  int failures = 3;
  api_.intercept = [&](const test::FakeApi::Write& write) -> std::optional<Error> {
    if (write.verb != "bind" || failures == 0) return std::nullopt;
    --failures;
    return Error(ErrorCode::kUnavailable, "the store is not there");
  };
  start();
  add_pod("a");
  clock_.advance(seconds(30));
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(node_of("a"), "n1");
}

// A pod is deleted and made again, with another wish, while its bind is under way.
TEST_F(SchedulerTest, ABindIsOfThePodThatWasLookedAt) {
  add_node("n1");
  bool replaced = false;
  api_.intercept = [&](const test::FakeApi::Write& write) -> std::optional<Error> {
    if (write.verb == "bind" && !replaced) {
      replaced = true;
      api_.erase(kPods, {"default", "a"});
      add_pod("a", {{"schedulerName", "another"}});
    }
    return std::nullopt;
  };
  start();
  add_pod("a");
  clock_.advance(seconds(30));
  EXPECT_TRUE(replaced);
  EXPECT_EQ(node_of("a"), "");
}

TEST_F(SchedulerTest, AKillAfterEveryWriteLosesNothing) {
  for (int k = 1; k < 30; ++k) {
    SCOPED_TRACE(k);
    ManualClock clock;
    test::FakeApi api(clock);
    for (const char* name : {"n1", "n2"})
      api.put(kNodes, {{"metadata", {{"name", name}}},
                       {"status",
                        {{"allocatable", {{"cpu", "2"}, {"memory", "4Gi"}, {"pods", "3"}}},
                         {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
    auto scheduler = std::make_unique<Scheduler>(clock, api);
    api.crash_after(k);
    scheduler->start();
    for (int i = 0; i < 8; ++i)
      api.put(kPods, {{"metadata", {{"name", "p" + std::to_string(i)}, {"namespace", "default"}}},
                      {"spec", {{"containers", {{{"name", "c"}}}}}}});
    clock.advance(seconds(30));
    if (api.crashed()) {
      scheduler.reset();
      api.revive();
      scheduler = std::make_unique<Scheduler>(clock, api);
      scheduler->start();
      clock.advance(seconds(30));
    }
    int bound = 0;
    int told = 0;
    for (const Json& pod : api.all(kPods)) {
      bound += pod["spec"].contains("nodeName") ? 1 : 0;
      for (const Json& condition : pod["status"].value("conditions", Json::array()))
        told += condition["status"] == "False" ? 1 : 0;
    }
    EXPECT_EQ(bound, 6);
    EXPECT_EQ(told, 2);
  }
}

}  // namespace
}  // namespace fairlead::orchestrator
