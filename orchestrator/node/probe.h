// SPDX-License-Identifier: Apache-2.0
// Startup, readiness and liveness probes of one running container.
//
// Semantics (kubelet prober): a result counts once it was seen `threshold` times in a row;
// readiness begins false, liveness true; a startup probe holds the other two back until it
// succeeds; after liveness or startup failed nothing more is asked, the container is about to be
// replaced. An attempt that could not be made (the runtime is away) counts for nothing.
//
// Threads: the loop's. Destroying it stops everything; no callback runs after. Each probe has one
// attempt under way at most.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/loop.h"
#include "orchestrator/node/cri.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// Counts results against a probe's thresholds; no I/O.
class ProbeCounter {
 public:
  ProbeCounter(int success_threshold, int failure_threshold, bool initial)
      : success_threshold_(success_threshold),
        failure_threshold_(failure_threshold),
        result_(initial) {}
  // True when result() changed, or was settled for the first time.
  bool add(bool success);
  bool result() const { return result_; }
  bool settled() const { return settled_; }

 private:
  int success_threshold_;
  int failure_threshold_;
  bool result_;
  bool settled_ = false;
  bool last_ = false;
  int run_ = 0;
};

// One attempt. Destroying it cancels.
class ProbeAttempt {
 public:
  virtual ~ProbeAttempt() = default;
};
struct ProbeResult {
  // kWarning is a success with a remark. kUnknown: nobody could ask.
  enum class Outcome { kSuccess, kWarning, kFailure, kUnknown };
  Outcome outcome = Outcome::kUnknown;
  std::string output;
};
using ProbeDone = std::function<void(ProbeResult)>;

struct ProbeTarget {
  std::string pod_ip;
  std::string container_id;
};

// The narrow boundary that tests replace.
class ProbeRunner {
 public:
  virtual ~ProbeRunner() = default;
  // `done` runs once, never from inside, unless the attempt is destroyed first.
  [[nodiscard]] virtual std::unique_ptr<ProbeAttempt> run(const ProbeSpec& probe,
                                                          const ProbeTarget& target,
                                                          ProbeDone done) = 0;
};

// HTTP through the transport (certificates are not verified, as in Kubernetes; redirects are
// followed on the same host, and one that leads elsewhere is a success with a warning), TCP by
// connecting, exec through CRI.
class NetworkProbeRunner : public ProbeRunner {
 public:
  NetworkProbeRunner(Loop& loop, Cri& cri);
  [[nodiscard]] std::unique_ptr<ProbeAttempt> run(const ProbeSpec& probe, const ProbeTarget& target,
                                                  ProbeDone done) override;

 private:
  Loop& loop_;
  Cri& cri_;
  HttpClient http_;
};

// Where a redirect from `url` leads, if it stays on the same host; nullopt: elsewhere, or to
// nothing that HTTP could get.
std::optional<std::string> same_host_redirect(const std::string& url, const std::string& location);

// The probes of one container: made when it runs, destroyed when it ends.
class ContainerProbes {
 public:
  struct State {
    bool started = false;
    bool ready = false;
    bool alive = true;
    bool operator==(const State&) const = default;
  };
  enum class Kind { kStartup, kReadiness, kLiveness };
  // on_change: state() changed. on_remark: an attempt that is no plain success, for the event.
  struct Callbacks {
    std::function<void()> on_change;
    std::function<void(Kind, const ProbeResult&)> on_remark;
  };

  // `before`: what an earlier life of the node found this same container to be; it holds until
  // probes say otherwise, so that a restart of the node takes no pod out of its Services.
  ContainerProbes(Clock& clock, ProbeRunner& runner, const ContainerSpec& spec, ProbeTarget target,
                  WallTime started_at, State before, Callbacks callbacks);
  ~ContainerProbes();

  const State& state() const { return state_; }
  // The pod is being deleted: readiness goes on, nothing restarts the container any more.
  void stop_liveness();

 private:
  struct Probe;
  void begin(Kind kind, const std::optional<ProbeSpec>& spec);
  void schedule(Probe& probe, Duration delay);
  void attempt(Probe& probe);
  void finished(Probe& probe, const ProbeResult& result);
  void settle(Kind kind, bool result);

  Clock& clock_;
  ProbeRunner& runner_;
  ProbeTarget target_;
  WallTime started_at_;
  Callbacks callbacks_;
  State state_;
  std::optional<ProbeSpec> readiness_;
  std::optional<ProbeSpec> liveness_;
  std::unique_ptr<Probe> probes_[3];
};

}  // namespace fairlead::orchestrator
