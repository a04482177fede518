// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/probe.h"

#include <algorithm>

namespace fairlead::orchestrator {

bool ProbeCounter::add(bool success) {
  run_ = success == last_ ? run_ + 1 : 1;
  last_ = success;
  if (run_ < (success ? success_threshold_ : failure_threshold_)) return false;
  const bool changed = !settled_ || result_ != success;
  settled_ = true;
  result_ = success;
  return changed;
}

struct ContainerProbes::Probe {
  Kind kind;
  ProbeSpec spec;
  ProbeCounter counter;
  Alarm next;
  std::unique_ptr<ProbeAttempt> running;
};

ContainerProbes::ContainerProbes(Clock& clock, ProbeRunner& runner, const ContainerSpec& spec,
                                 ProbeTarget target, WallTime started_at, State before,
                                 Callbacks callbacks)
    : clock_(clock),
      runner_(runner),
      target_(std::move(target)),
      started_at_(started_at),
      callbacks_(std::move(callbacks)),
      readiness_(spec.readiness),
      liveness_(spec.liveness) {
  state_.started = !spec.startup || before.started;
  state_.ready = state_.started && (!spec.readiness || before.ready);
  if (!state_.started) {
    begin(Kind::kStartup, spec.startup);
  } else {
    begin(Kind::kReadiness, readiness_);
    begin(Kind::kLiveness, liveness_);
  }
}

ContainerProbes::~ContainerProbes() = default;

void ContainerProbes::stop_liveness() {
  for (const Kind kind : {Kind::kStartup, Kind::kLiveness}) probes_[static_cast<int>(kind)].reset();
  liveness_.reset();
}

void ContainerProbes::begin(Kind kind, const std::optional<ProbeSpec>& spec) {
  if (!spec) return;
  auto& slot = probes_[static_cast<int>(kind)];
  const bool initial = kind == Kind::kLiveness || (kind == Kind::kReadiness && state_.ready);
  slot = std::make_unique<Probe>(
      Probe{kind,
            *spec,
            ProbeCounter(spec->success_threshold, spec->failure_threshold, initial),
            {},
            {}});
  schedule(*slot, std::max<Duration>(started_at_ + spec->initial_delay - clock_.wall_now(),
                                     Duration::zero()));
}

void ContainerProbes::schedule(Probe& probe, Duration delay) {
  probe.next = clock_.after(delay, [this, &probe] { attempt(probe); });
}

void ContainerProbes::attempt(Probe& probe) {
  probe.running = runner_.run(probe.spec, target_,
                              [this, &probe](ProbeResult result) { finished(probe, result); });
}

void ContainerProbes::finished(Probe& probe, const ProbeResult& result) {
  using Outcome = ProbeResult::Outcome;
  const Kind kind = probe.kind;
  const auto ended = std::move(probe.running);
  const bool success = result.outcome == Outcome::kSuccess || result.outcome == Outcome::kWarning;
  const bool settled = result.outcome != Outcome::kUnknown && probe.counter.add(success);
  // Short start-ups are to be noticed early: a container that is not ready yet is asked again soon.
  // Only for readiness, where a failure costs nothing; the others count towards a kill.
  const bool early = kind == Kind::kReadiness && !probe.counter.result() && !success &&
                     clock_.wall_now() - started_at_ < std::chrono::seconds(10);
  schedule(probe, early ? std::min<Duration>(probe.spec.period, std::chrono::seconds(1))
                        : probe.spec.period);
  const Callbacks callbacks = callbacks_;  // they may destroy this object
  const State old = state_;
  if (settled) settle(kind, probe.counter.result());
  const bool changed = !(old == state_);
  if (result.outcome != Outcome::kSuccess) callbacks.on_remark(kind, result);
  if (changed) callbacks.on_change();
}

void ContainerProbes::settle(Kind kind, bool result) {
  if (kind == Kind::kReadiness) state_.ready = result;
  if (kind != Kind::kReadiness && !result) state_.alive = false;
  if (kind == Kind::kStartup && result) {
    state_.started = true;
    state_.ready = !readiness_;
    probes_[static_cast<int>(kind)]->next.cancel();
    begin(Kind::kReadiness, readiness_);
    begin(Kind::kLiveness, liveness_);
  }
  if (state_.alive) return;
  state_.ready = false;
  for (auto& each : probes_)
    if (each) each->next.cancel(), each->running.reset();
}

}  // namespace fairlead::orchestrator
