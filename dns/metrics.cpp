// SPDX-License-Identifier: Apache-2.0
#include "dns/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/registry.h"

namespace fairlead::dns {
namespace {

size_t type_index(Type type) {
  switch (static_cast<uint16_t>(type)) {
    case 1:
      return 1;
    case 28:
      return 2;
    case 15:
      return 3;
    case 6:
      return 4;
    case 5:
      return 5;
    case 12:
      return 6;
    case 16:
      return 7;
    case 2:
      return 8;
    case 33:
      return 9;
    case 65:
      return 10;
    case 255:
      return 11;
    default:
      return 0;
  }
}

const char* rcode_text(size_t rcode) {
  static const char* const kNames[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                       "NXDOMAIN", "NOTIMP",  "REFUSED"};
  if (rcode == static_cast<size_t>(Rcode::kBadVers)) return "BADVERS";
  return rcode < std::size(kNames) ? kNames[rcode] : "OTHER";
}

template <size_t N>
void observe(Histogram<N>& histogram, const std::array<uint64_t, N>& bounds, uint64_t value) {
  const auto at = std::lower_bound(bounds.begin(), bounds.end(), value);
  histogram.buckets[static_cast<size_t>(at - bounds.begin())].add();
  histogram.sum.add(value);
}

size_t proto_index(const Client& client) {
  return client.transport == Transport::kUdp ? 0 : 1;
}

// Of one zone, from all workers.
using Blocks = std::vector<const BlockMetrics*>;
using Zones = std::map<BlockLabels, Blocks>;

Zones by_zone(std::span<const std::unique_ptr<WorkerMetrics>> workers) {
  Zones zones;
  for (const auto& worker : workers)
    for (const auto& [labels, block] : worker->blocks()) zones[labels].push_back(block);
  return zones;
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                   type);
  }
  void value(std::string_view name, std::string_view labels, uint64_t number) {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(out_), "{} {}\n", name, number);
    } else {
      fmt::format_to(std::back_inserter(out_), "{}{{{}}} {}\n", name, labels, number);
    }
  }
  // `select` gives the histogram of one worker's block; bounds and sum are divided by `unit`.
  template <size_t N, typename Select>
  void histogram(std::string_view name, std::string_view labels, const Blocks& blocks,
                 const std::array<uint64_t, N>& bounds, double unit, Select select) {
    uint64_t count = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i <= N; ++i) {
      for (const BlockMetrics* block : blocks) count += select(*block).buckets[i].get();
      const std::string bound =
          i < N ? fmt::format("{}", static_cast<double>(bounds[i]) / unit) : "+Inf";
      value(fmt::format("{}_bucket", name), fmt::format("{},le=\"{}\"", labels, bound), count);
    }
    for (const BlockMetrics* block : blocks) sum += select(*block).sum.get();
    fmt::format_to(std::back_inserter(out_), "{}_sum{{{}}} {}\n", name, labels,
                   static_cast<double>(sum) / unit);
    value(fmt::format("{}_count", name), labels, count);
  }

 private:
  std::string& out_;
};

template <typename Select>
uint64_t sum_of(std::span<const std::unique_ptr<WorkerMetrics>> workers, Select select) {
  uint64_t sum = 0;
  for (const auto& worker : workers) sum += select(*worker).get();
  return sum;
}

template <typename Select>
uint64_t sum_of(const Blocks& blocks, Select select) {
  uint64_t sum = 0;
  for (const BlockMetrics* block : blocks) sum += select(*block).get();
  return sum;
}

std::string labels_of(const BlockLabels& labels) {
  return fmt::format("server=\"{}\",zone=\"{}\"", labels.server, labels.zone);
}

void render_requests(Writer& writer, const BlockLabels& labels, const Blocks& blocks) {
  for (size_t proto = 0; proto < 2; ++proto)
    for (size_t family = 0; family < 2; ++family)
      for (size_t type = 0; type < kCountedTypes.size(); ++type) {
        const uint64_t n = sum_of(
            blocks, [&](auto& b) -> auto& { return b.requests[proto][family][type]; });
        if (n == 0) continue;
        writer.value(
            "coredns_dns_requests_total",
            fmt::format("{},view=\"\",proto=\"{}\",family=\"{}\",type=\"{}\"", labels_of(labels),
                        proto == 0 ? "udp" : "tcp", family + 1, kCountedTypes[type]),
            n);
      }
}

void render_responses(Writer& writer, const BlockLabels& labels, const Blocks& blocks) {
  for (size_t plugin = 0; plugin < BlockMetrics::kMaxPlugins; ++plugin)
    for (size_t rcode = 0; rcode < kCountedRcodes; ++rcode) {
      const uint64_t n = sum_of(
          blocks, [&](auto& b) -> auto& { return b.responses[plugin][rcode]; });
      if (n == 0) continue;
      const std::string_view name = plugin == 0 ? "" : registry()[plugin - 1].name;
      writer.value("coredns_dns_responses_total",
                   fmt::format("{},view=\"\",rcode=\"{}\",plugin=\"{}\"", labels_of(labels),
                               rcode_text(rcode), name),
                   n);
    }
}

void render_durations(Writer& writer, const BlockLabels& labels, const Blocks& blocks) {
  writer.histogram(
      "coredns_dns_request_duration_seconds", labels_of(labels) + ",view=\"\"", blocks,
      kDurationBounds, 1e9, [](auto& b) -> auto& { return b.duration; });
}

