// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_worker.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "orchestrator/node/container_config.h"
#include "orchestrator/node/cri_log.h"
#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_start.h"
#include "orchestrator/node/pod_status.h"
#include "orchestrator/node/status_compare.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

using std::chrono::seconds;

namespace {
// The kubelet's limits on a termination message, and on what a log gives to one.
constexpr size_t kMaxMessageBytes = 4096;
constexpr size_t kMessageLogLines = 80;
constexpr size_t kMessageLogBytes = 2048;
}  // namespace

PodWorker::PodWorker(PodContext& context, std::string uid, std::function<void()> on_finished)
    : context_(context), uid_(std::move(uid)), on_finished_(std::move(on_finished)) {}

PodWorker::~PodWorker() = default;

void PodWorker::update(PodSpec spec, nlohmann::json status) {
  const bool first = !known_;
  const bool fields_changed =
      !first && (spec.labels != spec_.labels || spec.annotations != spec_.annotations);
  if (spec.deletion &&
      (first || !spec_.deletion || spec.deletion_grace_seconds != spec_.deletion_grace_seconds))
    memory_.deletion_seen = context_.clock.now();
  if (!first) forget_failures_of_other_images(spec);
  spec_ = std::move(spec);
  api_status_ = std::move(status);
  known_ = true;
  if (!memory_.start_time) {
    memory_.start_time = parse_time(json::text(api_status_, "startTime"));
    if (!memory_.start_time) memory_.start_time = context_.clock.wall_now();
  }
  if (first) {
    // The runtime may have forgotten containers that the API still counts (a reboot).
    for (const char* list : {"containerStatuses", "initContainerStatuses"})
      for (const auto& status_of : json::items(api_status_, list))
        if (!json::text(status_of, "containerID").empty())
          memory_.containers[json::text(status_of, "name")].next_attempt_floor =
              static_cast<uint32_t>(json::number_or(status_of, "restartCount", 0)) + 1;
  }
  if (fields_changed)
    objects_ = context_.clock.after(Duration::zero(), [this] { update_volumes(); });
  if (observed_) return sync();
  refresh();
}

// What failed with another image says nothing of this one (the kubelet's back-offs are keyed so).
void PodWorker::forget_failures_of_other_images(const PodSpec& spec) {
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    for (const ContainerSpec& container : *list) {
      const ContainerSpec* before = spec_.find(container.name);
      if (before == nullptr || before->image == container.image) continue;
      ContainerMemory& memory = memory_.containers[container.name];
      memory.failure.reset();
      memory.pull_failed = false;
      memory.pulls.reset();
      memory.restarts.reset();
      backed_off_.erase(pull_key(container.name));
      abandon_pulls(container.name);
    }
  }
}

void PodWorker::set_gone() {
  gone_ = true;
  if (observed_) return sync();
  refresh();
}

void PodWorker::observe() {
  refresh();
}

void PodWorker::retry() {
  memory_.failure.reset();
  refresh();
}

bool PodWorker::owns(const std::string& id) const {
  for (const SandboxInfo& sandbox : runtime_.sandboxes)
    if (sandbox.id == id) return true;
  for (const ContainerInfo& container : runtime_.containers)
    if (container.id == id) return true;
  return false;
}

bool PodWorker::task_ended(const std::string& id) {
  if (owns(id)) {
    observe_container(id, kFirstLook);
    return true;
  }
  if (!busy_.empty()) early_ends_.insert(id);
  return false;
}

