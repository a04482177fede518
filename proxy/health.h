// SPDX-License-Identifier: Apache-2.0
// /healthz and /livez with kube-proxy's meaning (pkg/proxy/healthcheck/proxy_health.go) and more
// honesty: healthy is that the tables are in the kernel and up to date, not that a loop runs.
//
//   /healthz  200: send me traffic. 503 too when the Node is missing, being deleted, or tainted by
//             the cluster autoscaler, so that load balancers leave it before it goes.
//   /livez    200: no need to restart me. The Node does not matter, nor that the API server has not
//             answered yet.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/http/ops_server.h"
#include "base/metrics.h"
#include "kube/objects.h"

namespace fairlead::proxy {

struct FamilyHealth {
  Family family = Family::kIpv4;
  bool healthy = false;
  WallTime last_updated;
};

struct HealthReport {
  bool healthy = false;
  std::optional<bool> node_eligible;  // not told by /livez
  std::string reason;                 // why not
  WallTime now;
  WallTime last_updated;  // told only while not healthy: else it is now, as in kube-proxy
  std::vector<FamilyHealth> families;
};

// {"lastUpdated":...,"currentTime":...,"nodeEligible":true,"healthy":true,"status":{"IPv4":...}},
// and "reason" when there is one. Pure.
std::string to_json(const HealthReport& report);

// "2026-01-02T03:04:05.678901234Z" as Go writes time in JSON. Pure.
std::string rfc3339_nano(WallTime time);

// Why this node should get no traffic from outside; empty: it should. Pure.
std::string why_not_eligible(bool missing, const std::optional<kube::Node>& node);

class ProxyHealth {
 public:
  struct Sources {
    std::function<bool()> synced;         // Services are known, programming has begun
    std::function<Result<void>()> check;  // asks the kernel
    // `well`: the check has just passed, so that each is. Else who is not is found out.
    std::function<std::vector<FamilyHealth>(bool well)> families;
    std::function<std::string()> node;  // why_not_eligible
  };
  // How long the first programming may take before /livez complains.
  static constexpr Duration kStartGrace = std::chrono::minutes(1);
  // How old an answer may be for those who ask often.
  static constexpr Duration kRecent = std::chrono::seconds(1);

  // The clock and metrics must outlive it. Threads: the loop's.
  ProxyHealth(Clock& clock, Metrics& metrics, Sources sources);

  HealthAnswer healthz();
  HealthAnswer livez();
  // Of the proxy alone, whatever its node; at most kRecent old.
  bool healthy();

 private:
  HealthReport report();
  HealthAnswer answer(const char* metric, const HealthReport& report, bool good);

  Clock& clock_;
  Metrics& metrics_;
  const Sources sources_;
  std::optional<MonoTime> synced_at_;
  bool was_healthy_ = false;
  std::optional<MonoTime> asked_at_;
  bool recent_ = false;
};

}  // namespace fairlead::proxy
