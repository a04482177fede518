// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_machine.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "orchestrator/apiserver/patch/patch.h"
#include "orchestrator/node/pod_status.h"
#include "orchestrator/node/status_compare.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

const WallTime kNow{seconds(1'700'000'000)};

// A pod and what the runtime has of it, written as a story.
struct Scene {
  PodSpec spec;
  PodRuntime runtime;
  PodMemory memory;
  std::set<std::string> busy;
  bool gone = false;
  bool terminal = false;
  WallTime now = kNow;
  MonoTime mono{seconds(1000)};

  explicit Scene(RestartPolicy policy = RestartPolicy::kAlways, int init = 0) {
    spec.key = {"default", "p"};
    spec.uid = "u";
    spec.restart_policy = policy;
    for (int i = 0; i < init; ++i) spec.init_containers.push_back(named("i" + std::to_string(i)));
    spec.containers.push_back(named("c"));
    memory.volumes_ready = true;
  }
  static ContainerSpec named(const std::string& name) {
    ContainerSpec container;
    container.name = name;
    container.image = "image:1";
    return container;
  }
  Scene& sandbox(const std::string& id, bool ready, uint32_t attempt = 0) {
    runtime.sandboxes.push_back({id, "p", "u", "default", attempt, ready, kNow, {"10.0.0.2"}});
    return *this;
  }
  // The newest of that name: its probes failed, or it was stopped to be replaced.
  Scene& stopped_by_node(const std::string& name) {
    memory.containers[name].replaced_id = runtime.latest(name)->id;
    return *this;
  }
  Scene& made_of(const std::string& image) {
    runtime.containers.back().annotations[kAnnotationImage] = image;
    return *this;
  }
  Scene& container(const std::string& name, ContainerState state, int exit_code = 0,
                   uint32_t attempt = 0, const std::string& sandbox_id = "s") {
    ContainerInfo info;
    info.id = name + std::to_string(attempt);
    info.sandbox_id = sandbox_id;
    info.name = name;
    info.attempt = attempt;
    info.state = state;
    info.exit_code = exit_code;
    info.started_at = info.created_at = kNow - seconds(5);
    info.finished_at = kNow - seconds(1);
    runtime.containers.push_back(info);
    return *this;
  }
  PodInput input() const { return {spec, runtime, memory, busy, gone, terminal, now, mono}; }
  Plan plan() const { return decide(input()); }
  // "start c#0 in order": the plan as text.
  std::string text() const {
    std::string out;
    for (const Action& action : plan().actions) {
      static constexpr const char* kNames[] = {
          "volumes", "sandbox", "stop-sandbox", "remove-sandbox", "start",
          "stop",    "remove",  "teardown",     "delete",         "forget"};
      out += (out.empty() ? "" : ", ") + std::string(kNames[static_cast<int>(action.kind)]);
      if (action.kind == ActionKind::kStartContainer)
        out += " " + action.container + "#" + std::to_string(action.attempt);
      else if (action.kind == ActionKind::kCreateSandbox)
        out += "#" + std::to_string(action.attempt);
      else if (!action.id.empty())
        out += " " + action.id;
    }
    return out;
  }
  Json status(const Json& previous = Json::object()) const {
    return pod_status({input(), previous, "192.0.2.1"});
  }
};

constexpr auto kRunning = ContainerState::kRunning;
constexpr auto kExited = ContainerState::kExited;
constexpr auto kCreated = ContainerState::kCreated;
constexpr auto kUnknown = ContainerState::kUnknown;

struct Case {
  const char* what;
  Scene scene;
  const char* actions;
};

void check(const std::vector<Case>& cases) {
  for (const Case& each : cases) EXPECT_EQ(each.scene.text(), each.actions) << each.what;
}

Scene without_volumes() {
  Scene scene;
  scene.memory.volumes_ready = false;
  return scene;
}
Scene busy(Scene scene, const std::string& key) {
  scene.busy.insert(key);
  return scene;
}
Scene deleted(Scene scene, int grace = 30) {
  scene.spec.deletion = kNow + seconds(grace);
  scene.spec.deletion_grace_seconds = grace;
  return scene;
}
Scene gone(Scene scene) {
  scene.gone = true;
  return scene;
}
Scene torn_down(Scene scene) {
  scene.memory.torn_down = true;
  return scene;
}
Scene unhealthy(Scene scene) {
  scene.memory.containers["c"].probed_id = scene.runtime.latest("c")->id;
  scene.memory.containers["c"].alive = false;
  return scene;
}
Scene refused(Scene scene) {
  scene.spec.refused.push_back("no");
  return scene;
}

TEST(PodMachine, BringsAPodUpStepByStep) {
  check({
      {"first the volumes", without_volumes(), "volumes"},
      {"one at a time", busy(without_volumes(), "volumes"), ""},
      {"then the sandbox", Scene(), "sandbox#0"},
      {"which takes its time", busy(Scene(), "sandbox"), ""},
      {"then the container", Scene().sandbox("s", true), "start c#0"},
      {"which takes its time", busy(Scene().sandbox("s", true), "container:c"), ""},
      {"then all is well", Scene().sandbox("s", true).container("c", kRunning), ""},
      {"a refused pod gets nothing", refused(Scene()), ""},
  });
}

TEST(PodMachine, InitContainersRunInOrderToSuccess) {
  const auto base = [](RestartPolicy policy = RestartPolicy::kAlways) {
    return Scene(policy, 2).sandbox("s", true);
  };
  check({
      {"the first", base(), "start i0#0"},
      {"alone", base().container("i0", kRunning), ""},
      {"then the second", base().container("i0", kExited), "start i1#0"},
      {"then the container", base().container("i0", kExited).container("i1", kExited), "start c#0"},
      {"a failed one again", base().container("i0", kExited, 1), "start i0#1"},
      {"unless never", base(RestartPolicy::kNever).container("i0", kExited, 1), "stop-sandbox s"},
      {"a container that ran says they are done", base().container("c", kRunning), ""},
  });
}

TEST(PodMachine, RestartsByPolicy) {
  const auto ended = [](RestartPolicy policy, int code) {
    return Scene(policy).sandbox("s", true).container("c", kExited, code);
  };
  check({
      {"always, success", ended(RestartPolicy::kAlways, 0), "start c#1"},
      {"always, failure", ended(RestartPolicy::kAlways, 1), "start c#1"},
      {"on failure, success: the pod is done", ended(RestartPolicy::kOnFailure, 0),
       "stop-sandbox s"},
      {"on failure, failure", ended(RestartPolicy::kOnFailure, 1), "start c#1"},
      {"never: the pod is done", ended(RestartPolicy::kNever, 1), "stop-sandbox s"},
      {"a half-made container is removed first",
       Scene().sandbox("s", true).container("c", kCreated), "remove c0"},
      {"not while it is being started",
       busy(Scene().sandbox("s", true).container("c", kCreated), "container:c"), ""},
      {"an unhealthy one is stopped",
       unhealthy(Scene().sandbox("s", true).container("c", kRunning)), "stop c0"},
  });
}

// Whatever it exits with, a container that the node stopped for a restart is restarted.
TEST(PodMachine, WhatTheNodeStoppedIsReplaced) {
  const auto exited = [](RestartPolicy policy) {
    return Scene(policy).sandbox("s", true).container("c", kExited, 0);
  };
  const auto running = [](RestartPolicy policy) {
    return Scene(policy).sandbox("s", true).container("c", kRunning);
  };
  constexpr auto kOnFailure = RestartPolicy::kOnFailure;
  constexpr auto kNever = RestartPolicy::kNever;
  check({
      {"stopped by a probe, ended with 0", exited(kOnFailure).stopped_by_node("c"), "start c#1"},
      {"in a sandbox that died too",
       Scene(kOnFailure).sandbox("s", false).container("c", kExited).stopped_by_node("c"),
       "sandbox#1"},
      {"its successor's success counts",
       Scene(kOnFailure)
           .sandbox("s", true)
           .container("c", kExited)
           .stopped_by_node("c")
           .container("c", kExited, 0, 1),
       "stop-sandbox s"},
      {"another image", running(kOnFailure).made_of("image:0"), "stop c0"},
      {"the same image", running(kOnFailure).made_of("image:1"), ""},
      {"another image, never restarted", running(kNever).made_of("image:0"), "stop c0"},
      {"replaced all the same", exited(kNever).stopped_by_node("c"), "start c#1"},
      {"one that ended by itself is not", exited(kNever).made_of("image:0"), "stop-sandbox s"},
      {"nobody knows whether it runs", Scene().sandbox("s", true).container("c", kUnknown),
       "stop c0"},
  });
  Scene preparing;
  preparing.spec.init_containers.push_back(Scene::named("i"));
  preparing.sandbox("s", true).container("i", kRunning).made_of("image:0");
  EXPECT_TRUE(preparing.plan().actions.empty()) << "an init container that runs may end";
  const auto restart = [](const Scene& scene) { return scene.plan().actions.at(0).restart; };
  EXPECT_TRUE(restart(unhealthy(running(kOnFailure))));
  EXPECT_FALSE(restart(unhealthy(running(kNever))));
  EXPECT_TRUE(restart(running(kNever).made_of("image:0")));
  EXPECT_TRUE(restart(Scene(kNever).sandbox("s", true).container("c", kUnknown)));
  EXPECT_TRUE(restart(Scene(kOnFailure).sandbox("s", false).container("c", kRunning)));
  EXPECT_FALSE(restart(deleted(running(kOnFailure))));
  EXPECT_EQ(running(kNever).made_of("image:0").plan().actions.at(0).message,
            "Container c definition changed, will be restarted");
  const Json status = exited(kOnFailure).stopped_by_node("c").status();
  EXPECT_EQ(status["phase"], "Running");
  EXPECT_TRUE(status["containerStatuses"][0]["lastState"].contains("terminated"));
}

TEST(PodMachine, ADeadSandboxLeavesItsContainersTheirGrace) {
  Scene scene = Scene().sandbox("s", false).container("c", kRunning);
  scene.spec.grace = seconds(60);
  EXPECT_EQ(scene.plan().actions.at(0).grace, seconds(60));
}

// As the kubelet: at once the first time, then as a crash.
TEST(PodMachine, WhatCannotRunBacksOff) {
  Scene scene = Scene().sandbox("s", true).container("c", kExited, 128);
  ContainerMemory& memory = scene.memory.containers["c"];
  memory.failure = Failure{kRunContainerError, "no such program", kNow - seconds(1)};
  const auto reason = [&] {
    return scene.status()["containerStatuses"][0]["state"]["waiting"]["reason"];
  };
  EXPECT_EQ(scene.text(), "start c#1");
  EXPECT_EQ(reason(), "RunContainerError");
  memory.restarts.advance(kNow - seconds(2), kNow - seconds(2));
  EXPECT_EQ(scene.text(), "");
  EXPECT_EQ(reason(), "CrashLoopBackOff");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kNow + seconds(9));
}

TEST(PodMachine, RestartCountGoesOnFromWhatTheApiKnew) {
  Scene scene;
  scene.sandbox("s", true);
  scene.memory.containers["c"].next_attempt_floor = 7;
  EXPECT_EQ(scene.text(), "start c#7");
}

TEST(PodMachine, WaitsForTheBackOff) {
  Scene scene;
  scene.sandbox("s", true).container("c", kExited, 1);
  Backoff& backoff = scene.memory.containers["c"].restarts;
  backoff.advance(kNow - seconds(20), kNow - seconds(20));
  EXPECT_EQ(scene.text(), "");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kNow + seconds(9))
      << "ten seconds from the end, one of which is over";
  scene.now = kNow + seconds(9);
  EXPECT_EQ(scene.text(), "start c#1");
}

