// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/rest_metrics.h"

#include <fmt/format.h>

namespace fairlead::dns {
namespace {

// "https://10.96.0.1:443/api" is at 10.96.0.1:443.
std::string host_of(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t at = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(at, url.find_first_of("/?", at) - at);
}

}  // namespace

void RestMetrics::observe(const std::string& verb, const std::string& host, Duration took) {
  dns::observe(durations_[{verb, host}], kBounds, static_cast<uint64_t>(took.count()));
}

void RestMetrics::render(std::string& out) const {
  constexpr const char* kRequests = "coredns_kubernetes_rest_client_requests_total";
  constexpr const char* kDurations = "coredns_kubernetes_rest_client_request_duration_seconds";
  render_head(out, kRequests, "counter",
              "Number of HTTP requests, partitioned by status code, method, and host.");
  for (const auto& [labels, count] : requests_)
    out += fmt::format("{}{{code=\"{}\",method=\"{}\",host=\"{}\"}} {}\n", kRequests,
                       std::get<0>(labels), std::get<1>(labels), std::get<2>(labels), count);
  render_head(out, kDurations, "histogram",
              "Request latency in seconds. Broken down by verb and host.");
  for (const auto& [labels, histogram] : durations_)
    render_seconds(out, kDurations,
                   fmt::format("verb=\"{}\",host=\"{}\"", labels.first, labels.second), histogram,
                   kBounds);
}

HttpCall CountedTransport::send(HttpRequest request, HttpHandlers handlers) {
  struct Seen {
    std::string method, host;
    MonoTime begun{};
    bool watches = false;
    bool answered = false;
  };
  const auto seen = std::make_shared<Seen>();
  seen->method = request.method;
  seen->host = host_of(request.url);
  seen->begun = clock_.now();
  seen->watches = request.url.find("watch=true") != std::string::npos;
  handlers.on_head = [seen, metrics = metrics_,
                      next = std::move(handlers.on_head)](const HttpResponseHead& head) {
    seen->answered = true;
    metrics->count(std::to_string(head.status), seen->method, seen->host);
    if (next) next(head);
  };
  handlers.on_done = [seen, metrics = metrics_, &clock = clock_,
                      next = std::move(handlers.on_done)](const Result<HttpResponseHead>& result) {
    if (!seen->answered) metrics->count("<error>", seen->method, seen->host);
    if (!seen->watches) metrics->observe(seen->method, seen->host, clock.now() - seen->begun);
    if (next) next(result);
  };
  return inner_.send(std::move(request), std::move(handlers));
}

}  // namespace fairlead::dns
