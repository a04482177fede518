// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_status.h"

#include <algorithm>

#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;
using std::chrono::seconds;

// The runs of a container that its state and its lastState are of. Neither: it has not run.
struct Runs {
  const ContainerInfo* now = nullptr;   // runs, or ended for good
  const ContainerInfo* last = nullptr;  // ended before
};

// A container runs, for those who ask, when its postStart hook is done.
bool is_in_post_start(const PodInput& pod, const ContainerInfo& container) {
  return container.state == ContainerState::kRunning &&
         pod.memory.in_post_start.contains(container.id);
}

Runs runs_of(const PodInput& pod, const std::string& name, bool init) {
  const ContainerInfo* newest = pod.runtime.latest(name);
  const ContainerInfo* previous = pod.runtime.previous(name);
  if (previous != nullptr && previous->state != ContainerState::kExited) previous = nullptr;
  if (newest == nullptr) return {};
  if (is_in_post_start(pod, *newest)) return {nullptr, previous};
  if (newest->state == ContainerState::kRunning) return {newest, previous};
  if (newest->state != ContainerState::kExited) return {nullptr, previous};
  const bool over = pod.gone || pod.spec.deletion || pod_is_finished(pod);
  if (!over && runs_again(pod, *newest, init)) return {nullptr, newest};
  return {newest, previous};
}

bool is_init(const PodSpec& spec, const std::string& container) {
  return std::any_of(spec.init_containers.begin(), spec.init_containers.end(),
                     [&](const ContainerSpec& each) { return each.name == container; });
}

Json terminated_state(const ContainerInfo& container, const Json& before) {
  Json state = {
      {"exitCode", container.exit_code},
      {"reason", container.reason.empty() ? (container.exit_code == 0 ? "Completed" : "Error")
                                          : container.reason},
      {"finishedAt", format_time(container.finished_at)},
      {"containerID", "containerd://" + container.id}};
  if (container.started_at.time_since_epoch().count() > 0)
    state["startedAt"] = format_time(container.started_at);
  // The file of its last words goes with the volumes of a pod that is over.
  std::string message = container.message;
  for (const char* where : {"state", "lastState"}) {
    const Json& told = json::member(json::member(before, where), "terminated");
    if (message.empty() && json::text(told, "containerID") == state["containerID"])
      message = json::text(told, "message");
  }
  if (!message.empty()) state["message"] = message;
  return {{"terminated", state}};
}

Json waiting_state(const Failure& why) {
  Json state = {{"reason", why.reason}};
  if (!why.message.empty()) state["message"] = why.message;
  return {{"waiting", state}};
}

// A container that was made has the resources that it asked for: they are not changed as it runs.
void add_resources(const ContainerSpec& spec, Json& status) {
  status["resources"] = Json::object();
  if (!spec.requested.empty()) status["resources"]["requests"] = spec.requested;
  if (!spec.limited.empty()) status["resources"]["limits"] = spec.limited;
  if (!spec.requested.empty()) status["allocatedResources"] = spec.requested;
}

void add_mounts(const PodSpec& pod, const ContainerSpec& spec, Json& status) {
  for (const VolumeMount& mount : spec.mounts) {
    const bool known = std::any_of(pod.volumes.begin(), pod.volumes.end(),
                                   [&](const VolumeSpec& v) { return v.name == mount.volume; });
    if (!known) continue;
    Json entry = {{"name", mount.volume}, {"mountPath", mount.path}};
    if (mount.read_only) entry.update({{"readOnly", true}, {"recursiveReadOnly", "Disabled"}});
    status["volumeMounts"].push_back(std::move(entry));
  }
}