TEST(PodMachine, DeadSandboxBeginsAgain) {
  check({
      {"a new one", Scene().sandbox("s", false), "sandbox#1"},
      {"after its containers ended", Scene().sandbox("s", false).container("c", kRunning),
       "stop c0"},
      {"the old one is kept for its container's state",
       Scene().sandbox("s", false).sandbox("t", true, 1).container("c", kExited), "start c#1"},
      {"and removed when that has a successor",
       Scene()
           .sandbox("s", false)
           .sandbox("t", true, 1)
           .container("c", kExited)
           .container("c", kRunning, 0, 1, "t"),
       "remove-sandbox s"},
      {"a pod that must not run again gets no new one",
       torn_down(Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kExited)), ""},
  });
}

TEST(PodMachine, TakesAPodDown) {
  const auto running = [] { return Scene().sandbox("s", true).container("c", kRunning); };
  const auto ended = [] { return Scene().sandbox("s", true).container("c", kExited); };
  const auto stopped = [] { return Scene().sandbox("s", false).container("c", kExited); };
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
    return Scene(RestartPolicy::kNever).sandbox("s", ready).container("c", kExited);
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
    Scene scene = Scene().sandbox("s", true).container("c", kRunning);
    scene.spec.deletion = kNow + seconds(row.deletion_in);
    scene.spec.deletion_grace_seconds = row.grace;
    scene.memory.deletion_seen = scene.mono - seconds(row.seen_ago);
    const Plan plan = scene.plan();
    ASSERT_EQ(plan.actions.size(), 1u) << row.what;
    EXPECT_EQ(plan.actions[0].grace, seconds(row.expected)) << row.what;
  }
}

