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
                                 ProbeTarget target, WallTime started_at, Callbacks callbacks)
    : clock_(clock),
      runner_(runner),
      target_(std::move(target)),
      started_at_(started_at),
      callbacks_(std::move(callbacks)),
      readiness_(spec.readiness),
      liveness_(spec.liveness) {
  state_.started = !spec.startup;
  state_.ready = state_.started && !spec.readiness;
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
  slot = std::make_unique<Probe>(
      Probe{kind,
            *spec,
            ProbeCounter(spec->success_threshold, spec->failure_threshold, kind == Kind::kLiveness),
            {},
            {}});
  schedule(*slot, std::max<Duration>(started_at_ + spec->initial_delay - clock_.wall_now(),
                                     Duration::zero()));
}

void ContainerProbes::schedule(Probe& probe, Duration delay) {
  probe.next = clock_.after(delay, [this, &probe] { attempt(probe); });
}

void ContainerProbes::attempt(Probe& probe) {
  probe.running =
      runner_.run(probe.spec, target_, [this, &probe](bool success, const std::string& output) {
        finished(probe, success, output);
      });
}

void ContainerProbes::finished(Probe& probe, bool success, const std::string& output) {
  const Kind kind = probe.kind;
  const bool settled = probe.counter.add(success);
  const auto ended = std::move(probe.running);
  // A probe that has not made the container ready yet asks again soon, so that short start-ups are
  // noticed early; otherwise each period.
  const bool early = kind != Kind::kLiveness && !probe.counter.result() && !success &&
                     clock_.wall_now() - started_at_ < std::chrono::seconds(10);
  schedule(probe, early ? std::min<Duration>(probe.spec.period, std::chrono::seconds(1))
                        : probe.spec.period);
  const Callbacks callbacks = callbacks_;  // they may destroy this object
  State next = state_;
  if (settled) {
    const bool result = probe.counter.result();
    if (kind == Kind::kReadiness) next.ready = result;
    if (kind != Kind::kReadiness && !result) next.alive = false;
    if (kind == Kind::kStartup && result) next.started = true, next.ready = !readiness_;
    if (!next.alive) next.ready = false;
  }
  const bool changed = !(next == state_);
  state_ = next;
  if (settled && kind == Kind::kStartup) {
    probe.next.cancel();
    if (state_.started) begin(Kind::kReadiness, readiness_), begin(Kind::kLiveness, liveness_);
  }
  if (!state_.alive)
    for (auto& each : probes_)
      if (each) each->next.cancel();
  if (!success) callbacks.on_failure(kind, output);
  if (changed) callbacks.on_change();
}

}  // namespace fairlead::orchestrator
