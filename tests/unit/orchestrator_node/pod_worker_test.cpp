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

TEST_F(Worker, LogsGoWithTheirContainer) {
  apply();
  for (int attempt = 0; attempt < 3; ++attempt) {
    ASSERT_TRUE(files::make_dirs(root_ + "/log/default_p_u/c").ok());
    for (const char* part : {"", ".2026-01-01T00:00:00Z"})
      ASSERT_TRUE(files::write_atomic(log_path(attempt) + part, "text").ok());
    end("c" + std::to_string(attempt), 1);
    turn(seconds(30 * attempt + 30));
  }
  EXPECT_EQ(files::list(root_ + "/log/default_p_u/c"),
            (std::vector<std::string>{"2.log", "2.log.2026-01-01T00:00:00Z"}));
  EXPECT_EQ(files::list(root_ + "/pods/u/messages"), (std::vector<std::string>{"c-2", "c-3"}));
  EXPECT_EQ(files::list(root_ + "/links"),
            (std::vector<std::string>{"p_default_c-c2.log", "p_default_c-c3.log"}));
  EXPECT_EQ(std::filesystem::read_symlink(root_ + "/links/p_default_c-c3.log"), log_path(3));
}

TEST_F(Worker, DeadLinksOfOursAreRemoved) {
  const ContainerLogs logs{root_ + "/log", root_ + "/links"};
  std::filesystem::create_directories(root_ + "/links");
  ASSERT_TRUE(files::make_dirs(root_ + "/log/x").ok());
  ASSERT_TRUE(files::write_atomic(root_ + "/log/x/0.log", "").ok());
  std::filesystem::create_symlink(root_ + "/log/x/0.log", root_ + "/links/lives");
  std::filesystem::create_symlink(root_ + "/log/x/1.log", root_ + "/links/dead");
  std::filesystem::create_symlink("/none/1.log", root_ + "/links/others");
  logs.remove_dead_links();
  EXPECT_EQ(files::list(root_ + "/links"), (std::vector<std::string>{"lives", "others"}));
}