Json container_status(const PodInput& pod, const Json& all_before, const ContainerSpec& spec,
                      bool init) {
  const Json* before = &json::member(all_before, "");  // null
  for (const Json& old :
       json::items(all_before, init ? "initContainerStatuses" : "containerStatuses"))
    if (json::text(old, "name") == spec.name) before = &old;
  const ContainerInfo* newest = pod.runtime.latest(spec.name);
  const ContainerMemory& memory = pod.memory_of(spec.name);
  // How it ended stays told when the runtime has forgotten it.
  if (newest == nullptr && pod.terminal && before->is_object()) return *before;
  Json status = {{"name", spec.name},
                 {"image", spec.image},
                 {"imageID", ""},
                 {"ready", false},
                 {"started", false},
                 {"lastState", Json::object()},
                 {"restartCount", newest != nullptr ? newest->attempt : 0}};
  if (newest != nullptr && newest->state != ContainerState::kCreated) {
    status["containerID"] = "containerd://" + newest->id;
    status["imageID"] = newest->image_ref;
    add_resources(spec, status);
  }
  add_mounts(pod.spec, spec, status);
  const uint32_t floor = memory.next_attempt_floor;  // one more than the API counts
  if (newest == nullptr && floor > 0) status["restartCount"] = floor - 1;
  const auto [now, last] = runs_of(pod, spec.name, init);
  if (now == nullptr) {
    status["state"] = waiting_state(waiting_reason(pod, spec, init));
  } else if (now->state == ContainerState::kRunning) {
    status["state"] = {{"running", {{"startedAt", format_time(now->started_at)}}}};
    const bool probed = memory.probed_id == now->id;
    const bool ends = init && !spec.sidecar;
    status["started"] = ends ? true : (probed ? memory.started : !spec.startup);
    status["ready"] = ends ? false : (probed ? memory.ready : !spec.readiness && !spec.startup);
  } else {
    status["state"] = terminated_state(*now, *before);
    if (init && !spec.sidecar) status["ready"] = now->exit_code == 0;
  }
  if (last != nullptr) status["lastState"] = terminated_state(*last, *before);
  return status;
}

bool init_complete(const PodInput& pod) {
  for (const ContainerSpec& spec : pod.spec.containers) {
    const ContainerInfo* last = pod.runtime.latest(spec.name);
    if (last != nullptr && last->state != ContainerState::kCreated) return true;
  }
  return std::all_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                     [&](const ContainerSpec& spec) {
                       if (spec.sidecar) return sidecar_started(pod, spec);
                       const ContainerInfo* last = pod.runtime.latest(spec.name);
                       return last != nullptr && last->state == ContainerState::kExited &&
                              last->exit_code == 0;
                     });
}

bool is_terminal(const std::string& phase) {
  return phase == "Succeeded" || phase == "Failed";
}

// Whether something of the pod runs or is being started.
bool may_be_running(const PodInput& pod) {
  return std::any_of(pod.busy.begin(), pod.busy.end(),
                     [](const std::string& key) { return key.starts_with("container:"); }) ||
         std::any_of(pod.runtime.containers.begin(), pod.runtime.containers.end(),
                     [](const ContainerInfo& container) {
                       return container.state == ContainerState::kRunning ||
                              container.state == ContainerState::kUnknown;
                     });
}

// Pending, Running, Succeeded or Failed (kubelet getPhase). A pod of which something runs is not
// over (mergePodStatus).
std::string phase_of(const PodInput& pod, const Json& previous) {
  const std::string before = json::text(previous, "phase");
  if (is_terminal(before)) return before;
  if (deadline_exceeded(pod.spec, pod.memory, pod.now) && !may_be_running(pod)) return "Failed";
  int never_started = 0, running = 0, failed = 0, restarting = 0;
  for (const ContainerSpec& spec : pod.spec.init_containers) {
    const ContainerInfo* last = pod.runtime.latest(spec.name);
    if (spec.sidecar) {
      // One that ended says nothing of the pod.
      if (last != nullptr && last->state == ContainerState::kRunning) ++running;
      continue;
    }
    const bool failed_for_good = last != nullptr && last->state == ContainerState::kExited &&
                                 last->exit_code != 0 &&
                                 pod.spec.restart_policy == RestartPolicy::kNever;
    // A sidecar before it may still be ending.
    if (failed_for_good && may_be_running(pod)) return before.empty() ? "Pending" : before;
    if (failed_for_good) return "Failed";
  }
  const bool stopping = pod.gone || pod.spec.deletion.has_value();
  for (const ContainerSpec& spec : pod.spec.containers) {
    const ContainerInfo* last = pod.runtime.latest(spec.name);
    if (last == nullptr || last->state == ContainerState::kCreated ||
        (is_in_post_start(pod, *last) && pod.runtime.previous(spec.name) == nullptr))
      ++never_started;
    else if (last->state != ContainerState::kExited)
      ++running;
    else if (!stopping && runs_again(pod, *last, false))
      ++restarting;
    else if (last->exit_code != 0)
      ++failed;
  }
  if (!init_complete(pod) || never_started > 0) return "Pending";
  if (running > 0 || restarting > 0) return "Running";
  return failed > 0 ? "Failed" : "Succeeded";
}

