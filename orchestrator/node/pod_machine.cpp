// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_machine.h"

#include <algorithm>
#include <tuple>

namespace fairlead::orchestrator {

namespace {

using std::chrono::seconds;

bool older(const ContainerInfo& a, const ContainerInfo& b) {
  return std::tie(a.attempt, a.created_at) < std::tie(b.attempt, b.created_at);
}

// Containers of earlier releases do not say what they were made of.
bool definition_changed(const ContainerInfo& container, const ContainerSpec& spec) {
  const auto image = container.annotations.find(kAnnotationImage);
  return image != container.annotations.end() && image->second != spec.image;
}

// Builds one plan. The storytellers are run(), terminate() and finish(); the rest are their steps.
class Planner {
 public:
  explicit Planner(const PodInput& input) : in_(input) {}

  Plan run();

 private:
  void terminate();
  void finish();
  void keep_running();
  bool init_done(const SandboxInfo& sandbox);
  void tend(const ContainerSpec& spec, const SandboxInfo& sandbox);
  void tend_running(const ContainerSpec& spec, const ContainerInfo& container, bool init);
  void start(const ContainerSpec& spec, const ContainerInfo* last);
  bool is_starting(const std::string& container) const;
  bool is_in_post_start(const std::string& container) const;
  void restart_sandbox();
  void remove_old_instances();
  void remove_old_sandboxes(const SandboxInfo& current);
  bool stop_containers(bool all);
  bool waits_for_others(const ContainerInfo& container) const;
  bool stop_sandboxes();
  void stop(const ContainerInfo& container, Duration grace, std::string message, bool restart);
  Duration grace_left() const;

  void act(Action action) {
    if (!in_.busy.contains(action.key)) plan_.actions.push_back(std::move(action));
  }
  void wake_at(WallTime time) {
    if (!plan_.wake || time < *plan_.wake) plan_.wake = time;
  }
  // False, and a wake-up noted, while `failure` is too recent to try again.
  bool retry_due(const std::optional<Failure>& failure, Duration delay) {
    if (!failure || in_.now >= failure->at + delay) return true;
    wake_at(failure->at + delay);
    return false;
  }