// The runtime's own bookkeeping follows the event by some tens of milliseconds: asked again until
// it has caught up, every 20 ms doubling to a second.
void PodWorker::observe_container(const std::string& id, Duration again) {
  const auto known = std::find_if(runtime_.containers.begin(), runtime_.containers.end(),
                                  [&](const ContainerInfo& c) { return c.id == id; });
  if (known == runtime_.containers.end()) {  // a sandbox; its end is booked late too
    refresh_retry_ = context_.clock.after(std::chrono::milliseconds(300), [this] { refresh(); });
    return refresh();
  }
  if (known->state == ContainerState::kExited) return;
  context_.cri.container_status(id, [this, guard = guard(), id, again,
                                     sandbox = known->sandbox_id](Result<ContainerInfo> status) {
    if (guard.expired()) return;
    if (!status.ok()) return refresh();
    if (status->state == ContainerState::kRunning || status->state == ContainerState::kUnknown) {
      if (again > seconds(2)) return refresh();
      endings_[id] =
          context_.clock.after(again, [this, id, again] { observe_container(id, again * 2); });
      return;
    }
    endings_.erase(id);
    status->sandbox_id = sandbox;
    observed(*std::move(status));
  });
}

// Reads everything the runtime has of this pod. Results that an action overtook are read again.
void PodWorker::refresh() {
  if (refreshing_) {
    refresh_again_ = true;
    return;
  }
  refreshing_ = true;
  refresh_again_ = false;
  context_.cri.list_sandboxes(
      uid_, [this, guard = guard()](Result<std::vector<SandboxInfo>> sandboxes) {
        if (guard.expired()) return;
        if (!sandboxes.ok()) return refresh_later();
        context_.cri.list_containers(uid_, [this, guard, list = *std::move(sandboxes)](
                                               Result<std::vector<ContainerInfo>> containers) {
          if (guard.expired()) return;
          if (!containers.ok()) return refresh_later();
          fetch_details({list, *std::move(containers)});
        });
      });
}

void PodWorker::refresh_later() {
  refreshing_ = false;
  refresh_retry_ = context_.clock.after(seconds(2), [this] { refresh(); });
}

// What is being read of a pod, and what of it is still under way.
struct PodWorker::Details {
  PodRuntime runtime;
  std::set<std::string> vanished;  // listed, and gone when it was asked for
  std::optional<Error> failed;
  size_t missing = 1;

  // An entry that cannot be read is no entry without an address, or one that ended with 0.
  template <typename Info>
  void take(Info& entry, const Result<Info>& status) {
    if (status.ok()) {
      entry = *status;
      return;
    }
    const Error& error = status.error();
    if (error.is_not_found())
      vanished.insert(entry.id);
    else
      failed = error;
  }
};

// Addresses of sandboxes and times of containers are not in the lists. What cannot change any more
// is taken from what is known.
void PodWorker::fetch_details(PodRuntime found) {
  auto details = std::make_shared<Details>();
  details->runtime = std::move(found);
  const auto arrived = [this, guard = guard(), details] {
    if (!guard.expired() && --details->missing == 0) refreshed(*details);
  };
  for (SandboxInfo& sandbox : details->runtime.sandboxes) {
    if (!sandbox.ready) continue;
    ++details->missing;
    context_.cri.sandbox_status(sandbox.id, [details, &sandbox, arrived](const auto& status) {
      details->take(sandbox, status);
      arrived();
    });
  }
  for (ContainerInfo& container : details->runtime.containers) {
    const auto known = std::find_if(
        runtime_.containers.begin(), runtime_.containers.end(), [&](const ContainerInfo& c) {
          return c.id == container.id && c.state == ContainerState::kExited;
        });
    if (known != runtime_.containers.end()) {
      container = *known;
      continue;
    }
    ++details->missing;
    context_.cri.container_status(container.id, [details, &container, arrived](const auto& status) {
      const std::string sandbox = container.sandbox_id;  // not in the details
      details->take(container, status);
      container.sandbox_id = sandbox;
      arrived();
    });
  }
  arrived();
}