TEST(PodMachine, ShorterGraceIsOrderedAgain) {
  Scene scene = deleted(Scene().sandbox("s", true).container("c", kRunning), 5);
  scene.busy.insert("stop:c0");
  scene.memory.stop_deadlines["c0"] = scene.mono + seconds(5);
  EXPECT_EQ(scene.text(), "") << "the same deadline is no news";
  scene.memory.stop_deadlines["c0"] = scene.mono + seconds(600);
  EXPECT_EQ(scene.text(), "stop c0");
}

TEST(PodMachine, KeepsOnePreviousInstance) {
  Scene scene;
  scene.sandbox("s", true)
      .container("c", kExited, 1, 0)
      .container("c", kExited, 1, 1)
      .container("c", kRunning, 0, 2);
  EXPECT_EQ(scene.text(), "remove c0");
}

TEST(PodMachine, DeadlineEndsThePod) {
  Scene scene = Scene().sandbox("s", true).container("c", kRunning);
  scene.spec.active_deadline = seconds(60);
  scene.memory.start_time = kNow - seconds(59);
  EXPECT_EQ(scene.text(), "");
  ASSERT_TRUE(scene.plan().wake);
  EXPECT_EQ(*scene.plan().wake, kNow + seconds(1));
  scene.now = kNow + seconds(1);
  EXPECT_EQ(scene.text(), "stop c0");
  EXPECT_EQ(scene.status()["phase"], "Running") << "as long as something of it runs";
  EXPECT_FALSE(scene.status().contains("reason"));
  scene.runtime.containers[0].state = kExited;
  const Json status = scene.status();
  EXPECT_EQ(status["phase"], "Failed");
  EXPECT_EQ(status["reason"], "DeadlineExceeded");
  EXPECT_EQ(scene.status(status)["reason"], "DeadlineExceeded");
  EXPECT_FALSE(scene.status({{"phase", "Failed"}}).contains("reason")) << "it failed before";
}

