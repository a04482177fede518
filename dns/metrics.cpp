// SPDX-License-Identifier: Apache-2.0
#include "dns/metrics.h"

#include <fmt/format.h>

#include "dns/registry.h"

namespace fairlead::dns {
namespace {

// The number of each of kCountedTypes.
constexpr std::array<uint8_t, kCountedTypes.size()> kTypeNumbers = {
    0, 1, 28, 15, 6, 5, 12, 16, 2, 33, 65, 255, 64, 43, 46, 47, 50, 48, 251, 252};

// By number, so that a query costs one look.
constexpr std::array<uint8_t, 256> kTypeIndex = [] {
  std::array<uint8_t, 256> index{};
  for (size_t i = 1; i < kTypeNumbers.size(); ++i) index[kTypeNumbers[i]] = static_cast<uint8_t>(i);
  return index;
}();

size_t type_index(Type type) {
  const auto number = static_cast<uint16_t>(type);
  return number < kTypeIndex.size() ? kTypeIndex[number] : 0;
}

const char* rcode_text(size_t rcode) {
  static const char* const kNames[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                       "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                       "NXRRSET", "NOTAUTH", "NOTZONE"};
  if (rcode == static_cast<size_t>(Rcode::kBadVers)) return "BADVERS";
  return rcode < std::size(kNames) ? kNames[rcode] : "OTHER";
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

void render_dnssec_ok(Writer& writer, const BlockLabels& labels, const Blocks& blocks) {
  const uint64_t n = sum_of(
      blocks, [](auto& b) -> auto& { return b.dnssec_ok; });
  if (n != 0) writer.value("coredns_dns_do_requests_total", labels_of(labels) + ",view=\"\"", n);
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
      {"coredns_dns_do_requests_total", "counter",
       "Counter of DNS requests with DO bit set per zone.", &render_dnssec_ok},
      {"coredns_dns_request_duration_seconds", "histogram",
       "Histogram of the time (in seconds) each request took per zone.", &render_durations},
      {"coredns_dns_request_size_bytes", "histogram",
       "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.",
       &render_sizes<true>},
      {"coredns_dns_response_size_bytes", "histogram", "Size of the returned response in bytes.",
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

Counter& WorkerMetrics::shed(const std::string& server) {
  const std::lock_guard lock(mutex_);
  return shed_[server];
}

std::vector<std::pair<std::string, uint64_t>> WorkerMetrics::shed() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, uint64_t>> list;
  for (const auto& [server, count] : shed_) list.emplace_back(server, count.get());
  return list;
}

void BlockMetrics::count_request(const Client& client, Type type, bool wants_dnssec, size_t size) {
  if (wants_dnssec) dnssec_ok.add();
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
  writer.head("coredns_build_info", "gauge",
              "A metric with a constant '1' value labeled by version, revision, and goversion "
              "from which CoreDNS was built.");
  writer.value("coredns_build_info", "version=\"fairlead-0.1.0\",revision=\"\",goversion=\"\"", 1);
  writer.head("coredns_panics_total", "counter", "A metrics that counts the number of panics.");
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

void render_head(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help) {
  Writer(out).head(name, type, help);
}

void render_seconds(std::string& out, std::string_view name, std::string_view labels,
                    std::span<const Counter> buckets, std::span<const uint64_t> bounds,
                    uint64_t sum) {
  Writer writer(out);
  const std::string before = labels.empty() ? "" : fmt::format("{},", labels);
  uint64_t count = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i].get();
    const std::string bound =
        i < bounds.size() ? fmt::format("{}", static_cast<double>(bounds[i]) / 1e9) : "+Inf";
    writer.value(fmt::format("{}_bucket", name), fmt::format("{}le=\"{}\"", before, bound), count);
  }
  const std::string braces = labels.empty() ? "" : fmt::format("{{{}}}", labels);
  fmt::format_to(std::back_inserter(out), "{}_sum{} {}\n", name, braces,
                 static_cast<double>(sum) / 1e9);
  writer.value(fmt::format("{}_count", name), labels, count);
}

}  // namespace fairlead::dns