  const PodInput& in_;
  Plan plan_;
};

Plan Planner::run() {
  if (in_.gone || in_.spec.deletion) {
    terminate();
  } else if (pod_is_finished(in_)) {
    finish();
  } else if (in_.spec.refused.empty()) {
    keep_running();
    if (in_.spec.active_deadline && in_.memory.start_time)
      wake_at(*in_.memory.start_time + *in_.spec.active_deadline);
  }
  return std::move(plan_);
}

// Containers, then sandboxes, then mounts, then the object, then what the runtime remembers.
void Planner::terminate() {
  if (!stop_containers(true) || !stop_sandboxes()) return;
  if (!in_.memory.torn_down) return act({.kind = ActionKind::kTearDown, .key = "teardown"});
  if (!in_.gone) return act({.kind = ActionKind::kDeleteObject, .key = "delete"});
  for (const SandboxInfo& sandbox : in_.runtime.sandboxes)
    act({.kind = ActionKind::kRemoveSandbox, .key = "sandbox:" + sandbox.id, .id = sandbox.id});
  if (in_.runtime.sandboxes.empty()) act({.kind = ActionKind::kForget, .key = "forget"});
}

// The pod ran to its end: containers stay for their logs, nothing of it runs or holds memory.
void Planner::finish() {
  if (!stop_containers(true) || !stop_sandboxes()) return;
  if (!in_.memory.torn_down) act({.kind = ActionKind::kTearDown, .key = "teardown"});
}

// True when none is ready and nothing is being made that would be missed.
bool Planner::stop_sandboxes() {
  bool stopped = true;
  for (const SandboxInfo& sandbox : in_.runtime.sandboxes) {
    if (!sandbox.ready) continue;
    stopped = false;
    act({.kind = ActionKind::kStopSandbox, .key = "sandbox:" + sandbox.id, .id = sandbox.id});
  }
  for (const std::string& key : in_.busy)
    if (key == "sandbox" || key == "volumes" || key.starts_with("container:")) stopped = false;
  return stopped;
}

void Planner::keep_running() {
  remove_old_instances();
  if (!in_.memory.volumes_ready) {
    if (retry_due(in_.memory.failure, kVolumeRetryDelay))
      act({.kind = ActionKind::kSetUpVolumes, .key = "volumes"});
    return;
  }
  const SandboxInfo* sandbox = in_.runtime.ready_sandbox();
  if (sandbox == nullptr) return restart_sandbox();
  remove_old_sandboxes(*sandbox);
  if (!init_done(*sandbox)) return;
  for (const ContainerSpec& spec : in_.spec.containers) {
    tend(spec, *sandbox);
    // Containers start in the order in which they stand, each after the hook of the one before.
    if (spec.post_start && (is_starting(spec.name) || is_in_post_start(spec.name))) return;
  }
}

// Or its hook failed, and it is on its way out.
bool Planner::is_in_post_start(const std::string& container) const {
  const ContainerInfo* last = in_.runtime.latest(container);
  return last != nullptr && last->state == ContainerState::kRunning &&
         in_.memory.in_post_start.contains(last->id);
}

bool Planner::is_starting(const std::string& container) const {
  const std::string key = "container:" + container;
  return in_.busy.contains(key) ||
         std::any_of(plan_.actions.begin(), plan_.actions.end(),
                     [&](const Action& action) { return action.key == key; });
}

// A dead sandbox takes its containers with it; then the pod begins again in a new one.
void Planner::restart_sandbox() {
  if (!stop_containers(false)) return;
  if (!retry_due(in_.memory.failure, kRetryDelay)) return;
  const SandboxInfo* last = in_.runtime.newest_sandbox();
  act({.kind = ActionKind::kCreateSandbox,
       .key = "sandbox",
       .attempt = last != nullptr ? last->attempt + 1 : 0});
}

// Init containers run one after the other, each to success, once in the life of a sandbox. They are
// done for certain when a container after them has run in it. Sidecars go on (kubelet
// computeInitContainerActions).
bool Planner::init_done(const SandboxInfo& sandbox) {
  const bool done = std::any_of(in_.spec.containers.begin(), in_.spec.containers.end(),
                                [&](const ContainerSpec& spec) {
                                  return in_.runtime.latest(spec.name, sandbox.id) != nullptr;
                                });
  for (const ContainerSpec& spec : in_.spec.init_containers) {
    if (spec.sidecar) {
      tend(spec, sandbox);
      if (!done && !sidecar_started(in_, spec)) return false;
      continue;
    }
    if (done) continue;
    const ContainerInfo* last = in_.runtime.latest(spec.name, sandbox.id);
    if (last != nullptr && last->state == ContainerState::kExited && last->exit_code == 0) continue;
    tend(spec, sandbox);
    return false;
  }
  return true;
}

// Brings one container to where it should be.
void Planner::tend(const ContainerSpec& spec, const SandboxInfo& sandbox) {
  const ContainerInfo* here = in_.runtime.latest(spec.name, sandbox.id);
  if (here != nullptr && here->state == ContainerState::kCreated) {
    // Left between create and start by a crash; its configuration may be out of date.
    if (!in_.busy.contains("container:" + spec.name))
      act({.kind = ActionKind::kRemoveContainer, .key = "remove:" + here->id, .id = here->id});
    return;
  }
  const bool init = std::any_of(in_.spec.init_containers.begin(), in_.spec.init_containers.end(),
                                [&](const ContainerSpec& other) { return &other == &spec; });
  if (here != nullptr && here->state == ContainerState::kRunning)
    return tend_running(spec, *here, init);
  if (here != nullptr && here->state == ContainerState::kUnknown)
    // It may run: never two of them.
    return stop(*here, in_.spec.grace,
                "Container is in \"unknown\" state, try killing it before restart", true);
  // An init container's success in an older sandbox does not count; a container's does.
  const ContainerInfo* last = init ? here : in_.runtime.latest(spec.name);
  if (last == nullptr || last->state != ContainerState::kExited || runs_again(in_, *last, init))
    start(spec, last);
}

// Ends it where another is to be in its place (kubelet computePodActions).
void Planner::tend_running(const ContainerSpec& spec, const ContainerInfo& container, bool init) {
  const std::string name = (spec.sidecar ? "Init container " : "Container ") + spec.name;
  const std::string restarted = spec.sidecar ? "" : ", will be restarted";
  // Whatever the restart policy; an init container that runs may end.
  if ((!init || spec.sidecar) && definition_changed(container, spec))
    return stop(container, in_.spec.grace, name + " definition changed" + restarted, true);
  const ContainerMemory& memory = in_.memory_of(spec.name);
  if (memory.probed_id != container.id || memory.alive) return;
  const bool startup = !memory.started && spec.startup.has_value();
  const std::optional<ProbeSpec>& probe = startup ? spec.startup : spec.liveness;
  const bool restart = spec.sidecar || in_.spec.restart_policy != RestartPolicy::kNever;
  stop(container, probe && probe->grace ? *probe->grace : in_.spec.grace,
       name + " failed " + (startup ? "startup" : "liveness") + " probe" +
           (restart ? restarted : ""),
       restart);
}

void Planner::start(const ContainerSpec& spec, const ContainerInfo* last) {
  const ContainerMemory& memory = in_.memory_of(spec.name);
  // A container that could not be run is one that ended: its restarts are delayed.
  const bool ran = last != nullptr && last->state == ContainerState::kExited && memory.failure &&
                   is_of_a_run(*memory.failure);
  if (memory.failure && !ran) {
    const Duration delay = memory.pull_failed ? memory.pulls.remaining(memory.failure->at, in_.now)
                                              : memory.failure->at + kRetryDelay - in_.now;
    if (delay > Duration::zero()) {
      wake_at(in_.now + delay);
      // ErrImagePull becomes ImagePullBackOff meanwhile.
      if (memory.pull_failed && in_.now < memory.failure->at + seconds(1))
        wake_at(memory.failure->at + seconds(1));
      return;
    }
  }
  Action action{
      .kind = ActionKind::kStartContainer, .key = "container:" + spec.name, .container = spec.name};
  const ContainerInfo* ever = in_.runtime.latest(spec.name);
  action.attempt = std::max(memory.next_attempt_floor, ever != nullptr ? ever->attempt + 1 : 0);
  if (last != nullptr && last->state == ContainerState::kExited) {
    const Duration delay = memory.restarts.remaining(last->finished_at, in_.now);
    if (delay > Duration::zero()) return wake_at(in_.now + delay);
    action.restart = true;
    action.failed_at = last->finished_at;
  }
  act(std::move(action));
}

// One ended instance is kept beside the newest, for its state and its logs.
void Planner::remove_old_instances() {
  for (const ContainerInfo& container : in_.runtime.containers) {
    if (container.state != ContainerState::kExited) continue;
    const ContainerInfo* newest = in_.runtime.latest(container.name);
    const ContainerInfo* previous = in_.runtime.previous(container.name);
    if (&container == newest || &container == previous) continue;
    act({.kind = ActionKind::kRemoveContainer,
         .key = "remove:" + container.id,
         .id = container.id});
  }
}

// A dead sandbox is kept as long as it holds the newest instance of some container.
void Planner::remove_old_sandboxes(const SandboxInfo& current) {
  for (const SandboxInfo& sandbox : in_.runtime.sandboxes) {
    if (sandbox.id == current.id) continue;
    const bool needed = std::any_of(
        in_.runtime.containers.begin(), in_.runtime.containers.end(), [&](const ContainerInfo& c) {
          return c.sandbox_id == sandbox.id && in_.runtime.latest(c.name) == &c;
        });
    if (needed) continue;
    const ActionKind kind = sandbox.ready ? ActionKind::kStopSandbox : ActionKind::kRemoveSandbox;
    act({.kind = kind, .key = "sandbox:" + sandbox.id, .id = sandbox.id});
  }
}

// True when no container runs. `all`: those of a ready sandbox too.
bool Planner::stop_containers(bool all) {
  bool stopped = true;
  for (const ContainerInfo& container : in_.runtime.containers) {
    if (container.state == ContainerState::kExited) continue;
    const auto& sandboxes = in_.runtime.sandboxes;
    const bool in_ready =
        std::any_of(sandboxes.begin(), sandboxes.end(),
                    [&](const SandboxInfo& s) { return s.id == container.sandbox_id && s.ready; });
    if (!all && in_ready) continue;
    if (container.state == ContainerState::kCreated) {
      if (in_.busy.contains("container:" + container.name)) stopped = false;  // about to start
      continue;
    }
    stopped = false;
    if (waits_for_others(container)) continue;
    stop(container, grace_left(), "Stopping container " + container.name,
         !all && in_.spec.restart_policy != RestartPolicy::kNever);
  }
  return stopped;
}

// A sidecar ends after all that started after it: the containers, then the later sidecars (kubelet
// kuberuntime_termination_order.go).
bool Planner::waits_for_others(const ContainerInfo& container) const {
  const auto runs = [&](const ContainerSpec& spec) {
    return std::any_of(in_.runtime.containers.begin(), in_.runtime.containers.end(),
                       [&](const ContainerInfo& other) {
                         return other.name == spec.name &&
                                (other.state == ContainerState::kRunning ||
                                 other.state == ContainerState::kUnknown);
                       });
  };
  const auto& init = in_.spec.init_containers;
  const auto own = std::find_if(init.begin(), init.end(), [&](const ContainerSpec& spec) {
    return spec.sidecar && spec.name == container.name;
  });
  return own != init.end() &&
         (std::any_of(own + 1, init.end(), runs) ||
          std::any_of(in_.spec.containers.begin(), in_.spec.containers.end(), runs));
}

// The grace period may have been shortened since the last order to stop: then a second order.
void Planner::stop(const ContainerInfo& container, Duration grace, std::string message,
                   bool restart) {
  const auto ordered = in_.memory.stop_deadlines.find(container.id);
  const bool sooner =
      ordered != in_.memory.stop_deadlines.end() && in_.mono + grace + seconds(1) < ordered->second;
  act({.kind = ActionKind::kStopContainer,
       .key = "stop:" + container.id + (sooner ? ":sooner" : ""),
       .container = container.name,
       .id = container.id,
       .grace = std::max(grace, kMinGrace),
       .restart = restart,
       .message = std::move(message)});
}

// Counted from when the deletion was seen, as the kubelet does: the API server's clock is another.
Duration Planner::grace_left() const {
  if (in_.gone) return kMinGrace;
  if (!in_.spec.deletion) return in_.spec.grace;
  const Duration granted =
      std::max<Duration>(seconds(in_.spec.deletion_grace_seconds.value_or(30)), kMinGrace);
  const auto& seen = in_.memory.deletion_seen;
  return std::clamp<Duration>(seen ? granted - (in_.mono - *seen) : granted, kMinGrace, granted);
}

}  // namespace

const ContainerInfo* PodRuntime::latest(const std::string& name,
                                        const std::string& sandbox_id) const {
  const ContainerInfo* found = nullptr;
  for (const ContainerInfo& container : containers)
    if (container.name == name && (sandbox_id.empty() || container.sandbox_id == sandbox_id) &&
        (found == nullptr || older(*found, container)))
      found = &container;
  return found;
}

const ContainerInfo* PodRuntime::previous(const std::string& name) const {
  const ContainerInfo* newest = latest(name);
  const ContainerInfo* found = nullptr;
  for (const ContainerInfo& container : containers)
    if (container.name == name && &container != newest &&
        (found == nullptr || older(*found, container)))
      found = &container;
  return found;
}

const ContainerMemory& PodInput::memory_of(const std::string& container) const {
  static const ContainerMemory kFresh;
  const auto it = memory.containers.find(container);
  return it == memory.containers.end() ? kFresh : it->second;
}

const SandboxInfo* PodRuntime::newest_sandbox() const {
  const SandboxInfo* found = nullptr;
  for (const SandboxInfo& sandbox : sandboxes)
    if (found == nullptr ||
        std::tie(found->attempt, found->created_at) < std::tie(sandbox.attempt, sandbox.created_at))
      found = &sandbox;
  return found;
}

const SandboxInfo* PodRuntime::ready_sandbox() const {
  const SandboxInfo* newest = newest_sandbox();
  return newest != nullptr && newest->ready ? newest : nullptr;
}

bool runs_again(const PodInput& in, const ContainerInfo& ended, bool init) {
  if (in.memory_of(ended.name).replaced_id == ended.id) return true;
  if (const ContainerSpec* spec = in.spec.find(ended.name); spec != nullptr && spec->sidecar)
    return true;
  switch (in.spec.restart_policy) {
    case RestartPolicy::kAlways:
      return !init || ended.exit_code != 0;
    case RestartPolicy::kOnFailure:
      return ended.exit_code != 0;
    case RestartPolicy::kNever:
      return false;
  }
  return false;
}

bool deadline_exceeded(const PodSpec& spec, const PodMemory& memory, WallTime now) {
  return spec.active_deadline && memory.start_time &&
         now >= *memory.start_time + *spec.active_deadline;
}

bool is_of_a_run(const Failure& failure) {
  return failure.reason == kRunContainerError || failure.reason == kPostStartHookError;
}

bool sidecar_started(const PodInput& in, const ContainerSpec& sidecar) {
  const ContainerInfo* last = in.runtime.latest(sidecar.name);
  if (last == nullptr || last->state != ContainerState::kRunning ||
      in.memory.in_post_start.contains(last->id))
    return false;
  const ContainerMemory& memory = in.memory_of(sidecar.name);
  return !sidecar.startup || (memory.probed_id == last->id && memory.started);
}

bool is_rejected(const PodInput& in) {
  return in.spec.rejected && in.runtime.sandboxes.empty() && in.runtime.containers.empty();
}

bool pod_is_finished(const PodInput& in) {
  if (in.terminal || is_rejected(in) || deadline_exceeded(in.spec, in.memory, in.now)) return true;
  if (in.spec.restart_policy == RestartPolicy::kAlways) return false;
  const auto over = [&](const ContainerSpec& spec, bool init) {
    const ContainerInfo* last = in.runtime.latest(spec.name);
    return last != nullptr && last->state == ContainerState::kExited &&
           !runs_again(in, *last, init);
  };
  for (const ContainerSpec& spec : in.spec.init_containers)
    if (over(spec, true) && in.runtime.latest(spec.name)->exit_code != 0) return true;
  return std::all_of(in.spec.containers.begin(), in.spec.containers.end(),
                     [&](const ContainerSpec& spec) { return over(spec, false); });
}

Plan decide(const PodInput& input) {
  return Planner(input).run();
}

}  // namespace fairlead::orchestrator
