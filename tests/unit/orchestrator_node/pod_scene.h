// SPDX-License-Identifier: Apache-2.0
// A pod and what the runtime has of it, written as a story: for tests of decisions and statuses.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "orchestrator/node/pod_machine.h"
#include "orchestrator/node/pod_status.h"

namespace fairlead::orchestrator {

using Json = nlohmann::json;
using std::chrono::seconds;

inline const WallTime kSceneTime{seconds(1'700'000'000)};

// A pod and what the runtime has of it, written as a story.
struct Scene {
  PodSpec spec;
  PodRuntime runtime;
  PodMemory memory;
  std::set<std::string> busy;
  bool gone = false;
  bool terminal = false;
  WallTime now = kSceneTime;
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
    runtime.sandboxes.push_back(
        {id, "p", "u", "default", attempt, ready, kSceneTime, {"10.0.0.2"}});
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
    info.started_at = info.created_at = kSceneTime - seconds(5);
    info.finished_at = kSceneTime - seconds(1);
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

constexpr auto kRuns = ContainerState::kRunning;
constexpr auto kEnded = ContainerState::kExited;
constexpr auto kMade = ContainerState::kCreated;
constexpr auto kUnclear = ContainerState::kUnknown;

inline Scene without_volumes() {
  Scene scene;
  scene.memory.volumes_ready = false;
  return scene;
}
inline Scene busy(Scene scene, const std::string& key) {
  scene.busy.insert(key);
  return scene;
}
inline Scene deleted(Scene scene, int grace = 30) {
  scene.spec.deletion = kSceneTime + seconds(grace);
  scene.spec.deletion_grace_seconds = grace;
  return scene;
}
inline Scene gone(Scene scene) {
  scene.gone = true;
  return scene;
}
inline Scene torn_down(Scene scene) {
  scene.memory.torn_down = true;
  return scene;
}
inline Scene unhealthy(Scene scene) {
  scene.memory.containers["c"].probed_id = scene.runtime.latest("c")->id;
  scene.memory.containers["c"].alive = false;
  return scene;
}
inline Scene refused(Scene scene) {
  scene.spec.refused.push_back("no");
  return scene;
}

// A pod of an init container, a sidecar and a container.
inline Scene with_sidecar(RestartPolicy policy = RestartPolicy::kAlways) {
  Scene scene(policy, 2);
  scene.spec.init_containers[1].sidecar = true;
  scene.sandbox("s", true).container("i0", kEnded);
  return scene;
}

}  // namespace fairlead::orchestrator