TEST(Backoff, DoublesToFiveMinutesAndForgets) {
  Backoff backoff;
  WallTime ended = kNow;
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

TEST(PodStatus, PhasesAndReasons) {
  struct Row {
    const char* what;
    Scene scene;
    const char* phase;
    const char* state;   // of container c
    const char* reason;  // of that state, "" where it has none
  };
  Scene crash = Scene().sandbox("s", true).container("c", kExited, 1);
  crash.memory.containers["c"].restarts.advance(kNow, kNow);
  Scene pull = Scene().sandbox("s", true);
  pull.memory.containers["c"].failure = Failure{"ErrImagePull", "no", kNow};
  pull.memory.containers["c"].pull_failed = true;
  Scene later = pull;
  later.now = kNow + seconds(1);
  Scene config = Scene().sandbox("s", true);
  config.memory.containers["c"].failure =
      Failure{"CreateContainerConfigError", "configmap \"x\" not found", kNow};
  const std::vector<Row> rows = {
      {"nothing yet", Scene(), "Pending", "waiting", "ContainerCreating"},
      {"before its init containers", Scene(RestartPolicy::kAlways, 1), "Pending", "waiting",
       "PodInitializing"},
      {"running", Scene().sandbox("s", true).container("c", kRunning), "Running", "running", ""},
      {"crashing", crash, "Running", "waiting", "CrashLoopBackOff"},
      {"no image", pull, "Pending", "waiting", "ErrImagePull"},
      {"no image for a while", later, "Pending", "waiting", "ImagePullBackOff"},
      {"no configuration", config, "Pending", "waiting", "CreateContainerConfigError"},
      {"done", Scene(RestartPolicy::kNever).container("c", kExited), "Succeeded", "terminated",
       "Completed"},
      {"failed", Scene(RestartPolicy::kNever).container("c", kExited, 3), "Failed", "terminated",
       "Error"},
      {"init failed", Scene(RestartPolicy::kNever, 1).container("i0", kExited, 3), "Failed",
       "waiting", "PodInitializing"},
      {"being deleted, ended", deleted(Scene().container("c", kExited, 137)), "Failed",
       "terminated", "Error"},
      {"being deleted, ended well", deleted(Scene().container("c", kExited)), "Succeeded",
       "terminated", "Completed"},
      {"being deleted, running", deleted(Scene().container("c", kRunning)), "Running", "running",
       ""},
  };
  for (const Row& row : rows) {
    const Json status = row.scene.status();
    EXPECT_EQ(status["phase"], row.phase) << row.what;
    const Json& state = status["containerStatuses"][0]["state"];
    ASSERT_TRUE(state.contains(row.state)) << row.what << ": " << state.dump();
    EXPECT_EQ(state[row.state].value("reason", ""), row.reason) << row.what;
  }
  EXPECT_EQ(later.status()["containerStatuses"][0]["state"]["waiting"]["message"],
            "Back-off pulling image \"" + later.spec.containers[0].image + "\": ErrImagePull: no");
  EXPECT_EQ(crash.status()["containerStatuses"][0]["state"]["waiting"]["message"],
            "back-off 10s restarting failed container=c pod=p_default(u)");
}

TEST(PodStatus, ConditionsKeepTheirTimeUntilTheyChange) {
  Scene scene = Scene().sandbox("s", true).container("c", kRunning);
  const Json first = scene.status();
  scene.now = kNow + seconds(100);
  const Json second = scene.status(first);
  EXPECT_EQ(second, first) << "nothing changed but the time";
  scene.runtime.containers[0].state = kExited;
  const Json third = scene.status(second);
  for (const Json& condition : third["conditions"]) {
    const bool changed = condition["type"] == "Ready" || condition["type"] == "ContainersReady";
    EXPECT_EQ(condition["lastTransitionTime"] == format_time(scene.now), changed)
        << condition.dump();
  }
}

TEST(PodStatus, HowAPodEndedOutlivesItsContainers) {
  Scene scene = Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kExited, 3);
  const Json before = scene.status();
  scene.runtime = PodRuntime();
  scene.terminal = true;
  EXPECT_EQ(scene.status(before)["containerStatuses"], before["containerStatuses"]);
  EXPECT_EQ(scene.status(before)["phase"], "Failed");
}