struct Condition {
  std::string type;
  bool status;
  std::string reason;
  std::string message;
};

Json merge_condition(const Json& previous, const Condition& condition, const PodInput& pod) {
  const WallTime now = pod.now;
  Json out = {{"type", condition.type},
              {"status", condition.status ? "True" : "False"},
              {"lastProbeTime", nullptr},
              {"lastTransitionTime", format_time(now)}};
  if (pod.spec.generation > 0) out["observedGeneration"] = pod.spec.generation;
  if (!condition.reason.empty()) out["reason"] = condition.reason;
  if (!condition.message.empty()) out["message"] = condition.message;
  for (const Json& old : json::items(previous, "conditions"))
    if (json::text(old, "type") == condition.type && json::text(old, "status") == out["status"])
      out["lastTransitionTime"] = json::text(old, "lastTransitionTime", out["lastTransitionTime"]);
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

bool is_sidecar(const ContainerSpec* spec) {
  return spec != nullptr && spec->sidecar;
}

// What the pod still waits for before its containers, in the order in which it stands.
std::string incomplete_names(const PodSpec& pod, const Json& init_statuses) {
  std::vector<std::string> names;
  for (const Json& status : init_statuses) {
    const std::string name = json::text(status, "name");
    if (!json::flag(status, is_sidecar(pod.find(name)) ? "started" : "ready"))
      names.push_back(name);
  }
  return joined(names);
}

// Sidecars are as ready as containers are (kubelet GenerateContainersReadyCondition).
std::string unready_names(const PodSpec& pod, const Json& init_statuses, const Json& statuses) {
  std::vector<std::string> names;
  for (const Json* list : {&init_statuses, &statuses})
    for (const Json& status : *list) {
      const std::string name = json::text(status, "name");
      if (list == &init_statuses && !is_sidecar(pod.find(name))) continue;
      if (!json::flag(status, "ready")) names.push_back(name);
    }
  return joined(names);
}

// What keeps the pod's readiness gates closed; empty: nothing (kubelet status/generate.go).
std::string closed_gates(const PodSpec& spec, const Json& previous) {
  std::string closed;
  for (const std::string& gate : spec.readiness_gates) {
    std::string status;
    for (const Json& have : json::items(previous, "conditions"))
      if (json::text(have, "type") == gate) status = json::text(have, "status");
    if (status == "True") continue;
    const std::string name = "pod readiness gate \"" + gate + "\"";
    closed += (closed.empty() ? "" : ", ") +
              (status.empty() ? "corresponding condition of " + name + " does not exist."
                              : "the status of " + name + " is not \"True\", but " + status);
  }
  return closed;
}

Json conditions_of(const StatusInput& in, const std::string& phase, const Json& init_statuses,
                   const Json& statuses) {
  const PodInput& pod = in.pod;
  std::vector<Condition> conditions;
  conditions.push_back(
      {"PodReadyToStartContainers", pod.runtime.ready_sandbox() != nullptr, "", ""});
  const bool completed = phase == "Succeeded";
  const std::string waiting_init = incomplete_names(pod.spec, init_statuses);
  conditions.push_back(
      init_complete(pod) ? Condition{"Initialized", true, completed ? "PodCompleted" : "", ""}
                         : Condition{"Initialized", false, "ContainersNotInitialized",
                                     "containers with incomplete status: [" + waiting_init + "]"});
  const std::string unready = unready_names(pod.spec, init_statuses, statuses);
  Condition ready{"ContainersReady", phase == "Running" && unready.empty(), "", ""};
  if (completed)
    ready.reason = "PodCompleted";
  else if (phase == "Failed")
    ready.reason = "PodFailed";
  else if (!ready.status) {
    ready.reason = "ContainersNotReady";
    ready.message = "containers with unready status: [" + unready + "]";
  }
  conditions.push_back(ready);
  ready.type = "Ready";
  if (const std::string closed = closed_gates(pod.spec, in.previous);
      ready.status && !closed.empty())
    ready = {"Ready", false, "ReadinessGatesNotReady", closed};
  conditions.push_back(ready);
  conditions.push_back({"PodScheduled", true, "", ""});

  Json list = Json::array();
  for (const Json& old : json::items(in.previous, "conditions")) {
    const std::string type = json::text(old, "type");
    const bool ours = std::any_of(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return c.type == type; });
    if (!ours) list.push_back(old);
  }
  for (const Condition& condition : conditions)
    list.push_back(merge_condition(in.previous, condition, pod));
  return list;
}