// Its memory volumes would be held until somebody deletes it.
TEST_F(Worker, AFinishedPodGivesItsVolumesBack) {
  pod_["spec"]["restartPolicy"] = "Never";
  pod_["spec"]["volumes"] = {{{"name", "v"}, {"emptyDir", Json::object()}}};
  apply();
  ASSERT_TRUE(files::is_dir(root_ + "/pods/u/volumes/v"));
  ASSERT_TRUE(files::write_atomic(volumes_->message_path("u", "c", 0), "bye").ok());
  end("c0", 0);
  turn(seconds(1));
  EXPECT_EQ(phase(), "Succeeded");
  EXPECT_EQ(container()["state"]["terminated"]["message"], "bye");
  EXPECT_FALSE(files::exists(root_ + "/pods/u"));
  restart();
  EXPECT_EQ(container()["state"]["terminated"]["message"], "bye");
  for (int i = 0; i < 1000 && !files::list(root_ + "/trash").empty(); ++i) usleep(10'000);
  EXPECT_TRUE(files::list(root_ + "/trash").empty());
}

TEST_F(Worker, TheDeadlineIsTold) {
  pod_["spec"]["activeDeadlineSeconds"] = 60;
  apply();
  cri_.silent_stop = true;
  turn(seconds(61));
  EXPECT_EQ(phase(), "Running");
  EXPECT_EQ(events_.count("Normal DeadlineExceeded"), 1u);
  end("c0", 137);
  turn(seconds(1));
  EXPECT_EQ(phase(), "Failed");
  EXPECT_EQ(api_.status["reason"], "DeadlineExceeded");
}

TEST_F(Worker, TheGracePeriodIsTheNodesOwn) {
  apply();
  clock_.set_wall(clock_.wall_now() + std::chrono::hours(1));  // the API server's is an hour behind
  pod_["metadata"]["deletionTimestamp"] = format_time(clock_.wall_now() - std::chrono::hours(1));
  pod_["metadata"]["deletionGracePeriodSeconds"] = 30;
  apply();
  ASSERT_FALSE(cri_.graces.empty());
  EXPECT_EQ(cri_.graces.front(), seconds(30));
}

TEST_F(Worker, APodsResolverIsNotTheHostsLoopback) {
  ASSERT_TRUE(files::write_atomic(root_ + "/resolv.conf", "nameserver 127.0.0.53\n").ok());
  ASSERT_TRUE(files::write_atomic(root_ + "/resolved.conf", "nameserver 192.0.2.53\n").ok());
  pod_["spec"]["dnsPolicy"] = "Default";
  apply();
  EXPECT_EQ(cri_.dns.servers, std::vector<std::string>{"192.0.2.53"});
}

constexpr auto kHook = R"({"exec":{"command":["hook"]}})";

// kubelet kuberuntime startContainer: the next container waits for the hook, and so does everybody.
TEST_F(Worker, APostStartHookHoldsUpWhatComesAfterIt) {
  pod_["spec"]["containers"][0]["lifecycle"]["postStart"] = Json::parse(kHook);
  pod_["spec"]["containers"].push_back({{"name", "d"}, {"image", "image:1"}});
  apply();
  ASSERT_EQ(probes_.asked.size(), 1u);
  EXPECT_EQ(probes_.asked[0].probe.command, std::vector<std::string>{"hook"});
  EXPECT_EQ(probes_.asked[0].target.container_id, "c0");
  turn(seconds(100));
  EXPECT_EQ(phase(), "Pending");
  EXPECT_EQ(container()["state"]["waiting"]["reason"], "ContainerCreating");
  EXPECT_EQ(cri_.find("d0"), nullptr);
  probes_.answer(ProbeResult::Outcome::kSuccess);
  turn(seconds(1));
  EXPECT_EQ(phase(), "Running");
  EXPECT_TRUE(container()["ready"]);
  EXPECT_NE(cri_.find("d0"), nullptr);
}

TEST_F(Worker, AFailedPostStartHookEndsTheContainer) {
  pod_["spec"]["containers"][0]["lifecycle"]["postStart"] = Json::parse(kHook);
  apply();
  probes_.answer(ProbeResult::Outcome::kFailure, "no");
  turn(milliseconds(100));
  EXPECT_EQ(events_.count("Warning FailedPostStartHook: PostStartHook failed"), 1u);
  EXPECT_EQ(events_.count("Normal Killing: FailedPostStartHook"), 1u);
  ASSERT_EQ(cri_.containers.size(), 2u) << "another one at once, the first time";
  probes_.answer(ProbeResult::Outcome::kFailure, "no");
  turn(seconds(1));
  EXPECT_EQ(container()["state"]["waiting"]["reason"], "CrashLoopBackOff");
  turn(seconds(10));
  EXPECT_EQ(container()["state"]["waiting"]["message"],
            "Exec lifecycle hook ([hook]) for Container \"c\" in Pod \"p_default(u)\" failed - "
            "error: no");
}

// Until it has ended it is not said to run, and nothing comes after it.
TEST_F(Worker, AContainerWhoseHookFailedIsOnItsWayOut) {
  pod_["spec"]["containers"][0]["lifecycle"]["postStart"] = Json::parse(kHook);
  pod_["spec"]["containers"].push_back({{"name", "d"}, {"image", "image:1"}});
  apply();
  cri_.silent_stop = true;
  probes_.answer(ProbeResult::Outcome::kFailure, "no");
  turn(seconds(5));
  EXPECT_EQ(phase(), "Pending");
  EXPECT_FALSE(container()["ready"]);
  EXPECT_EQ(cri_.find("d0"), nullptr);
}

TEST_F(Worker, AnEndedContainersHookHoldsNobodyUp) {
  pod_["spec"]["containers"][0]["lifecycle"]["postStart"] =
      Json::parse(R"({"sleep":{"seconds":3600}})");
  apply();
  end("c0", 0);
  turn(seconds(1));
  remove(30);
  turn(seconds(5));
  EXPECT_TRUE(api_.deleted);
}

TEST_F(Worker, APodThatGoesWaitsForNoPostStartHook) {
  pod_["spec"]["containers"][0]["lifecycle"]["postStart"] = Json::parse(kHook);
  apply();
  remove(30);
  turn(seconds(1));
  EXPECT_EQ(cri_.find("c0")->state, ContainerState::kExited);
  EXPECT_TRUE(api_.deleted);
}

TEST_F(Worker, APreStopHookIsOfTheGracePeriod) {
  pod_["spec"]["containers"][0]["lifecycle"]["preStop"] = Json::parse(kHook);
  apply();
  EXPECT_TRUE(probes_.asked.empty());
  remove(30);
  ASSERT_EQ(probes_.asked.size(), 1u);
  turn(seconds(9));
  EXPECT_TRUE(cri_.graces.empty()) << "not stopped yet";
  probes_.answer(ProbeResult::Outcome::kUnknown, "no such program");
  turn(seconds(1));
  EXPECT_EQ(events_.count("Warning FailedPreStopHook: PreStopHook failed"), 1u);
  ASSERT_EQ(cri_.graces.size(), 1u);
  EXPECT_EQ(cri_.graces[0], seconds(21));
  EXPECT_TRUE(api_.deleted);
}

TEST_F(Worker, APreStopHookIsLeftWhenTheGracePeriodIsOver) {
  pod_["spec"]["containers"][0]["lifecycle"]["preStop"] = Json::parse(kHook);
  apply();
  remove(30);
  turn(seconds(31));
  ASSERT_EQ(cri_.graces.size(), 1u);
  EXPECT_EQ(cri_.graces[0], seconds(2));
  EXPECT_EQ(events_.count("Warning FailedPreStopHook"), 0u);
}

TEST_F(Worker, APreStopHookMayBeToWait) {
  pod_["spec"]["containers"][0]["lifecycle"]["preStop"] = {{"sleep", {{"seconds", 5}}}};
  apply();
  remove(30);
  turn(seconds(4));
  EXPECT_TRUE(cri_.graces.empty());
  turn(seconds(2));
  ASSERT_EQ(cri_.graces.size(), 1u);
  EXPECT_EQ(cri_.graces[0], seconds(25));
  EXPECT_TRUE(probes_.asked.empty());
}

// kubelet sysctl/allowlist.go.
TEST_F(Worker, ASysctlThatIsNotThePodsOwnFailsIt) {
  pod_["spec"]["securityContext"]["sysctls"] = {{{"name", "net.core.somaxconn"}, {"value", "9"}}};
  apply();
  turn(seconds(1));
  EXPECT_EQ(phase(), "Failed");
  EXPECT_EQ(api_.status["reason"], "SysctlForbidden");
  EXPECT_EQ(api_.status["message"],
            "Pod was rejected: forbidden sysctl: \"net.core.somaxconn\" not allowlisted");
  EXPECT_FALSE(api_.status.contains("containerStatuses"));
  EXPECT_EQ(events_.count("Warning SysctlForbidden: forbidden sysctl"), 1u);
  EXPECT_TRUE(cri_.sandboxes.empty());
  restart();
  EXPECT_EQ(api_.status["reason"], "SysctlForbidden");
  EXPECT_EQ(events_.count("Warning SysctlForbidden"), 1u);
}

TEST_F(Worker, WhatIsNoImageIsNotPulled) {
  pod_["spec"]["containers"][0]["image"] = "Up/Per:1";
  apply();
  turn(seconds(5));
  EXPECT_EQ(container()["state"]["waiting"]["reason"], "InvalidImageName");
  EXPECT_EQ(events_.count("Warning InspectFailed: Failed to apply default image tag"), 1u);
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