// After a restart of fairlead its volumes, with the file of its last words, are gone.
TEST(PodStatus, LastWordsOutliveTheVolumes) {
  Scene scene = Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kExited, 3);
  scene.runtime.containers[0].message = "bye";
  const Json before = scene.status();
  scene.runtime.containers[0].message = "";
  EXPECT_EQ(scene.status(before), before);
  scene.runtime.containers[0].id = "another";
  EXPECT_FALSE(
      scene.status(before)["containerStatuses"][0]["state"]["terminated"].contains("message"));
}

TEST(PodStatus, SaysOfWhichGenerationItIs) {
  Scene scene = Scene().sandbox("s", true).container("c", kRunning);
  scene.spec.generation = 4;
  EXPECT_EQ(scene.status()["observedGeneration"], 4);
  const Json status = scene.status();
  for (const Json& condition : status["conditions"])
    EXPECT_EQ(condition["observedGeneration"], 4) << condition.dump();
}

TEST(PodStatus, APatchLeavesOthersConditionsAlone) {
  Scene scene = Scene().sandbox("s", true).container("c", kRunning);
  scene.spec.readiness_gates = {"example.com/gate"};
  const Json seen = {{"conditions", {{{"type", "example.com/gate"}, {"status", "True"}}}}};
  Json object = {{"status",
                  {{"conditions",
                    {{{"type", "example.com/gate"}, {"status", "False"}},
                     {{"type", "Ready"},
                      {"status", "False"},
                      {"reason", "NodeNotReady"},
                      {"message", "told by somebody"}}}},
                   {"podIPs", {{{"ip", "10.0.0.1"}}}}}}};
  const auto patched =
      apiserver::apply_strategic_patch(*apiserver::schema::Types::builtin().find("Pod"), object,
                                       pod_status_patch("u", scene.status(seen)));
  ASSERT_TRUE(patched.ok()) << patched.error().message();
  std::map<std::string, Json> conditions;
  for (const Json& each : (*patched)["status"]["conditions"]) conditions[each["type"]] = each;
  EXPECT_EQ(conditions["example.com/gate"]["status"], "False") << "changed since it was seen";
  EXPECT_EQ(conditions["Ready"]["status"], "True");
  EXPECT_FALSE(conditions["Ready"].contains("reason")) << conditions["Ready"].dump();
  EXPECT_FALSE(conditions["Ready"].contains("message"));
  EXPECT_EQ((*patched)["status"]["podIPs"], Json::array({{{"ip", "10.0.0.2"}}}));
  EXPECT_EQ((*patched)["status"]["hostIPs"], Json::array({{{"ip", "192.0.2.1"}}}));
  scene.spec.readiness_gates.clear();
  EXPECT_TRUE(contains_status((*patched)["status"], scene.status((*patched)["status"])));
}