template <bool Requests>
void render_sizes(Writer& writer, const BlockLabels& labels, const Blocks& blocks) {
  for (size_t proto = 0; proto < 2; ++proto)
    writer.histogram(
        Requests ? "coredns_dns_request_size_bytes" : "coredns_dns_response_size_bytes",
        fmt::format("{},view=\"\",proto=\"{}\"", labels_of(labels), proto == 0 ? "udp" : "tcp"),
        blocks, kSizeBounds, 1, [&](auto& b) -> auto& {
          return Requests ? b.request_size[proto] : b.response_size[proto];
        });
}

// One family of metrics at a time, as the format demands.
void render_zones(Writer& writer, const Zones& zones) {
  struct Family {
    const char* name;
    const char* type;
    const char* help;
    void (*render)(Writer&, const BlockLabels&, const Blocks&);
  };
  static constexpr Family kFamilies[] = {
      {"coredns_dns_requests_total", "counter",
       "Counter of DNS requests made per zone, protocol and family.", &render_requests},
      {"coredns_dns_responses_total", "counter", "Counter of response status codes.",
       &render_responses},
      {"coredns_dns_request_duration_seconds", "histogram",
       "Histogram of the time (in seconds) each request took.", &render_durations},
      {"coredns_dns_request_size_bytes", "histogram", "Size of the requests in bytes.",
       &render_sizes<true>},
      {"coredns_dns_response_size_bytes", "histogram", "Size of the responses in bytes.",
       &render_sizes<false>},
  };
  for (const Family& family : kFamilies) {
    writer.head(family.name, family.type, family.help);
    for (const auto& [labels, blocks] : zones) family.render(writer, labels, blocks);
  }
}

void render_own(Writer& writer, std::span<const std::unique_ptr<WorkerMetrics>> workers) {
  struct Own {
    const char* name;
    const char* help;
    Counter WorkerMetrics::*counter;
  };
  static const Own kOwn[] = {
      {"fairlead_dns_dropped_total",
       "Packets without an answer: no query, or over the rate of errors.", &WorkerMetrics::dropped},
      {"fairlead_dns_trailing_bytes_total", "Queries with bytes behind their last record.",
       &WorkerMetrics::trailing_bytes},
      {"fairlead_dns_receive_calls_total", "Calls of recvmmsg.", &WorkerMetrics::receive_calls},
      {"fairlead_dns_send_calls_total", "Calls of sendmmsg and sendmsg.",
       &WorkerMetrics::send_calls},
      {"fairlead_dns_send_failures_total", "Replies the kernel did not take.",
       &WorkerMetrics::send_failures},
      {"fairlead_dns_tcp_accepted_total", "TCP connections accepted.",
       &WorkerMetrics::tcp_accepted},
      {"fairlead_dns_tcp_refused_total", "TCP connections closed at once, over a limit.",
       &WorkerMetrics::tcp_refused},
      {"fairlead_dns_tcp_evicted_total", "Idle TCP connections closed to make room.",
       &WorkerMetrics::tcp_evicted},
      {"fairlead_dns_tcp_timeouts_total", "TCP connections closed for being slow or idle.",
       &WorkerMetrics::tcp_timeouts},
  };
  for (const Own& own : kOwn) {
    writer.head(own.name, "counter", own.help);
    writer.value(own.name, "",
                 sum_of(
                     workers, [&](auto& w) -> auto& { return w.*own.counter; }));
  }
}

}  // namespace

BlockMetrics& WorkerMetrics::block(const BlockLabels& labels) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<BlockMetrics>& block = blocks_[labels];
  if (!block) block = std::make_unique<BlockMetrics>();
  return *block;
}

std::vector<std::pair<BlockLabels, const BlockMetrics*>> WorkerMetrics::blocks() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<BlockLabels, const BlockMetrics*>> list;
  for (const auto& [labels, block] : blocks_) list.emplace_back(labels, block.get());
  return list;
}

uint64_t WorkerMetrics::queries() const {
  uint64_t sum = 0;
  for (const auto& [labels, block] : blocks())
    for (const auto& proto : block->requests)
      for (const auto& family : proto)
        for (const Counter& type : family) sum += type.get();
  return sum;
}

void BlockMetrics::count_request(const Client& client, Type type, size_t size) {
  const size_t proto = proto_index(client);
  requests[proto][client.address.address.is_v4() ? 0 : 1][type_index(type)].add();
  observe(request_size[proto], kSizeBounds, size);
}

void BlockMetrics::count_response(const Client& client, PluginId plugin, Rcode rcode, size_t size,
                                  uint64_t nanoseconds) {
  responses[plugin][std::min<size_t>(static_cast<size_t>(rcode), kCountedRcodes - 1)].add();
  observe(response_size[proto_index(client)], kSizeBounds, size);
  observe(duration, kDurationBounds, nanoseconds);
}

void render_metrics(std::span<const std::unique_ptr<WorkerMetrics>> workers, std::string& out) {
  Writer writer(out);
  writer.head("coredns_build_info", "gauge", "What answers here.");
  writer.value("coredns_build_info", "version=\"fairlead-0.1.0\",revision=\"\",goversion=\"\"", 1);
  writer.head("coredns_panics_total", "counter", "Always zero here.");
  writer.value("coredns_panics_total", "", 0);
  render_zones(writer, by_zone(workers));
  render_own(writer, workers);
}

void render_value(std::string& out, std::string_view name, std::string_view type,
                  std::string_view help, std::string_view labels, uint64_t value) {
  Writer writer(out);
  writer.head(name, type, help);
  writer.value(name, labels, value);
}

}  // namespace fairlead::dns
