// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_machine.h"

#include "tests/unit/orchestrator_node/pod_scene.h"

namespace fairlead::orchestrator {
namespace {

struct Case {
  const char* what;
  Scene scene;
  const char* actions;
};

void check(const std::vector<Case>& cases) {
  for (const Case& each : cases) EXPECT_EQ(each.scene.text(), each.actions) << each.what;
}

TEST(PodMachine, BringsAPodUpStepByStep) {
  check({
      {"first the volumes", without_volumes(), "volumes"},
      {"one at a time", busy(without_volumes(), "volumes"), ""},
      {"then the sandbox", Scene(), "sandbox#0"},
      {"which takes its time", busy(Scene(), "sandbox"), ""},
      {"then the container", Scene().sandbox("s", true), "start c#0"},
      {"which takes its time", busy(Scene().sandbox("s", true), "container:c"), ""},
      {"then all is well", Scene().sandbox("s", true).container("c", kRuns), ""},
      {"a refused pod gets nothing", refused(Scene()), ""},
  });
}

TEST(PodMachine, InitContainersRunInOrderToSuccess) {
  const auto base = [](RestartPolicy policy = RestartPolicy::kAlways) {
    return Scene(policy, 2).sandbox("s", true);
  };
  check({
      {"the first", base(), "start i0#0"},
      {"alone", base().container("i0", kRuns), ""},
      {"then the second", base().container("i0", kEnded), "start i1#0"},
      {"then the container", base().container("i0", kEnded).container("i1", kEnded), "start c#0"},
      {"a failed one again", base().container("i0", kEnded, 1), "start i0#1"},
      {"unless never", base(RestartPolicy::kNever).container("i0", kEnded, 1), "stop-sandbox s"},
      {"a container that ran says they are done", base().container("c", kRuns), ""},
  });
}

// KEP-753.
TEST(PodMachine, SidecarsGoOn) {
  const auto never = RestartPolicy::kNever;
  Scene starting = with_sidecar().container("i1", kRuns);
  starting.spec.init_containers[1].startup = ProbeSpec();
  Scene started = starting;
  started.memory.containers["i1"].probed_id = "i10";
  started.memory.containers["i1"].started = true;
  Scene going = with_sidecar().container("i1", kRuns).container("c", kRuns);
  going.spec.deletion = kSceneTime;
  Scene last = with_sidecar().container("i1", kRuns).container("c", kEnded);
  last.spec.deletion = kSceneTime;
  struct Row {
    const char* what;
    Scene scene;
    const char* plan;
  };
  const Row rows[] = {
      {"after the one before it", with_sidecar(), "start i1#0"},
      {"what comes after it waits for no end", with_sidecar().container("i1", kRuns), "start c#0"},
      {"but for its startup probe", starting, ""},
      {"which has succeeded", started, "start c#0"},
      {"it is started again, whatever the policy",
       with_sidecar(never).container("i1", kEnded).container("c", kRuns), "start i1#1"},
      {"it ends with the pod", with_sidecar(never).container("i1", kRuns).container("c", kEnded),
       "stop i10"},
      {"and nothing starts it then",
       with_sidecar(never).container("i1", kEnded).container("c", kEnded), "stop-sandbox s"},
      {"after the containers", going, "stop c0"},
      {"when they have ended", last, "stop i10"},
  };
  for (const Row& row : rows) EXPECT_EQ(row.scene.text(), row.plan) << row.what;
}

TEST(PodMachine, RestartsByPolicy) {
  const auto ended = [](RestartPolicy policy, int code) {
    return Scene(policy).sandbox("s", true).container("c", kEnded, code);
  };
  check({
      {"always, success", ended(RestartPolicy::kAlways, 0), "start c#1"},
      {"always, failure", ended(RestartPolicy::kAlways, 1), "start c#1"},
      {"on failure, success: the pod is done", ended(RestartPolicy::kOnFailure, 0),
       "stop-sandbox s"},
      {"on failure, failure", ended(RestartPolicy::kOnFailure, 1), "start c#1"},
      {"never: the pod is done", ended(RestartPolicy::kNever, 1), "stop-sandbox s"},
      {"a half-made container is removed first", Scene().sandbox("s", true).container("c", kMade),
       "remove c0"},
      {"not while it is being started",
       busy(Scene().sandbox("s", true).container("c", kMade), "container:c"), ""},
      {"an unhealthy one is stopped", unhealthy(Scene().sandbox("s", true).container("c", kRuns)),
       "stop c0"},
  });
}

// Whatever it exits with, a container that the node stopped for a restart is restarted.
TEST(PodMachine, WhatTheNodeStoppedIsReplaced) {
  const auto exited = [](RestartPolicy policy) {
    return Scene(policy).sandbox("s", true).container("c", kEnded, 0);
  };
  const auto running = [](RestartPolicy policy) {
    return Scene(policy).sandbox("s", true).container("c", kRuns);
  };
  constexpr auto kOnFailure = RestartPolicy::kOnFailure;
  constexpr auto kNever = RestartPolicy::kNever;
  check({
      {"stopped by a probe, ended with 0", exited(kOnFailure).stopped_by_node("c"), "start c#1"},
      {"in a sandbox that died too",
       Scene(kOnFailure).sandbox("s", false).container("c", kEnded).stopped_by_node("c"),
       "sandbox#1"},
      {"its successor's success counts",
       Scene(kOnFailure)
           .sandbox("s", true)
           .container("c", kEnded)
           .stopped_by_node("c")
           .container("c", kEnded, 0, 1),
       "stop-sandbox s"},
      {"another image", running(kOnFailure).made_of("image:0"), "stop c0"},
      {"the same image", running(kOnFailure).made_of("image:1"), ""},
      {"another image, never restarted", running(kNever).made_of("image:0"), "stop c0"},
      {"replaced all the same", exited(kNever).stopped_by_node("c"), "start c#1"},
      {"one that ended by itself is not", exited(kNever).made_of("image:0"), "stop-sandbox s"},
      {"nobody knows whether it runs", Scene().sandbox("s", true).container("c", kUnclear),
       "stop c0"},
  });
  Scene preparing;
  preparing.spec.init_containers.push_back(Scene::named("i"));
  preparing.sandbox("s", true).container("i", kRuns).made_of("image:0");
  EXPECT_TRUE(preparing.plan().actions.empty()) << "an init container that runs may end";
  const auto restart = [](const Scene& scene) { return scene.plan().actions.at(0).restart; };
  EXPECT_TRUE(restart(unhealthy(running(kOnFailure))));
  EXPECT_FALSE(restart(unhealthy(running(kNever))));
  EXPECT_TRUE(restart(running(kNever).made_of("image:0")));
  EXPECT_TRUE(restart(Scene(kNever).sandbox("s", true).container("c", kUnclear)));
  EXPECT_TRUE(restart(Scene(kOnFailure).sandbox("s", false).container("c", kRuns)));
  EXPECT_FALSE(restart(deleted(running(kOnFailure))));
  EXPECT_EQ(running(kNever).made_of("image:0").plan().actions.at(0).message,
            "Container c definition changed, will be restarted");
  const Json status = exited(kOnFailure).stopped_by_node("c").status();
  EXPECT_EQ(status["phase"], "Running");
  EXPECT_TRUE(status["containerStatuses"][0]["lastState"].contains("terminated"));
}

TEST(PodMachine, ADeadSandboxLeavesItsContainersTheirGrace) {
  Scene scene = Scene().sandbox("s", false).container("c", kRuns);
  scene.spec.grace = seconds(60);
  EXPECT_EQ(scene.plan().actions.at(0).grace, seconds(60));
}

// As the kubelet: at once the first time, then as a crash.
TEST(PodMachine, WhatCannotRunBacksOff) {
  Scene scene = Scene().sandbox("s", true).container("c", kEnded, 128);
  ContainerMemory& memory = scene.memory.containers["c"];
  memory.failure = Failure{kRunContainerError, "no such program", kSceneTime - seconds(1)};
  const auto reason = [&] {
    return scene.status()["containerStatuses"][0]["state"]["waiting"]["reason"];
  };
  EXPECT_EQ(scene.text(), "start c#1");
  EXPECT_EQ(reason(), "RunContainerError");
  memory.restarts.advance(kSceneTime - seconds(2), kSceneTime - seconds(2));
  EXPECT_EQ(scene.text(), "");
  EXPECT_EQ(reason(), "CrashLoopBackOff");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kSceneTime + seconds(9));
}

TEST(PodMachine, RestartCountGoesOnFromWhatTheApiKnew) {
  Scene scene;
  scene.sandbox("s", true);
  scene.memory.containers["c"].next_attempt_floor = 7;
  EXPECT_EQ(scene.text(), "start c#7");
}

TEST(PodMachine, WaitsForTheBackOff) {
  Scene scene;
  scene.sandbox("s", true).container("c", kEnded, 1);
  Backoff& backoff = scene.memory.containers["c"].restarts;
  backoff.advance(kSceneTime - seconds(20), kSceneTime - seconds(20));
  EXPECT_EQ(scene.text(), "");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kSceneTime + seconds(9))
      << "ten seconds from the end, one of which is over";
  scene.now = kSceneTime + seconds(9);
  EXPECT_EQ(scene.text(), "start c#1");
}