void PodWorker::refreshed(Details& details) {
  refreshing_ = false;
  if (refresh_again_) return refresh();
  if (details.failed) {
    log::debug("pod {} is read again: {}", spec_.key.to_string(), details.failed->message());
    return refresh_later();
  }
  const auto vanished = [&](const auto& entry) { return details.vanished.contains(entry.id); };
  std::erase_if(details.runtime.sandboxes, vanished);
  std::erase_if(details.runtime.containers, vanished);
  for (ContainerInfo& container : details.runtime.containers) read_termination_message(container);
  runtime_ = std::move(details.runtime);
  observed_ = true;
  sync();
}

// What was done to the runtime is not known: nothing more is done until all of it has been read.
void PodWorker::lose_sight() {
  observed_ = false;
  refresh();
}

// One container's new state, without reading everything.
void PodWorker::observed(ContainerInfo container) {
  if (refreshing_) refresh_again_ = true;
  read_termination_message(container);
  const auto known = std::find_if(runtime_.containers.begin(), runtime_.containers.end(),
                                  [&](const ContainerInfo& c) { return c.id == container.id; });
  if (known != runtime_.containers.end())
    *known = std::move(container);
  else
    runtime_.containers.push_back(std::move(container));
  sync();
}

PodInput PodWorker::input() const {
  const std::string phase = json::text(api_status_, "phase");
  const bool terminal = phase == "Succeeded" || phase == "Failed";
  return PodInput{spec_,
                  runtime_,
                  memory_,
                  busy_,
                  gone_,
                  terminal,
                  context_.clock.wall_now(),
                  context_.clock.now()};
}

bool PodWorker::may_run() const {
  return known_ && !gone_ && !input().terminal;
}

Result<const ContainerInfo*> PodWorker::log_source(const std::string& container,
                                                   bool previous) const {
  return orchestrator::log_source(input(), container, previous);
}

// Looks at everything and does what is to be done.
void PodWorker::sync() {
  if (!observed_ || (!known_ && !gone_) || syncing_) return;
  if (gone_ || spec_.deletion || pod_is_finished(input())) {
    abandon_pulls();
    abandon_post_starts();
  }
  syncing_ = true;  // actions that fail at once must not come back here
  const Guard alive = guard();
  update_probes();
  const Plan plan = decide(input());
  for (const Action& action : plan.actions) {
    if (alive.expired()) return;
    begin(action.key);
    perform(action);
  }
  if (alive.expired()) return;
  syncing_ = false;
  schedule_wake(plan);
  if (gone_) return;
  report_refusal();
  report_deadline();
  report_back_offs();
  report_status();
}

// Why nothing of the pod is made.
void PodWorker::report_refusal() {
  if (spec_.deletion) return;
  const PodInput in = input();
  if (is_rejected(in) && !in.terminal && !std::exchange(rejection_told_, true))
    event("Warning", spec_.rejected->reason, spec_.rejected->message);
  if (spec_.refused.empty() || std::exchange(refusal_told_, true)) return;
  for (const std::string& sentence : spec_.refused)
    event("Warning", "FailedCreatePodSandBox", sentence);
}

void PodWorker::report_deadline() {
  const PodInput in = input();
  if (in.terminal || spec_.deletion || deadline_told_ || !deadline_exceeded(spec_, memory_, in.now))
    return;
  deadline_told_ = true;
  event("Normal", kDeadlineExceeded, kDeadlineMessage);
}

void PodWorker::schedule_wake(const Plan& plan) {
  wake_.cancel();
  if (!plan.wake) return;
  const Duration delay = *plan.wake - context_.clock.wall_now();
  wake_ = context_.clock.after(std::max<Duration>(delay, std::chrono::milliseconds(1)),
                               [this] { sync(); });
}

void PodWorker::end(const std::string& key) {
  busy_.erase(key);
  if (busy_.empty()) early_ends_.clear();
  if (refreshing_) refresh_again_ = true;
}

