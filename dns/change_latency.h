// SPDX-License-Identifier: Apache-2.0
// How long a change in the cluster takes until it is answered with. It reads no clock: times are
// arguments. Threads: the program's.
//
// CoreDNS's histogram begins when the change happened, as the controller of EndpointSlices notes it
// in an annotation, so it holds the API server and two machines' clocks, too. Ours begins when the
// bytes of the event have been read here, and ends when no worker answers with anything older: what
// this server adds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "dns/metrics.h"
#include "dns/zone/zone.h"

namespace fairlead::dns {

// From 1 ms in powers of two, in nanoseconds: prometheus.ExponentialBuckets(0.001, 2, 20).
constexpr auto kProgrammingBounds = [] {
  std::array<uint64_t, 20> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = uint64_t{1'000'000} << i;
  return bounds;
}();
// From 25 us in powers of two.
constexpr auto kAnswerBounds = [] {
  std::array<uint64_t, 16> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = uint64_t{25'000} << i;
  return bounds;
}();

// Of all clusters together.
struct ChangeHistograms {
  Histogram<kProgrammingBounds.size()> cluster_ip;
  Histogram<kProgrammingBounds.size()> headless;  // with selector: only these have the annotation
  Histogram<kAnswerBounds.size()> to_answer;

  void render(std::string& out) const;
};

// When what the slice tells of happened: annotation
// endpoints.kubernetes.io/last-change-trigger-time (RFC 3339). Nothing: it has none, or none that
// can be read.
std::optional<WallTime> trigger_time(const kube::EndpointSlice& slice);

class ChangeLatency {
 public:
  // Both outlive it.
  ChangeLatency(const Zone& zone, ChangeHistograms& histograms)
      : zone_(zone), histograms_(histograms) {}

  // A change came in bytes that were read at `read`.
  void event(MonoTime read);
  // One of them was this.
  void slice(const kube::EndpointSlice& slice);
  // All that came is published; `changes`: any of it changes an answer.
  void published(WallTime now, bool changes);
  bool waits_for_readers() const { return !published_.empty(); }
  // No worker answers with anything older.
  void served(MonoTime now);

 private:
  // When it was read, and how many events in the same bytes.
  using Events = std::vector<std::pair<MonoTime, uint64_t>>;

  const Zone& zone_;
  ChangeHistograms& histograms_;
  Events read_;
  Events published_;
  std::vector<std::pair<kube::ObjectKey, WallTime>> slices_;  // services, and when they changed
};

}  // namespace fairlead::dns