TEST(PodMachine, DeadSandboxBeginsAgain) {
  check({
      {"a new one", Scene().sandbox("s", false), "sandbox#1"},
      {"after its containers ended", Scene().sandbox("s", false).container("c", kRuns), "stop c0"},
      {"the old one is kept for its container's state",
       Scene().sandbox("s", false).sandbox("t", true, 1).container("c", kEnded), "start c#1"},
      {"and removed when that has a successor",
       Scene()
           .sandbox("s", false)
           .sandbox("t", true, 1)
           .container("c", kEnded)
           .container("c", kRuns, 0, 1, "t"),
       "remove-sandbox s"},
      {"a pod that must not run again gets no new one",
       torn_down(Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kEnded)), ""},
  });
}

TEST(PodMachine, TakesAPodDown) {
  const auto running = [] { return Scene().sandbox("s", true).container("c", kRuns); };
  const auto ended = [] { return Scene().sandbox("s", true).container("c", kEnded); };
  const auto stopped = [] { return Scene().sandbox("s", false).container("c", kEnded); };
  check({
      {"containers first", deleted(running()), "stop c0"},
      {"then the sandbox", deleted(ended()), "stop-sandbox s"},
      {"then the mounts", deleted(stopped()), "teardown"},
      {"then the object", torn_down(deleted(stopped())), "delete"},
      {"not while a container is being made", busy(torn_down(deleted(stopped())), "container:c"),
       ""},
      {"then what the runtime remembers", gone(torn_down(stopped())), "remove-sandbox s"},
      {"then nothing", gone(torn_down(Scene())), "forget"},
      {"a pod that never began", deleted(Scene()), "teardown"},
      {"one whose object vanished", gone(running()), "stop c0"},
  });
}

