// SPDX-License-Identifier: Apache-2.0
#include "dns/change_latency.h"

#include <algorithm>

#include "base/rfc3339.h"

namespace fairlead::dns {
namespace {

constexpr const char* kTrigger = "endpoints.kubernetes.io/last-change-trigger-time";

uint64_t nanoseconds_since(Duration duration) {
  return static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0));
}

}  // namespace

std::optional<WallTime> trigger_time(const kube::EndpointSlice& slice) {
  const auto at = slice.meta.annotations.find(kTrigger);
  if (at == slice.meta.annotations.end()) return {};
  return parse_rfc3339(at->second);
}

void ChangeLatency::event(MonoTime read) {
  if (!read_.empty() && read_.back().first == read)
    ++read_.back().second;
  else
    read_.emplace_back(read, 1);
}

void ChangeLatency::slice(const kube::EndpointSlice& slice) {
  if (const auto triggered = trigger_time(slice))
    slices_.emplace_back(kube::ObjectKey{slice.meta.ns, slice.service_name}, *triggered);
}

void ChangeLatency::published(WallTime now, bool changes) {
  for (const auto& [service, triggered] : slices_)
    if (const auto headless = zone_.is_headless(service))
      observe(*headless ? histograms_.headless : histograms_.cluster_ip, kProgrammingBounds,
              nanoseconds_since(now - triggered));
  slices_.clear();
  if (changes) published_.insert(published_.end(), read_.begin(), read_.end());
  read_.clear();
}

void ChangeLatency::served(MonoTime now) {
  for (const auto& [read, events] : published_)
    for (uint64_t i = 0; i < events; ++i)
      observe(histograms_.to_answer, kAnswerBounds, nanoseconds_since(now - read));
  published_.clear();
}

void ChangeHistograms::render(std::string& out) const {
  constexpr const char* kProgramming = "coredns_kubernetes_dns_programming_duration_seconds";
  constexpr const char* kToAnswer = "fairlead_dns_event_to_answer_seconds";
  render_head(out, kProgramming, "histogram",
              "Histogram of the time (in seconds) it took to program a dns instance.");
  render_seconds(out, kProgramming, "service_kind=\"cluster_ip\"", cluster_ip, kProgrammingBounds);
  render_seconds(out, kProgramming, "service_kind=\"headless_with_selector\"", headless,
                 kProgrammingBounds);
  render_head(out, kToAnswer, "histogram",
              "From the last byte read of an event to the moment every worker answers with it.");
  render_seconds(out, kToAnswer, "", to_answer, kAnswerBounds);
}

}  // namespace fairlead::dns