// kubectl logs, and logs --previous: what lastState tells.
TEST(PodStatus, WhoseLogIsMeant) {
  Scene pulls = Scene().sandbox("s", true);
  pulls.memory.containers["c"].failure = Failure{"ErrImagePull", "no", kNow};
  pulls.memory.containers["c"].pull_failed = true;
  Scene backs_off = pulls;
  backs_off.now = kNow + seconds(5);
  const Scene crashing =
      Scene().sandbox("s", true).container("c", kExited, 1, 4).container("c", kExited, 1, 5);
  const Scene runs =
      Scene().sandbox("s", true).container("c", kExited, 1, 4).container("c", kRunning, 0, 5);
  const Scene over = Scene(RestartPolicy::kNever).container("c", kExited, 1, 0);
  struct Row {
    const char* what;
    Scene scene;
    bool previous;
    const char* source;
  };
  const std::string c = "container \"c\" in pod \"p\"";
  const std::string waits = c + " is waiting to start: ";
  const std::string none = "previous terminated " + c + " not found";
  const std::string creating = waits + "ContainerCreating",
                    cannot = waits + "image can't be pulled",
                    tries = waits + "trying and failing to pull image";
  const std::vector<Row> rows = {
      {"it runs", runs, false, "c5"},
      {"the run before", runs, true, "c4"},
      {"between two runs", crashing, false, "c5"},
      {"between two runs the last one is the previous", crashing, true, "c5"},
      {"it is over", over, false, "c0"},
      {"there was one run", over, true, none.c_str()},
      {"not yet", Scene().sandbox("s", true), false, creating.c_str()},
      {"never yet", Scene().sandbox("s", true), true, none.c_str()},
      {"made and not started", Scene().sandbox("s", true).container("c", kCreated), false,
       creating.c_str()},
      {"no image", pulls, false, cannot.c_str()},
      {"no image for a while", backs_off, false, tries.c_str()},
  };
  for (const Row& row : rows) {
    const PodInput input = row.scene.input();
    const auto source = log_source(input, "c", row.previous);
    EXPECT_EQ(source.ok() ? (*source)->id : source.error().message(), row.source) << row.what;
  }
}

TEST(PodStatus, ReadyWaitsForGatesAndProbes) {
  Scene scene = Scene().sandbox("s", true).container("c", kRunning);
  scene.spec.readiness_gates = {"example.com/gate"};
  const auto ready = [](const Json& status) {
    for (const Json& condition : status["conditions"])
      if (condition["type"] == "Ready") return condition["status"] == "True";
    return false;
  };
  EXPECT_FALSE(ready(scene.status()));
  const Json open = {{"conditions", {{{"type", "example.com/gate"}, {"status", "True"}}}}};
  const Json status = scene.status(open);
  EXPECT_TRUE(ready(status));
  EXPECT_EQ(status["conditions"][0]["type"], "example.com/gate") << "others' conditions are kept";
  scene.spec.containers[0].readiness = ProbeSpec();
  EXPECT_FALSE(ready(scene.status(open)));
}

}  // namespace
}  // namespace fairlead::orchestrator