TEST(PodMachine, AFinishedPodHoldsNothing) {
  const auto done = [](bool ready) {
    return Scene(RestartPolicy::kNever).sandbox("s", ready).container("c", kEnded);
  };
  check({
      {"first the sandbox", done(true), "stop-sandbox s"},
      {"then the volumes", done(false), "teardown"},
      {"not while they are being written", busy(done(false), "volumes"), ""},
      {"then nothing, for its logs", torn_down(done(false)), ""},
      {"until it is deleted", deleted(torn_down(done(false))), "delete"},
  });
}

// By the time since the deletion was seen, whatever the API server's clock says.
TEST(PodMachine, GraceIsWhatIsLeftOfIt) {
  struct Row {
    const char* what;
    int deletion_in, seen_ago, grace;
    int expected;
  };
  const Row rows[] = {{"all of it", 30, 0, 30, 30},
                      {"what is left of it", 30, 18, 30, 12},
                      {"never less than two seconds", 30, 100, 30, 2},
                      {"the server's clock is ahead", 500, 0, 30, 30},
                      {"the server's clock is behind", -500, 0, 30, 30},
                      {"forced", 0, 0, 0, 2}};
  for (const Row& row : rows) {
    Scene scene = Scene().sandbox("s", true).container("c", kRuns);
    scene.spec.deletion = kSceneTime + seconds(row.deletion_in);
    scene.spec.deletion_grace_seconds = row.grace;
    scene.memory.deletion_seen = scene.mono - seconds(row.seen_ago);
    const Plan plan = scene.plan();
    ASSERT_EQ(plan.actions.size(), 1u) << row.what;
    EXPECT_EQ(plan.actions[0].grace, seconds(row.expected)) << row.what;
  }
}

