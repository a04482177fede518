// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fairlead::dns {
namespace {

constexpr const char* kRcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                   "NOTIMP",  "REFUSED", "BADVERS",  "OTHER"};
constexpr const char* kProtos[] = {"udp", "tcp", "tcp-tls", "https"};

size_t rcode_index(Rcode rcode) {
  if (rcode == Rcode::kBadVers) return 6;
  return rcode <= Rcode::kRefused ? static_cast<size_t>(rcode) : 7;
}

void head(std::string& out, const char* name, const char* type, const char* help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void render_durations(std::string& out, const std::string& labels,
                      const ForwardMetrics::Durations& durations) {
  constexpr const char* kName = "coredns_proxy_request_duration_seconds";
  const auto at = std::back_inserter(out);
  uint64_t count = 0;
  for (size_t i = 0; i < durations.buckets.size(); ++i) {
    count += durations.buckets[i];
    const std::string bound = i < kDurationBounds.size()
                                  ? fmt::format("{}", static_cast<double>(kDurationBounds[i]) / 1e9)
                                  : "+Inf";
    fmt::format_to(at, "{}_bucket{{{},le=\"{}\"}} {}\n", kName, labels, bound, count);
  }
  fmt::format_to(at, "{}_sum{{{}}} {}\n", kName, labels,
                 static_cast<double>(durations.nanoseconds) / 1e9);
  fmt::format_to(at, "{}_count{{{}}} {}\n", kName, labels, count);
}

bool used(const ForwardMetrics::Durations& durations) {
  return std::ranges::any_of(durations.buckets, [](const auto& bucket) { return bucket != 0; });
}

}  // namespace

void ForwardMetrics::Server::observe(Rcode rcode, Duration duration) {
  const auto took = static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0));
  Durations& of = durations[rcode_index(rcode)];
  const auto bound = std::ranges::lower_bound(kDurationBounds, took);
  of.buckets[static_cast<size_t>(bound - kDurationBounds.begin())].fetch_add(
      1, std::memory_order_relaxed);
  of.nanoseconds.fetch_add(took, std::memory_order_relaxed);
}

ForwardMetrics::Server& ForwardMetrics::server(const SocketAddress& address) {
  std::string label = address.to_string();
  const std::lock_guard lock(mutex_);
  const auto known = servers_.find(label);
  if (known != servers_.end()) return *known->second;
  if (servers_.size() >= kMaxServers) label = "other";
  std::unique_ptr<Server>& made = servers_[label];
  if (!made) made = std::make_unique<Server>();
  return *made;
}

ForwardMetrics::Count& ForwardMetrics::shed(const std::string& server) {
  const std::lock_guard lock(mutex_);
  return shed_[server];
}

std::vector<std::pair<std::string, uint64_t>> ForwardMetrics::shed() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, uint64_t>> list;
  for (const auto& [server, count] : shed_) list.emplace_back(server, count.load());
  return list;
}

void ForwardMetrics::render(std::string& out) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::back_inserter(out);
  const auto label = [](const std::string& to) {
    return fmt::format("proxy_name=\"forward\",to=\"{}\"", to);
  };
  head(out, "coredns_proxy_request_duration_seconds", "histogram",
       "Histogram of the time each request took.");
  for (const auto& [to, server] : servers_)
    for (size_t i = 0; i < server->durations.size(); ++i)
      if (used(server->durations[i]))
        render_durations(out, label(to) + fmt::format(",rcode=\"{}\"", kRcodes[i]),
                         server->durations[i]);
  const auto connections = [&](const char* name, const char* help, auto counts) {
    head(out, name, "counter", help);
    for (const auto& [to, server] : servers_)
      for (size_t i = 0; i < std::size(kProtos); ++i)
        if (const uint64_t n = ((*server).*counts)[i]; n != 0)
          fmt::format_to(at, "{}{{{},proto=\"{}\"}} {}\n", name, label(to), kProtos[i], n);
  };
  connections("coredns_proxy_conn_cache_hits_total",
              "Counter of connection cache hits per upstream and protocol.", &Server::hits);
  connections("coredns_proxy_conn_cache_misses_total",
              "Counter of connection cache misses per upstream and protocol.", &Server::misses);
  head(out, "coredns_proxy_healthcheck_failures_total", "counter",
       "Counter of the number of failed healthchecks.");
  for (const auto& [to, server] : servers_)
    fmt::format_to(at, "coredns_proxy_healthcheck_failures_total{{{}}} {}\n", label(to),
                   server->failed_probes.load());
  render_value(out, "coredns_forward_healthcheck_broken_total", "counter",
               "Counter of the number of complete failures of the healthchecks.", "", all_down);
  render_value(out, "coredns_forward_max_concurrent_rejects_total", "counter",

               "Counter of the number of queries rejected because the concurrent queries were at "
               "maximum.",
               "", rejects);
}

}  // namespace fairlead::dns
