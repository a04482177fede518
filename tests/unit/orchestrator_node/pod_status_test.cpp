// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_status.h"

#include "orchestrator/apiserver/patch/patch.h"
#include "orchestrator/node/status_compare.h"
#include "tests/unit/orchestrator_node/pod_scene.h"

namespace fairlead::orchestrator {
namespace {

TEST(PodStatus, ASidecarIsAsReadyAsAContainer) {
  Scene scene = with_sidecar().container("i1", kRuns).container("c", kRuns);
  const auto condition = [&](const char* type) {
    const Json status = scene.status();
    for (const Json& each : status["conditions"])
      if (each["type"] == type)
        return each["status"].get<std::string>() + " " + each.value("message", "");
    return std::string();
  };
  EXPECT_EQ(condition("Ready"), "True ");
  scene.spec.init_containers[1].readiness = ProbeSpec();
  EXPECT_EQ(condition("Ready"), "False containers with unready status: [i1]");
  EXPECT_EQ(condition("Initialized"), "True ");
  EXPECT_EQ(scene.status()["initContainerStatuses"][1]["started"], true);
  scene.runtime.containers.pop_back();
  scene.spec.init_containers[1].startup = ProbeSpec();
  EXPECT_EQ(condition("Initialized"), "False containers with incomplete status: [i1]");
  EXPECT_EQ(scene.status()["phase"], "Pending");
  Scene over = with_sidecar(RestartPolicy::kNever).container("c", kEnded).container("i1", kRuns);
  EXPECT_EQ(over.status()["phase"], "Running") << "while it runs";
  over.runtime.containers.pop_back();
  over.container("i1", kEnded, 137);
  EXPECT_EQ(over.status()["phase"], "Succeeded");
}

// What replaces it would find its resources in use.
TEST(PodStatus, APodIsNotOverWhileASidecarEnds) {
  Scene scene(RestartPolicy::kNever, 2);
  scene.spec.init_containers[0].sidecar = true;
  scene.sandbox("s", true).container("i1", kEnded, 3).container("i0", kRuns);
  EXPECT_EQ(scene.status()["phase"], "Pending");
  scene.runtime.containers.pop_back();
  scene.container("i0", kEnded);
  EXPECT_EQ(scene.status()["phase"], "Failed");
}

TEST(PodStatus, PhasesAndReasons) {
  struct Row {
    const char* what;
    Scene scene;
    const char* phase;
    const char* state;   // of container c
    const char* reason;  // of that state, "" where it has none
  };
  Scene crash = Scene().sandbox("s", true).container("c", kEnded, 1);
  crash.memory.containers["c"].restarts.advance(kSceneTime, kSceneTime);
  Scene pull = Scene().sandbox("s", true);
  pull.memory.containers["c"].failure = Failure{"ErrImagePull", "no", kSceneTime};
  pull.memory.containers["c"].pull_failed = true;
  Scene later = pull;
  later.now = kSceneTime + seconds(1);
  Scene config = Scene().sandbox("s", true);
  config.memory.containers["c"].failure =
      Failure{"CreateContainerConfigError", "configmap \"x\" not found", kSceneTime};
  const std::vector<Row> rows = {
      {"nothing yet", Scene(), "Pending", "waiting", "ContainerCreating"},
      {"before its init containers", Scene(RestartPolicy::kAlways, 1), "Pending", "waiting",
       "PodInitializing"},
      {"running", Scene().sandbox("s", true).container("c", kRuns), "Running", "running", ""},
      {"crashing", crash, "Running", "waiting", "CrashLoopBackOff"},
      {"no image", pull, "Pending", "waiting", "ErrImagePull"},
      {"no image for a while", later, "Pending", "waiting", "ImagePullBackOff"},
      {"no configuration", config, "Pending", "waiting", "CreateContainerConfigError"},
      {"done", Scene(RestartPolicy::kNever).container("c", kEnded), "Succeeded", "terminated",
       "Completed"},
      {"failed", Scene(RestartPolicy::kNever).container("c", kEnded, 3), "Failed", "terminated",
       "Error"},
      {"init failed", Scene(RestartPolicy::kNever, 1).container("i0", kEnded, 3), "Failed",
       "waiting", "PodInitializing"},
      {"being deleted, ended", deleted(Scene().container("c", kEnded, 137)), "Failed", "terminated",
       "Error"},
      {"being deleted, ended well", deleted(Scene().container("c", kEnded)), "Succeeded",
       "terminated", "Completed"},
      {"being deleted, running", deleted(Scene().container("c", kRuns)), "Running", "running", ""},
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
  Scene scene = Scene().sandbox("s", true).container("c", kRuns);
  const Json first = scene.status();
  scene.now = kSceneTime + seconds(100);
  const Json second = scene.status(first);
  EXPECT_EQ(second, first) << "nothing changed but the time";
  scene.runtime.containers[0].state = kEnded;
  const Json third = scene.status(second);
  for (const Json& condition : third["conditions"]) {
    const bool changed = condition["type"] == "Ready" || condition["type"] == "ContainersReady";
    EXPECT_EQ(condition["lastTransitionTime"] == format_time(scene.now), changed)
        << condition.dump();
  }
}

TEST(PodStatus, HowAPodEndedOutlivesItsContainers) {
  Scene scene = Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kEnded, 3);
  const Json before = scene.status();
  scene.runtime = PodRuntime();
  scene.terminal = true;
  EXPECT_EQ(scene.status(before)["containerStatuses"], before["containerStatuses"]);
  EXPECT_EQ(scene.status(before)["phase"], "Failed");
}

// After a restart of fairlead its volumes, with the file of its last words, are gone.
TEST(PodStatus, LastWordsOutliveTheVolumes) {
  Scene scene = Scene(RestartPolicy::kNever).sandbox("s", false).container("c", kEnded, 3);
  scene.runtime.containers[0].message = "bye";
  const Json before = scene.status();
  scene.runtime.containers[0].message = "";
  EXPECT_EQ(scene.status(before), before);
  scene.runtime.containers[0].id = "another";
  EXPECT_FALSE(
      scene.status(before)["containerStatuses"][0]["state"]["terminated"].contains("message"));
}

TEST(PodStatus, SaysOfWhichGenerationItIs) {
  Scene scene = Scene().sandbox("s", true).container("c", kRuns);
  scene.spec.generation = 4;
  EXPECT_EQ(scene.status()["observedGeneration"], 4);
  const Json status = scene.status();
  for (const Json& condition : status["conditions"])
    EXPECT_EQ(condition["observedGeneration"], 4) << condition.dump();
}

TEST(PodStatus, APatchLeavesOthersConditionsAlone) {
  Scene scene = Scene().sandbox("s", true).container("c", kRuns);
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
// kubelet convertToAPIContainerStatuses.
TEST(PodStatus, AContainerSaysWhatItHas) {
  Scene scene;
  scene.spec.volumes.push_back({"v", {}});
  VolumeMount mount;
  mount.volume = "v";
  mount.path = "/v";
  mount.read_only = true;
  scene.spec.containers[0].mounts = {mount};
  scene.spec.containers[0].requested = {{"cpu", "10m"}};
  scene.spec.containers[0].limited = {{"memory", "50Mi"}};
  const auto told = [&] {
    return pod_status({scene.input(), Json::object(), ""})["containerStatuses"][0];
  };
  EXPECT_FALSE(told().contains("resources")) << "not made yet";
  scene.sandbox("s", true).container("c", kRuns);
  EXPECT_EQ(told()["resources"],
            Json({{"requests", {{"cpu", "10m"}}}, {"limits", {{"memory", "50Mi"}}}}));
  EXPECT_EQ(told()["allocatedResources"], Json({{"cpu", "10m"}}));
  EXPECT_EQ(told()["volumeMounts"], Json::array({{{"name", "v"},
                                                  {"mountPath", "/v"},
                                                  {"readOnly", true},
                                                  {"recursiveReadOnly", "Disabled"}}}));
}

TEST(PodStatus, WhoseLogIsMeant) {
  Scene pulls = Scene().sandbox("s", true);
  pulls.memory.containers["c"].failure = Failure{"ErrImagePull", "no", kSceneTime};
  pulls.memory.containers["c"].pull_failed = true;
  Scene backs_off = pulls;
  backs_off.now = kSceneTime + seconds(5);
  const Scene crashing =
      Scene().sandbox("s", true).container("c", kEnded, 1, 4).container("c", kEnded, 1, 5);
  const Scene runs =
      Scene().sandbox("s", true).container("c", kEnded, 1, 4).container("c", kRuns, 0, 5);
  const Scene over = Scene(RestartPolicy::kNever).container("c", kEnded, 1, 0);
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
      {"made and not started", Scene().sandbox("s", true).container("c", kMade), false,
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
  Scene scene = Scene().sandbox("s", true).container("c", kRuns);
  scene.spec.readiness_gates = {"example.com/gate"};
  const auto ready = [](const Json& status) {
    for (const Json& condition : status["conditions"])
      if (condition["type"] == "Ready") return condition["status"] == "True";
    return false;
  };
  EXPECT_FALSE(ready(scene.status()));
  const auto why = [&](const Json& before) {
    const Json status = scene.status(before);
    for (const Json& condition : status["conditions"])
      if (condition["type"] == "Ready") return condition.value("message", "");
    return std::string();
  };
  EXPECT_EQ(why(Json::object()),
            "corresponding condition of pod readiness gate \"example.com/gate\" does not exist.");
  EXPECT_EQ(why({{"conditions", {{{"type", "example.com/gate"}, {"status", "False"}}}}}),
            "the status of pod readiness gate \"example.com/gate\" is not \"True\", but False");
  const Json open = {{"conditions", {{{"type", "example.com/gate"}, {"status", "True"}}}}};
  const Json status = scene.status(open);
  EXPECT_TRUE(ready(status));
  EXPECT_EQ(status["conditions"][0]["type"], "example.com/gate") << "others' conditions are kept";
  scene.spec.containers[0].readiness = ProbeSpec();
  EXPECT_FALSE(ready(scene.status(open)));
}

}  // namespace
}  // namespace fairlead::orchestrator
