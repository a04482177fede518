// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/rest_metrics.h"

#include <fmt/format.h>

#include <utility>

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
  // One that is given up calls nobody back: it goes with its handlers.
  struct Seen {
    ~Seen() { count("<error>"); }
    // The first word is the one that counts.
    void count(const std::string& code) {
      if (!std::exchange(counted, true)) metrics->count(code, method, host);
    }
    std::shared_ptr<RestMetrics> metrics;
    std::string method, host;
    MonoTime begun{};
    bool watches = false;
    bool counted = false;
  };
  const auto seen = std::make_shared<Seen>();
  seen->metrics = metrics_;
  seen->method = request.method;
  seen->host = host_of(request.url);
  seen->begun = clock_.now();
  seen->watches = request.url.find("watch=true") != std::string::npos;
  handlers.on_head = [seen, next = std::move(handlers.on_head)](const HttpResponseHead& head) {
    seen->count(std::to_string(head.status));
    if (next) next(head);
  };
  handlers.on_done = [seen, &clock = clock_,
                      next = std::move(handlers.on_done)](const Result<HttpResponseHead>& result) {
    seen->count("<error>");
    if (!seen->watches) seen->metrics->observe(seen->method, seen->host, clock.now() - seen->begun);
    if (next) next(result);
  };
  return inner_.send(std::move(request), std::move(handlers));
}

}  // namespace fairlead::dns