void PodWorker::perform(const Action& action) {
  switch (action.kind) {
    case ActionKind::kSetUpVolumes:
      return set_up_volumes(action);
    case ActionKind::kCreateSandbox:
      return create_sandbox(action);
    case ActionKind::kStopSandbox:
      return stop_sandbox(action);
    case ActionKind::kRemoveSandbox:
      return remove_sandbox(action);
    case ActionKind::kStartContainer:
      return start_container(action);
    case ActionKind::kStopContainer:
      return stop_container(action);
    case ActionKind::kRemoveContainer:
      return remove_container(action);
    case ActionKind::kTearDown:
      return tear_down(action);
    case ActionKind::kDeleteObject:
      return delete_object(action);
    case ActionKind::kForget:
      return forget(action);
  }
}

NodeFacts PodWorker::facts() const {
  NodeFacts node = context_.node;
  if (spec_.namespaces.host_network)
    node.pod_ips = {node.host_ip};
  else if (const SandboxInfo* sandbox = runtime_.ready_sandbox())
    node.pod_ips = sandbox->ips;
  return node;
}

EventSubject PodWorker::subject(const std::string& container) const {
  EventSubject subject{"Pod", spec_.key, uid_, ""};
  if (container.empty()) return subject;
  const bool init = std::any_of(spec_.init_containers.begin(), spec_.init_containers.end(),
                                [&](const ContainerSpec& c) { return c.name == container; });
  subject.field_path = (init ? "spec.initContainers{" : "spec.containers{") + container + "}";
  return subject;
}

void PodWorker::event(const std::string& type, const std::string& reason,
                      const std::string& message, const std::string& container) {
  if (!gone_) context_.events.record(subject(container), type, reason, message);
}

// What the container left as its last words: the end of its message file, else, if it asks for
// that and failed, of its log (kubelet kuberuntime getTerminationMessage).
void PodWorker::read_termination_message(ContainerInfo& container) const {
  if (container.state != ContainerState::kExited || !container.message.empty() || !known_) return;
  const Result<std::string> text = files::read_end(
      context_.volumes.message_path(uid_, container.name, container.attempt), kMaxMessageBytes);
  if (text.ok()) container.message = *text;
  const ContainerSpec* spec = spec_.find(container.name);
  if (!container.message.empty() || container.exit_code == 0 || spec == nullptr ||
      !spec->logs_as_termination_message)
    return;
  const Result<std::string> log =
      files::read_end(context_.logs.path(spec_, container.name, container.attempt), 64 * 1024);
  if (log.ok()) container.message = last_lines(*log, kMessageLogLines, kMessageLogBytes);
}

// What the API was told of this very container, by an earlier life of ours.
ContainerProbes::State PodWorker::told_state(const std::string& container_id) const {
  for (const char* list : {"containerStatuses", "initContainerStatuses"})
    for (const auto& status : json::items(api_status_, list))
      if (json::text(status, "containerID") == "containerd://" + container_id)
        return {json::flag(status, "started"), json::flag(status, "ready"), true};
  return {};
}

void PodWorker::report_probe(const std::string& container, ContainerProbes::Kind kind,
                             const ProbeResult& result) {
  static constexpr const char* kNames[] = {"Startup", "Readiness", "Liveness"};
  const std::string probe = std::string(kNames[static_cast<int>(kind)]) + " probe ";
  switch (result.outcome) {
    case ProbeResult::Outcome::kSuccess:
      return;
    case ProbeResult::Outcome::kWarning:
      return event("Warning", "ProbeWarning", probe + "warning: " + result.output, container);
    case ProbeResult::Outcome::kFailure:
      return event("Warning", "Unhealthy", probe + "failed: " + result.output, container);
    case ProbeResult::Outcome::kUnknown:
      return event("Warning", "Unhealthy",
                   probe + "errored and resulted in unknown state: " + result.output, container);
  }
}

