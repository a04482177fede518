// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_worker.h"

#include "tests/unit/orchestrator_node/fake_node.h"

namespace fairlead::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Worker : public FakeNode {};

TEST_F(Worker, BringsAPodUpAndDown) {
  apply();
  EXPECT_EQ(phase(), "Running");
  EXPECT_TRUE(container()["ready"]);
  remove(30);
  EXPECT_TRUE(api_.deleted);
  worker_->set_gone();
  turn(seconds(1));
  EXPECT_TRUE(over_);
  EXPECT_TRUE(cri_.sandboxes.empty());
}

// A runtime that dies between the list and the details has not said how the container ended.
TEST_F(Worker, WhatCouldNotBeReadIsNoStatus) {
  pod_["spec"]["restartPolicy"] = "Never";
  apply();
  cri_.end("c0", 3);
  for (const char* call : {"container_status", "list_containers", "list_sandboxes"}) {
    cri_.failing = {call};
    worker_->observe();
    turn(seconds(1));
    EXPECT_EQ(phase(), "Running") << call;
  }
  cri_.failing.clear();
  turn(seconds(10));
  EXPECT_EQ(phase(), "Failed");
  EXPECT_EQ(container()["state"]["terminated"]["exitCode"], 3);
}

// After a restart of ours there is nothing known to fall back on.
TEST_F(Worker, ASandboxWithoutItsAddressIsNotUsed) {
  apply();
  cri_.failing = {"sandbox_status"};
  restart();
  turn(seconds(1));
  EXPECT_TRUE(worker_->runtime().sandboxes.empty());
  cri_.failing.clear();
  turn(seconds(10));
  ASSERT_EQ(worker_->runtime().sandboxes.size(), 1u);
  EXPECT_EQ(worker_->runtime().sandboxes[0].ips, std::vector<std::string>{"10.0.0.2"});
  EXPECT_EQ(std::ranges::count(cri_.calls, "run_sandbox"), 1);
}

TEST_F(Worker, NothingIsStartedTwiceWhileTheRuntimeIsSilent) {
  cri_.failing = {"container_status"};
  apply();
  worker_->update(*parse_pod(pod_), api_.status);
  turn(seconds(5));
  cri_.failing.clear();
  turn(seconds(10));
  EXPECT_EQ(phase(), "Running");
  EXPECT_EQ(std::ranges::count(cri_.calls, "create_container"), 1);
}

TEST_F(Worker, AnEntryThatVanishedIsNone) {
  apply();
  cri_.containers.clear();
  worker_->observe();
  turn(seconds(1));
  EXPECT_EQ(cri_.containers.size(), 1u) << "another one runs";
}

TEST_F(Worker, AnotherImageReplacesTheContainer) {
  pod_["spec"]["restartPolicy"] = "OnFailure";
  apply();
  pod_["spec"]["containers"][0]["image"] = "image:2";
  apply();
  turn(seconds(1));
  EXPECT_EQ(events_.count("Normal Killing: Container c definition changed, will be restarted"), 1u);
  EXPECT_EQ(container()["restartCount"], 1);
  EXPECT_EQ(cri_.containers.back().annotations[kAnnotationImage], "image:2");
  EXPECT_EQ(phase(), "Running");
}

// An image that cannot be had is corrected: nothing waits for the back-off of the wrong one.
TEST_F(Worker, AnotherImageIsTriedAtOnce) {
  cri_.absent = {"image:none"};
  pod_["spec"]["containers"][0]["image"] = "image:none";
  apply();
  turn(seconds(1));
  EXPECT_EQ(container()["state"]["waiting"]["reason"], "ImagePullBackOff");
  pod_["spec"]["containers"][0]["image"] = "image:1";
  apply();
  EXPECT_EQ(phase(), "Running");
}

TEST_F(Worker, ARegistryThatIsSilentIsLeftForAnotherImage) {
  cri_.absent = {"image:none"};
  cri_.silent = true;
  pod_["spec"]["containers"][0]["image"] = "image:none";
  apply();
  pod_["spec"]["containers"][0]["image"] = "image:1";
  apply();
  EXPECT_EQ(phase(), "Running");
}

TEST_F(Worker, WhatCannotRunIsACrashLoop) {
  cri_.unstartable = true;
  apply();
  turn(seconds(1));
  EXPECT_EQ(container()["state"]["waiting"]["reason"], "CrashLoopBackOff");
  EXPECT_EQ(container()["restartCount"], 1);
  turn(seconds(60));
  EXPECT_EQ(container()["restartCount"], 3) << "after 10, then 20 s more";
}

TEST_F(Worker, AContainerOfUnknownStateIsReplaced) {
  apply();
  cri_.find("c0")->state = ContainerState::kUnknown;
  worker_->observe();
  turn(seconds(1));
  EXPECT_EQ(cri_.find("c0")->state, ContainerState::kExited);
  EXPECT_EQ(cri_.find("c1")->state, ContainerState::kRunning);
}

}  // namespace
}  // namespace fairlead::orchestrator
