// SPDX-License-Identifier: Apache-2.0
// The pod state machine: from what a pod should be, what the runtime has of it and the time, what
// to do next. Pure: no I/O, no clock, no log.
//
// Level-triggered: decide() looks at everything each time and remembers nothing. Whoever carries
// the actions out keeps PodMemory (lost with the process, which costs a shorter back-off at worst),
// names what is under way in `busy`, and asks again when an action ends, something changes, or
// Plan::wake is reached.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "orchestrator/node/backoff.h"
#include "orchestrator/node/cri.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// What the runtime has of one pod.
struct PodRuntime {
  std::vector<SandboxInfo> sandboxes;
  std::vector<ContainerInfo> containers;

  // The newest of that name, in `sandbox_id` or (empty) in any.
  const ContainerInfo* latest(const std::string& name, const std::string& sandbox_id = "") const;
  // The one before latest(name).
  const ContainerInfo* previous(const std::string& name) const;
  // The newest sandbox, if it is ready.
  const SandboxInfo* ready_sandbox() const;
  const SandboxInfo* newest_sandbox() const;
  bool operator==(const PodRuntime&) const = default;
};

// What went wrong last, in Kubernetes' words: {"ErrImagePull", "..."}.
struct Failure {
  std::string reason;
  std::string message;
  WallTime at;
};

// The reason of a container that was made and could not be run.
inline constexpr char kRunContainerError[] = "RunContainerError";
// The reason of a container that was stopped because its postStart hook failed.
inline constexpr char kPostStartHookError[] = "PostStartHookError";

struct ContainerMemory {
  Backoff restarts;
  Backoff pulls;
  std::optional<Failure> failure;  // of the last attempt to create or start; none after success
  bool pull_failed = false;        // `failure` is one of getting the image
  // The container that was stopped to have another in its place: how it ended says nothing.
  std::string replaced_id;
  // The runtime may have forgotten containers the API still counts.
  uint32_t next_attempt_floor = 0;
  // What probes say of the container with this id. Without probes: started and ready once running.
  std::string probed_id;
  bool started = false;
  bool ready = false;
  bool alive = true;
};

struct PodMemory {
  std::map<std::string, ContainerMemory> containers;
  bool volumes_ready = false;
  bool torn_down = false;                          // volumes and processes are gone, for good
  std::optional<Failure> failure;                  // of volumes or the sandbox
  std::optional<WallTime> start_time;              // status.startTime
  std::optional<MonoTime> deletion_seen;           // with the grace period that holds now
  std::map<std::string, MonoTime> stop_deadlines;  // by container id: when the runtime will kill
  std::set<std::string> in_post_start;             // ids: they run, and are not said to yet
};

enum class ActionKind {
  kSetUpVolumes,
  kCreateSandbox,
  kStopSandbox,
  kRemoveSandbox,
  kStartContainer,  // image, configuration, create, start
  kStopContainer,
  kRemoveContainer,
  kTearDown,      // processes and volumes
  kDeleteObject,  // final status, then the API object with grace 0
  kForget,        // nothing is left of the pod
};

struct Action {
  ActionKind kind{};
  std::string key{};        // stands in `busy` while under way
  std::string container{};  // its name
  std::string id{};         // of the sandbox or container
  uint32_t attempt = 0;
  Duration grace{};
  // Of a start: it advances the restart back-off. Of a stop: another is to be started.
  bool restart = false;
  WallTime failed_at{};   // of a restart: when the last one ended
  std::string message{};  // for the event of a kill
};

struct Plan {
  std::vector<Action> actions;
  std::optional<WallTime> wake;  // nothing may have changed, but look again then
};

struct PodInput {
  const PodSpec& spec;
  const PodRuntime& runtime;
  const PodMemory& memory;
  const std::set<std::string>& busy;
  bool gone = false;      // the API object is gone
  bool terminal = false;  // its phase is Succeeded or Failed already
  WallTime now;
  MonoTime mono{};  // for grace periods, which no change of the clock shortens

  const ContainerMemory& memory_of(const std::string& container) const;
};

Plan decide(const PodInput& input);

// Whether nothing of the pod will run again by itself.
bool pod_is_finished(const PodInput& input);
// activeDeadlineSeconds, and what status and event say when it is over.
inline constexpr char kDeadlineExceeded[] = "DeadlineExceeded";
inline constexpr char kDeadlineMessage[] =
    "Pod was active on the node longer than the specified deadline";
bool deadline_exceeded(const PodSpec& spec, const PodMemory& memory, WallTime now);
// Whether the pod is not let in (its spec.rejected): not when it runs already.
bool is_rejected(const PodInput& input);
// Whether the failure is of a container that was there and ended: its restarts are delayed.
bool is_of_a_run(const Failure& failure);
// Whether a sidecar has come so far that what stands after it may start.
bool sidecar_started(const PodInput& input, const ContainerSpec& sidecar);
// Whether a container of the pod that has ended is started again.
bool runs_again(const PodInput& input, const ContainerInfo& ended, bool init);

// After a failure that is not the container's own fault: time between attempts.
inline constexpr Duration kRetryDelay = std::chrono::seconds(10);
inline constexpr Duration kVolumeRetryDelay = std::chrono::seconds(2);
// The least that a container gets between SIGTERM and SIGKILL (the kubelet's).
inline constexpr Duration kMinGrace = std::chrono::seconds(2);

}  // namespace fairlead::orchestrator
