// SPDX-License-Identifier: Apache-2.0
// What the server counts, under the names CoreDNS has for it, so that dashboards go on working.
//
// Threads: each worker writes counters of its own without locks; render() sums them from any
// thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

// One writer, any number of readers.
class Counter {
 public:
  void add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

template <size_t N>
struct Histogram {
  std::array<Counter, N + 1> buckets;  // the last: more than every bound
  Counter sum;
};

template <size_t N>
void observe(Histogram<N>& histogram, const std::array<uint64_t, N>& bounds, uint64_t value) {
  const auto at = std::lower_bound(bounds.begin(), bounds.end(), value);
  histogram.buckets[static_cast<size_t>(at - bounds.begin())].add();
  histogram.sum.add(value);
}

// CoreDNS's bounds: seconds in powers of two from 0.25 ms, and bytes.
constexpr std::array<uint64_t, 16> kDurationBounds = {  // in nanoseconds
    250'000,       500'000,       1'000'000,     2'000'000,    4'000'000,   8'000'000,
    16'000'000,    32'000'000,    64'000'000,    128'000'000,  256'000'000, 512'000'000,
    1'024'000'000, 2'048'000'000, 4'096'000'000, 8'192'000'000};
constexpr std::array<uint64_t, 14> kSizeBounds = {0,    100,  200,  300,   400,   511,   1023,
                                                  2047, 4095, 8291, 16000, 32000, 48000, 64000};
constexpr std::array<std::string_view, 20> kCountedTypes = {
    "other", "A",   "AAAA", "MX", "SOA",   "CNAME", "PTR",   "TXT",    "NS",   "SRV",
    "HTTPS", "ANY", "SVCB", "DS", "RRSIG", "NSEC",  "NSEC3", "DNSKEY", "IXFR", "AXFR"};
constexpr size_t kCountedRcodes = 17;
// What the queries for one zone of one server came to, in one worker.
struct BlockMetrics {
  static constexpr size_t kMaxPlugins = 64;  // by PluginId

  // By UDP and TCP, and by family.
  std::array<std::array<std::array<Counter, kCountedTypes.size()>, 2>, 2> requests;
  Counter dnssec_ok;  // requests with the DO bit
  std::array<std::array<Counter, kCountedRcodes>, kMaxPlugins> responses;
  Histogram<kDurationBounds.size()> duration;
  std::array<Histogram<kSizeBounds.size()>, 2> request_size;
  std::array<Histogram<kSizeBounds.size()>, 2> response_size;

  void count_request(const Client& client, Type type, bool wants_dnssec, size_t size);
  void count_response(const Client& client, PluginId plugin, Rcode rcode, size_t size,
                      uint64_t nanoseconds);
};

// The labels of a BlockMetrics: "dns://:53" and the zone, as CoreDNS has them.
struct BlockLabels {
  std::string server;
  std::string zone;
  auto operator<=>(const BlockLabels&) const = default;
};

struct WorkerMetrics {
  Counter dropped;         // no query, or malformed ones beyond the rate we answer
  Counter trailing_bytes;  // queries with something behind their last record
  Counter receive_calls;   // recvmmsg
  Counter send_calls;      // sendmmsg and sendmsg
  Counter send_failures;
  Counter tcp_accepted;
  Counter tcp_refused;  // over a limit
  Counter tcp_evicted;  // idle, to make room
  Counter tcp_timeouts;

  // Kept for good, so that counters go on when a block is served again. Any thread.
  BlockMetrics& block(const BlockLabels& labels);
  // Any thread.
  std::vector<std::pair<BlockLabels, const BlockMetrics*>> blocks() const;
  uint64_t queries() const;
  // Queries left unanswered so that other clients have their share (dns/server/fair_share.h), by
  // the label of the server. Kept for good; any thread.
  Counter& shed(const std::string& server);
  std::vector<std::pair<std::string, uint64_t>> shed() const;

 private:
  mutable std::mutex mutex_;
  std::map<BlockLabels, std::unique_ptr<BlockMetrics>> blocks_;  // under mutex_
  std::map<std::string, Counter> shed_;                          // under mutex_
};

// All workers' counters in the Prometheus text format, appended to `out`.
void render_metrics(std::span<const std::unique_ptr<WorkerMetrics>> workers, std::string& out);
// One gauge or counter with its head.
void render_value(std::string& out, std::string_view name, std::string_view type,
                  std::string_view help, std::string_view labels, uint64_t value);

// The head of a family of metrics.
void render_head(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help);
// One histogram without its head; bounds and sum are nanoseconds and shown as seconds.
void render_seconds(std::string& out, std::string_view name, std::string_view labels,
                    std::span<const Counter> buckets, std::span<const uint64_t> bounds,
                    uint64_t sum);
template <size_t N>
void render_seconds(std::string& out, std::string_view name, std::string_view labels,
                    const Histogram<N>& histogram, const std::array<uint64_t, N>& bounds) {
  render_seconds(out, name, labels, histogram.buckets, bounds, histogram.sum.get());
}

}  // namespace fairlead::dns