TEST(PodMachine, ShorterGraceIsOrderedAgain) {
  Scene scene = deleted(Scene().sandbox("s", true).container("c", kRuns), 5);
  scene.busy.insert("stop:c0");
  scene.memory.stop_deadlines["c0"] = scene.mono + seconds(5);
  EXPECT_EQ(scene.text(), "") << "the same deadline is no news";
  scene.memory.stop_deadlines["c0"] = scene.mono + seconds(600);
  EXPECT_EQ(scene.text(), "stop c0");
}

TEST(PodMachine, KeepsOnePreviousInstance) {
  Scene scene;
  scene.sandbox("s", true)
      .container("c", kEnded, 1, 0)
      .container("c", kEnded, 1, 1)
      .container("c", kRuns, 0, 2);
  EXPECT_EQ(scene.text(), "remove c0");
}

TEST(PodMachine, DeadlineEndsThePod) {
  Scene scene = Scene().sandbox("s", true).container("c", kRuns);
  scene.spec.active_deadline = seconds(60);
  scene.memory.start_time = kSceneTime - seconds(59);
  EXPECT_EQ(scene.text(), "");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kSceneTime + seconds(1));
  scene.now = kSceneTime + seconds(1);
  EXPECT_EQ(scene.text(), "stop c0");
  EXPECT_EQ(scene.status()["phase"], "Running") << "as long as something of it runs";
  EXPECT_FALSE(scene.status().contains("reason"));
  scene.runtime.containers[0].state = kEnded;
  const Json status = scene.status();
  EXPECT_EQ(status["phase"], "Failed");
  EXPECT_EQ(status["reason"], "DeadlineExceeded");
  EXPECT_EQ(scene.status(status)["reason"], "DeadlineExceeded");
  EXPECT_FALSE(scene.status({{"phase", "Failed"}}).contains("reason")) << "it failed before";
}

TEST(Backoff, DoublesToFiveMinutesAndForgets) {
  Backoff backoff;
  WallTime ended = kSceneTime;
  EXPECT_EQ(backoff.remaining(ended, ended), Duration::zero());
  for (const int expected : {10, 20, 40, 80, 160, 300, 300}) {
    backoff.advance(ended, ended);
    EXPECT_EQ(backoff.remaining(ended, ended), seconds(expected));
    ended += seconds(expected);
  }
  EXPECT_EQ(backoff.remaining(ended + seconds(601), ended + seconds(601)), Duration::zero())
      << "ten good minutes";
  backoff.advance(ended + seconds(601), ended + seconds(601));
  EXPECT_EQ(backoff.delay(), seconds(10));
}

}  // namespace
}  // namespace fairlead::orchestrator