Failure crash_loop(const PodInput& pod, const ContainerSpec& spec, const ContainerInfo& last) {
  const Duration whole = pod.memory_of(spec.name).restarts.delay();
  const auto delay = std::chrono::duration_cast<seconds>(whole).count();
  const std::string text = delay % 60 == 0 ? std::to_string(delay / 60) + "m0s"
                           : delay > 60
                               ? std::to_string(delay / 60) + "m" + std::to_string(delay % 60) + "s"
                               : std::to_string(delay) + "s";
  return {"CrashLoopBackOff",
          "back-off " + text + " restarting failed container=" + spec.name +
              " pod=" + pod.spec.key.name + "_" + pod.spec.key.ns + "(" + pod.spec.uid + ")",
          last.finished_at};
}

}  // namespace

Failure waiting_reason(const PodInput& pod, const ContainerSpec& spec, bool init) {
  const ContainerMemory& memory = pod.memory_of(spec.name);
  const ContainerInfo* last = pod.runtime.latest(spec.name);
  const bool ran = !memory.failure || is_of_a_run(*memory.failure);
  if (ran && last != nullptr && last->state == ContainerState::kExited &&
      memory.restarts.remaining(last->finished_at, pod.now) > Duration::zero())
    return crash_loop(pod, spec, *last);
  if (memory.failure) {
    if (memory.pull_failed && pod.now >= memory.failure->at + seconds(1))
      return {"ImagePullBackOff",
              "Back-off pulling image \"" + spec.image + "\": " + memory.failure->reason + ": " +
                  memory.failure->message,
              memory.failure->at};
    return *memory.failure;
  }
  if (!init && !pod.spec.init_containers.empty() && !init_complete(pod))
    return {"PodInitializing", "", pod.now};
  if (init && !pod.spec.init_containers.empty() && last == nullptr &&
      &spec != &pod.spec.init_containers.front() &&
      spec.name != pod.spec.init_containers.front().name)
    return {"PodInitializing", "", pod.now};
  return {"ContainerCreating", "", pod.now};
}

Json pod_status_patch(const std::string& uid, const Json& status) {
  static constexpr const char* kOurs[] = {"PodScheduled", "PodReadyToStartContainers",
                                          "Initialized", "ContainersReady", "Ready"};
  Json patch = {{"metadata", {{"uid", uid}}}, {"status", status}};
  if (!status.contains("conditions")) return patch;
  Json conditions = Json::array();
  for (const Json& condition : json::items(status, "conditions")) {
    const std::string type = json::text(condition, "type");
    if (std::find(std::begin(kOurs), std::end(kOurs), type) == std::end(kOurs)) continue;
    conditions.push_back(condition);
    for (const char* name : {"reason", "message"})  // what is left out would stay
      if (!condition.contains(name)) conditions.back()[name] = nullptr;
  }
  patch["status"]["conditions"] = std::move(conditions);
  for (const char* list : {"podIPs", "hostIPs"})
    if (status.contains(list)) patch["status"][list].push_back({{"$patch", "replace"}});
  return patch;
}