void PodWorker::update_probes() {
  std::set<std::string> wanted;
  for (const ContainerSpec& spec : spec_.init_containers)
    if (spec.sidecar) update_probes_of(spec, wanted);
  for (const ContainerSpec& spec : spec_.containers) update_probes_of(spec, wanted);
  std::erase_if(probes_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

void PodWorker::update_probes_of(const ContainerSpec& spec, std::set<std::string>& wanted) {
  const ContainerInfo* container = runtime_.latest(spec.name);
  if (container == nullptr || container->state != ContainerState::kRunning) return;
  if (!spec.liveness && !spec.readiness && !spec.startup) return;
  if (memory_.in_post_start.contains(container->id)) return;
  wanted.insert(container->id);
  std::unique_ptr<ContainerProbes>& probes = probes_[container->id];
  if (!probes) {
    const NodeFacts node = facts();
    const ProbeTarget target{node.pod_ips.empty() ? node.host_ip : node.pod_ips.front(),
                             container->id};
    probes = std::make_unique<ContainerProbes>(
        context_.clock, context_.probes, spec, target, container->started_at,
        told_state(container->id),
        ContainerProbes::Callbacks{
            [this] { sync(); },
            [this, name = spec.name](ContainerProbes::Kind kind, const ProbeResult& result) {
              report_probe(name, kind, result);
            }});
  }
  if (spec_.deletion || gone_) probes->stop_liveness();
  ContainerMemory& memory = memory_.containers[spec.name];
  memory.probed_id = container->id;
  memory.started = probes->state().started;
  memory.ready = probes->state().ready;
  memory.alive = probes->state().alive;
}

// Once for every wait.
void PodWorker::report_back_offs() {
  const PodInput in = input();
  for (const auto* list : {&spec_.init_containers, &spec_.containers}) {
    for (const ContainerSpec& spec : *list) {
      const ContainerInfo* last = runtime_.latest(spec.name);
      const std::string reason = waiting_reason(in, spec, list == &spec_.init_containers).reason;
      if (reason == "ImagePullBackOff") {
        if (!backed_off_.insert(pull_key(spec.name)).second) continue;
        event("Normal", "BackOff", "Back-off pulling image \"" + spec.image + "\"", spec.name);
        event("Warning", "Failed", "Error: ImagePullBackOff", spec.name);
      } else if (reason == "CrashLoopBackOff" && backed_off_.insert(last->id).second) {
        event("Warning", "BackOff",
              "Back-off restarting failed container " + spec.name + " in pod " + spec_.key.name +
                  "_" + spec_.key.ns + "(" + uid_ + ")",
              spec.name);
      }
    }
  }
}

// Writes only what changed: what we want differs from what we wrote last, or somebody else changed
// what the server had of it.
void PodWorker::report_status() {
  if (writing_status_ || !known_ || gone_ || busy_.contains("delete")) return;
  const nlohmann::json status = pod_status({input(), api_status_, context_.node.host_ip});
  const bool same_as_written = status == written_status_;
  const bool untouched = api_status_ == accepted_status_;
  if (contains_status(api_status_, status) || (same_as_written && untouched)) return;
  write_status(status, nullptr);
}

void PodWorker::write_status(const nlohmann::json& status, std::function<void()> then) {
  writing_status_ = true;
  context_.api.patch_pod_status(
      spec_.key, uid_, status,
      [this, guard = guard(), status, then = std::move(then)](Result<nlohmann::json> reply) {
        if (guard.expired()) return;
        writing_status_ = false;
        if (reply.ok()) {
          written_status_ = status;
          accepted_status_ = json::member(*reply, "status");
          api_status_ = accepted_status_;
          if (then) return then();
          return report_status();
        }
        if (then) return then();
        if (reply.error().is_not_found() || reply.error().is_conflict())
          return;  // the watch will tell
        log::warn("pod {}: its status could not be written, trying again: {}",
                  spec_.key.to_string(), reply.error().message());
        status_retry_ = context_.clock.after(seconds(2), [this] { report_status(); });
      });
}

}  // namespace fairlead::orchestrator
