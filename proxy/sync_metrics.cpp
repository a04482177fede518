// SPDX-License-Identifier: Apache-2.0
#include "proxy/sync_metrics.h"

#include <algorithm>

#include "base/rfc3339.h"

namespace fairlead::proxy {

namespace {

constexpr const char* kTriggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";
constexpr const char* kPrefix = "kubeproxy_";

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

const char* label_of(Family family) {
  return family == Family::kIpv4 ? "IPv4" : "IPv6";
}

// kube-proxy's, so that nodes of both can be added up (pkg/proxy/metrics, kubeproxy_network_
// programming_duration_seconds): 0.25 s, 0.5 s, every second to a minute, every five to five.
std::vector<double> programming_bounds() {
  std::vector<double> bounds = {0.25, 0.5};
  for (int seconds = 1; seconds < 60; ++seconds) bounds.push_back(seconds);
  for (int seconds = 60; seconds <= 300; seconds += 5) bounds.push_back(seconds);
  return bounds;
}

}  // namespace

void SyncMetrics::add_family(Family family) {
  const MetricLabels labels = {{"ip_family", label_of(family)}};
  const std::string prefix = kPrefix, sync = prefix + "sync_proxy_rules_";
  const auto durations = [&](const std::string& name, const char* help) {
    return metrics_.histogram(name, help, exponential_bounds(1e-3, 2, 18), labels);
  };
  const auto no_local = [&](const char* policy) {
    return metrics_.gauge(sync + "no_local_endpoints_total",
                          "Service ports with traffic policy Local and no endpoint here",
                          {{"ip_family", label_of(family)}, {"traffic_policy", policy}});
  };
  families_.emplace(
      family,
      OfFamily{
          metrics_.histogram("fairlead_proxy_change_to_kernel_seconds",
                             "From the arrival of a change to the kernel's acknowledgement",
                             exponential_bounds(50e-6, 2, 18), labels),
          metrics_.histogram(prefix + "network_programming_duration_seconds",
                             "From the change of a pod or Service to the kernel's acknowledgement",
                             programming_bounds(), labels),
          durations(sync + "duration_seconds", "Of each transaction"),
          durations(prefix + "sync_full_proxy_rules_duration_seconds",
                    "Of each transaction of a table's load"),
          durations(prefix + "sync_partial_proxy_rules_duration_seconds",
                    "Of each transaction that changes a table"),
          durations(prefix + "conntrack_reconciler_sync_duration_seconds",
                    "Of each look for stale UDP flows"),
          metrics_.gauge(sync + "last_timestamp_seconds",
                         "When the kernel was last known to have all that is wanted", labels),
          metrics_.gauge(sync + "last_queued_timestamp_seconds", "When a change last arrived",
                         labels),
          metrics_.counter(sync + "nftables_sync_failures_total",
                           "Transactions the kernel refused or did not answer", labels),
          metrics_.counter(prefix + "conntrack_reconciler_deleted_entries_total",
                           "Stale UDP flows deleted", labels),
          no_local("internal"), no_local("external")});
}

SyncMetrics::Changes SyncMetrics::changes(const std::string& name, const std::string& of) {
  const std::string prefix = std::string(kPrefix) + "sync_proxy_rules_" + name + "_changes_";
  return {metrics_.counter(prefix + "total", "Changes of " + of + " seen"),
          metrics_.gauge(prefix + "pending", "Changes of " + of + " since all was programmed")};
}

void SyncMetrics::service_changed(const Dirty& dirty, WallTime now) {
  queued(dirty, services_, now);
}

void SyncMetrics::slice_changed(const kube::EndpointSlice* slice, const Dirty& dirty,
                                WallTime now) {
  queued(dirty, endpoints_, now);
  if (slice == nullptr) {  // kube-proxy forgets them too (endpointschangetracker.go)
    for (const Frontend& frontend : dirty) triggers_.erase(frontend);
    return;
  }
  const auto annotation = slice->meta.annotations.find(kTriggerAnnotation);
  if (annotation == slice->meta.annotations.end()) return;
  const auto when = parse_rfc3339(annotation->second);
  if (!when || *when <= began_) return;
  for (const auto& [family, of_family] : families_) {
    const auto first = std::find_if(dirty.begin(), dirty.end(), [&](const Frontend& frontend) {
      return frontend.family() == family;
    });
    if (first == dirty.end()) continue;
    std::vector<WallTime>& triggers = triggers_[*first];
    if (triggers.size() < kMostTriggers) triggers.push_back(*when);
  }
}

void SyncMetrics::queued(const Dirty& dirty, const Changes& changes, WallTime now) {
  changes.total.add();
  if (dirty.empty()) return;
  changes.pending.add(1);
  for (const auto& [family, of_family] : families_)
    if (std::any_of(dirty.begin(), dirty.end(),
                    [&](const Frontend& frontend) { return frontend.family() == family; }))
      of_family.queued.set(in_seconds(now.time_since_epoch()));
}

void SyncMetrics::acknowledged(
    Family family, const std::vector<std::pair<Frontend, std::optional<MonoTime>>>& frontends,
    MonoTime now, WallTime wall_now) {
  const OfFamily& of_family = families_.at(family);
  for (const auto& [frontend, since] : frontends) {
    if (since) of_family.latency.observe(in_seconds(now - *since));
    if (triggers_.empty()) continue;
    const auto found = triggers_.find(frontend);
    if (found == triggers_.end()) continue;
    for (const WallTime when : found->second)
      of_family.programming.observe(std::max(0.0, in_seconds(wall_now - when)));
    triggers_.erase(found);
  }
}

void SyncMetrics::committed(Family family, Duration took, bool full, WallTime now) {
  const OfFamily& of_family = families_.at(family);
  of_family.last.set(in_seconds(now.time_since_epoch()));
  of_family.sync.observe(in_seconds(took));
  (full ? of_family.full_sync : of_family.partial_sync).observe(in_seconds(took));
}

void SyncMetrics::flows_listed(Family family, Duration took) {
  families_.at(family).listing.observe(in_seconds(took));
}

void SyncMetrics::flow_deleted(Family family) {
  families_.at(family).deleted.add();
}

void SyncMetrics::refresh(Family family, uint64_t failures, bool in_step, WallTime now,
                          const ServiceMap& services) {
  OfFamily& of_family = families_.at(family);
  const uint64_t before = std::exchange(of_family.failures_counted, failures);
  of_family.failures.add(static_cast<double>(failures - before));
  of_family.internal.set(static_cast<double>(services.count_without_local(family, true)));
  of_family.external.set(static_cast<double>(services.count_without_local(family, false)));
  if (in_step) of_family.last.set(in_seconds(now.time_since_epoch()));
}

void SyncMetrics::nothing_is_pending() const {
  services_.pending.set(0);
  endpoints_.pending.set(0);
}

}  // namespace fairlead::proxy
