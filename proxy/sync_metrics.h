// SPDX-License-Identifier: Apache-2.0
// What /metrics says of programming, by kube-proxy's names where the meaning is the same
// (pkg/proxy/metrics/metrics.go). Of what kube-proxy does in one "sync", this process does a
// transaction: a full one loads a table, a partial one changes it.
//
// Pure but for the handles: whoever calls tells the time. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/time.h"
#include "proxy/service_map.h"

namespace fairlead::proxy {

class SyncMetrics {
 public:
  // Triggers older than `began` are not observed: nobody was there to act.
  SyncMetrics(Metrics& metrics, WallTime began) : metrics_(metrics), began_(began) {}
  void add_family(Family family);

  // A change has arrived of that many frontends. `slice`: with the moment of the pod's own change,
  // if it says so (annotation endpoints.kubernetes.io/last-change-trigger-time). Null: one has
  // gone, and with it such moments; or none is to be remembered.
  void service_changed(const Dirty& dirty, WallTime now);
  void slice_changed(const kube::EndpointSlice* slice, const Dirty& dirty, WallTime now);
  // The kernel has these, with when each change of them arrived.
  void acknowledged(Family family,
                    const std::vector<std::pair<Frontend, std::optional<MonoTime>>>& frontends,
                    MonoTime now, WallTime wall_now);
  void committed(Family family, Duration took, bool full, WallTime now);
  void flows_listed(Family family, Duration took);
  void flow_deleted(Family family);
  // Before they are read. `failures`: of transactions, so far. `in_step`: nothing of the family is
  // left to be programmed.
  void refresh(Family family, uint64_t failures, bool in_step, WallTime now,
               const ServiceMap& services);
  // Of any family.
  void nothing_is_pending() const;

 private:
  // Of one change at most so many pods' changes are remembered until it is programmed.
  static constexpr size_t kMostTriggers = 64;

  struct OfFamily {
    Histogram latency, programming, sync, full_sync, partial_sync, listing;
    Gauge last, queued;
    Counter failures, deleted;
    Gauge internal, external;  // service ports without an endpoint here
    uint64_t failures_counted = 0;
  };
  struct Changes {
    Counter total;
    Gauge pending;
  };

  Changes changes(const std::string& name, const std::string& of);
  void queued(const Dirty& dirty, const Changes& changes, WallTime now);

  Metrics& metrics_;
  const WallTime began_;
  std::map<Family, OfFamily> families_;
  const Changes services_ = changes("service", "Services"),
                endpoints_ = changes("endpoint", "EndpointSlices");
  // By one frontend of each change in each family: when that is programmed, so is the change.
  std::unordered_map<Frontend, std::vector<WallTime>> triggers_;
};

}  // namespace fairlead::proxy
