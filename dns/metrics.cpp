// SPDX-License-Identifier: Apache-2.0
#include "dns/metrics.h"

#include <fmt/format.h>

#include <algorithm>

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
  // `select` gives the histogram of one worker; bounds and sum are divided by `unit`.
  template <size_t N, typename Select>
  void histogram(std::string_view name, std::string_view labels,
                 std::span<const std::unique_ptr<WorkerMetrics>> workers,
                 const std::array<uint64_t, N>& bounds, double unit, Select select) {
    uint64_t count = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i <= N; ++i) {
      for (const auto& worker : workers) count += select(*worker).buckets[i].get();
      const std::string bound =
          i < N ? fmt::format("{}", static_cast<double>(bounds[i]) / unit) : "+Inf";
      value(fmt::format("{}_bucket", name), fmt::format("{},le=\"{}\"", labels, bound), count);
    }
    for (const auto& worker : workers) sum += select(*worker).sum.get();
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

void render_requests(Writer& writer, std::span<const std::unique_ptr<WorkerMetrics>> workers,
                     const std::string& where) {
  writer.head("coredns_dns_requests_total", "counter",
              "Counter of DNS requests made per zone, protocol and family.");
  for (size_t proto = 0; proto < 2; ++proto)
    for (size_t family = 0; family < 2; ++family)
      for (size_t type = 0; type < kCountedTypes.size(); ++type) {
        const uint64_t n = sum_of(
            workers, [&](auto& w) -> auto& { return w.requests[proto][family][type]; });
        if (n == 0) continue;
        writer.value("coredns_dns_requests_total",
                     fmt::format("{},view=\"\",proto=\"{}\",family=\"{}\",type=\"{}\"", where,
                                 proto == 0 ? "udp" : "tcp", family + 1, kCountedTypes[type]),
                     n);
      }
  writer.head("coredns_dns_responses_total", "counter", "Counter of response status codes.");
  for (size_t plugin = 0; plugin < kAnsweringPlugins.size(); ++plugin)
    for (size_t rcode = 0; rcode < kCountedRcodes; ++rcode) {
      const uint64_t n = sum_of(
          workers, [&](auto& w) -> auto& { return w.responses[plugin][rcode]; });
      if (n == 0) continue;
      writer.value("coredns_dns_responses_total",
                   fmt::format("{},view=\"\",rcode=\"{}\",plugin=\"{}\"", where, rcode_text(rcode),
                               kAnsweringPlugins[plugin]),
                   n);
    }
}

void render_histograms(Writer& writer, std::span<const std::unique_ptr<WorkerMetrics>> workers,
                       const std::string& where) {
  writer.head("coredns_dns_request_duration_seconds", "histogram",
              "Histogram of the time (in seconds) each request took.");
  writer.histogram(
      "coredns_dns_request_duration_seconds", where + ",view=\"\"", workers, kDurationBounds, 1e9,
      [](auto& w) -> auto& { return w.duration; });
  const auto sizes = [&](std::string_view name, std::string_view help, auto select) {
    writer.head(name, "histogram", help);
    for (size_t proto = 0; proto < 2; ++proto)
      writer.histogram(
          name, fmt::format("{},view=\"\",proto=\"{}\"", where, proto == 0 ? "udp" : "tcp"),
          workers, kSizeBounds, 1, [&](auto& w) -> auto& { return select(w)[proto]; });
  };
  sizes(
      "coredns_dns_request_size_bytes", "Size of the requests in bytes.",
      [](auto& w) -> auto& { return w.request_size; });
  sizes(
      "coredns_dns_response_size_bytes", "Size of the responses in bytes.",
      [](auto& w) -> auto& { return w.response_size; });
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

void WorkerMetrics::count_request(const Client& client, Type type, size_t size) {
  const size_t proto = proto_index(client);
  requests[proto][client.address.address.is_v4() ? 0 : 1][type_index(type)].add();
  observe(request_size[proto], kSizeBounds, size);
}

void WorkerMetrics::count_response(const Client& client, std::string_view plugin, Rcode rcode,
                                   size_t size, uint64_t nanoseconds) {
  const auto at = std::find(kAnsweringPlugins.begin(), kAnsweringPlugins.end(), plugin);
  const size_t index =
      at == kAnsweringPlugins.end() ? 0 : static_cast<size_t>(at - kAnsweringPlugins.begin());
  responses[index][std::min<size_t>(static_cast<size_t>(rcode), kCountedRcodes - 1)].add();
  observe(response_size[proto_index(client)], kSizeBounds, size);
  observe(duration, kDurationBounds, nanoseconds);
}

std::string render_metrics(std::span<const std::unique_ptr<WorkerMetrics>> workers,
                           const ServerState& state, const std::string& server) {
  std::string out;
  Writer writer(out);
  const std::string where = fmt::format("server=\"{}\",zone=\".\"", server);
  writer.head("coredns_build_info", "gauge", "What answers here.");
  writer.value("coredns_build_info", "version=\"fairlead-0.1.0\",revision=\"\",goversion=\"\"", 1);
  writer.head("coredns_plugin_enabled", "gauge", "Plugins in the chain.");
  for (const std::string_view plugin : {"kubernetes", "forward"})
    writer.value("coredns_plugin_enabled", fmt::format("{},view=\"\",name=\"{}\"", where, plugin),
                 1);
  writer.head("coredns_panics_total", "counter", "Always zero here.");
  writer.value("coredns_panics_total", "", 0);
  render_requests(writer, workers, where);
  render_histograms(writer, workers, where);
  render_own(writer, workers);
  writer.head("fairlead_dns_services", "gauge", "Services known.");
  writer.value("fairlead_dns_services", "", state.services);
  writer.head("fairlead_dns_endpoints", "gauge", "Ready endpoints known.");
  writer.value("fairlead_dns_endpoints", "", state.endpoints);
  writer.head("fairlead_dns_zone_serial", "gauge", "SOA serial: Unix time of the last change.");
  writer.value("fairlead_dns_zone_serial", "", state.serial);
  writer.head("fairlead_dns_synced", "gauge", "1 once all objects have been read.");
  writer.value("fairlead_dns_synced", "", state.synced ? 1 : 0);
  return out;
}

}  // namespace fairlead::dns