Result<const ContainerInfo*> log_source(const PodInput& pod, const std::string& container,
                                        bool previous) {
  const std::string subject =
      "container \"" + container + "\" in pod \"" + pod.spec.key.name + "\"";
  const ContainerSpec* spec = pod.spec.find(container);
  if (spec == nullptr || is_rejected(pod)) return Error::invalid(subject + " is not available");
  const bool init = is_init(pod.spec, container);
  const auto [now, last] = runs_of(pod, container, init);
  if (previous && last == nullptr)
    return Error::invalid("previous terminated " + subject + " not found");
  if (now != nullptr && !previous) return now;
  if (last != nullptr) return last;
  const std::string reason = waiting_reason(pod, *spec, init).reason;
  return Error::invalid(subject + " is waiting to start: " +
                        (reason == "ErrImagePull"       ? "image can't be pulled"
                         : reason == "ImagePullBackOff" ? "trying and failing to pull image"
                                                        : reason));
}

// Of a pod that is not let in: nothing of it was ever made (kubelet rejectPod).
Json rejected_status(const PodInput& pod) {
  Json status = {{"phase", "Failed"},
                 {"reason", pod.spec.rejected->reason},
                 {"message", "Pod was rejected: " + pod.spec.rejected->message},
                 {"qosClass", to_string(qos_class(pod.spec))}};
  if (pod.memory.start_time) status["startTime"] = format_time(*pod.memory.start_time);
  if (pod.spec.generation > 0) status["observedGeneration"] = pod.spec.generation;
  return status;
}

Json pod_status(const StatusInput& in) {
  const PodInput& pod = in.pod;
  if (is_rejected(pod) && (!is_terminal(json::text(in.previous, "phase")) ||
                           json::text(in.previous, "reason") == pod.spec.rejected->reason))
    return rejected_status(pod);
  Json status;
  Json init_statuses = Json::array();
  for (const ContainerSpec& spec : pod.spec.init_containers)
    init_statuses.push_back(container_status(pod, in.previous, spec, true));
  Json statuses = Json::array();
  for (const ContainerSpec& spec : pod.spec.containers)
    statuses.push_back(container_status(pod, in.previous, spec, false));
  const std::string phase = phase_of(pod, in.previous);
  status["phase"] = phase;
  status["conditions"] = conditions_of(in, phase, init_statuses, statuses);
  status["qosClass"] = to_string(qos_class(pod.spec));
  status["hostIP"] = in.host_ip;
  status["hostIPs"] = Json::array({{{"ip", in.host_ip}}});
  if (pod.memory.start_time) status["startTime"] = format_time(*pod.memory.start_time);
  if (!init_statuses.empty()) status["initContainerStatuses"] = std::move(init_statuses);
  status["containerStatuses"] = std::move(statuses);

  std::vector<std::string> ips;
  if (pod.spec.namespaces.host_network)
    ips = {in.host_ip};
  else if (const SandboxInfo* sandbox = pod.runtime.newest_sandbox())
    ips = sandbox->ips;
  if (!ips.empty()) {
    status["podIP"] = ips.front();
    status["podIPs"] = Json::array();
    for (const std::string& ip : ips) status["podIPs"].push_back({{"ip", ip}});
  } else if (!json::text(in.previous, "podIP").empty() && phase != "Pending") {
    status["podIP"] = in.previous["podIP"];
    if (in.previous.contains("podIPs")) status["podIPs"] = in.previous["podIPs"];
  }
  if (pod.spec.generation > 0) status["observedGeneration"] = pod.spec.generation;
  if (is_terminal(json::text(in.previous, "phase"))) {
    for (const char* name : {"reason", "message"})
      if (in.previous.contains(name)) status[name] = in.previous[name];
  } else if (phase == "Failed" && deadline_exceeded(pod.spec, pod.memory, pod.now)) {
    status["reason"] = kDeadlineExceeded;
    status["message"] = kDeadlineMessage;
  }
  return status;
}

}  // namespace fairlead::orchestrator
