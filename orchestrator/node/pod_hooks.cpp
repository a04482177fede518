// SPDX-License-Identifier: Apache-2.0
// PodWorker: postStart and preStop of containers (kubelet lifecycle/handlers.go and
// kuberuntime_container.go).
#include <algorithm>
#include <utility>

#include "orchestrator/node/pod_start.h"

namespace fairlead::orchestrator {

using std::chrono::seconds;

namespace {

// The kubelet sets no limit to a postStart hook; a day is as good as none.
constexpr Duration kPostStartLimit = std::chrono::hours(24);

std::string hook_name(const HookSpec& hook) {
  if (!hook.action) return "Sleep lifecycle hook (" + std::to_string(hook.sleep / seconds(1)) + ")";
  if (hook.action->kind == ProbeSpec::Kind::kHttp)
    return "HTTP lifecycle hook (" + hook.action->path + ")";
  std::string words;
  for (const std::string& word : hook.action->command) words += (words.empty() ? "" : " ") + word;
  return "Exec lifecycle hook ([" + words + "])";
}

}  // namespace

// `done` runs once, from the loop, unless the hook is abandoned: with what went wrong, or with ""
// after success and when the limit is over. Only one runs under a key.
void PodWorker::run_hook(const std::string& key, const std::string& id, const HookSpec& hook,
                         Duration limit, HookDone done) {
  auto& running = hooks_[key];
  running = std::make_unique<Hook>(Hook{std::move(done), nullptr, {}});
  const Duration until = hook.action ? limit : std::min(limit, hook.sleep);
  running->deadline = context_.clock.after(until, [this, key] {
    const std::string copy = key;  // the alarm goes with the hook
    hook_ended(copy, "");
  });
  if (!hook.action) return;
  ProbeSpec action = *hook.action;
  action.timeout = limit + seconds(1);  // the deadline comes first
  const NodeFacts node = facts();
  const ProbeTarget target{node.pod_ips.empty() ? node.host_ip : node.pod_ips.front(), id};
  running->attempt = context_.probes.run(action, target, [this, key](const ProbeResult& result) {
    const bool good = result.outcome == ProbeResult::Outcome::kSuccess ||
                      result.outcome == ProbeResult::Outcome::kWarning;
    const std::string copy = key;  // the attempt goes with the hook
    hook_ended(copy, good                    ? ""
                     : result.output.empty() ? "it failed without a word"
                                             : result.output);
  });
}

void PodWorker::hook_ended(const std::string& key, const std::string& failure) {
  const auto found = hooks_.find(key);
  if (found == hooks_.end()) return;
  const std::unique_ptr<Hook> ended = std::move(found->second);
  hooks_.erase(found);
  ended->done(failure);
}

// The container runs and is known to, so that it can be stopped; it is said to when the hook is
// done.
void PodWorker::run_post_start(const std::shared_ptr<Start>& start, const std::string& id) {
  memory_.in_post_start.insert(id);
  run_hook("start:" + id, id, *start->spec.post_start, kPostStartLimit,
           [this, start, id](const std::string& failure) {
             if (failure.empty()) return started(start, id);
             post_start_failed(start, id, failure);
           });
  refresh();
}

// The event says no more: what a hook was answered may be a secret.
void PodWorker::post_start_failed(const std::shared_ptr<Start>& start, const std::string& id,
                                  const std::string& failure) {
  const ContainerSpec& spec = start->spec;
  event("Warning", "FailedPostStartHook", "PostStartHook failed", spec.name);
  ContainerMemory& memory = memory_.containers[spec.name];
  memory.pull_failed = false;
  memory.failure = Failure{kPostStartHookError,
                           hook_name(*spec.post_start) + " for Container \"" + spec.name +
                               "\" in Pod \"" + spec_.key.name + "_" + spec_.key.ns + "(" + uid_ +
                               ")\" failed - error: " + failure,
                           context_.clock.wall_now()};
  end(start->action.key);
  const Action stop{.kind = ActionKind::kStopContainer,
                    .key = "stop:" + id,
                    .container = spec.name,
                    .id = id,
                    .grace = std::max(spec_.grace, kMinGrace),
                    .restart = spec_.restart_policy != RestartPolicy::kNever,
                    .message = "FailedPostStartHook"};
  if (!busy_.contains(stop.key)) {
    begin(stop.key);
    stop_container(stop);
  }
  sync();
}

// A container that is to end waits for no hook of its beginning. It is not said to run any more.
void PodWorker::abandon_post_start(const Action& stop) {
  if (hooks_.erase("start:" + stop.id) != 0) end("container:" + stop.container);
}

// Of a pod that is to end: what the runtime has ended waits for no hook either.
void PodWorker::abandon_post_starts() {
  for (const ContainerInfo& container : runtime_.containers)
    if (container.state == ContainerState::kExited && hooks_.erase("start:" + container.id) != 0)
      end("container:" + container.name);
}

// What the hook takes is taken from the grace period.
void PodWorker::run_pre_stop(const Action& action, const HookSpec& hook) {
  run_hook("stop:" + action.id, action.id, hook, action.grace,
           [this, action, began = context_.clock.now()](const std::string& failure) {
             if (!failure.empty())
               event("Warning", "FailedPreStopHook", "PreStopHook failed", action.container);
             const auto took = std::chrono::duration_cast<seconds>(context_.clock.now() - began);
             Action rest = action;
             rest.grace = std::max<Duration>(action.grace - took, kMinGrace);
             stop_in_runtime(rest);
           });
}

}  // namespace fairlead::orchestrator
