// SPDX-License-Identifier: Apache-2.0
// GET /health says OK as long as the program runs. Each second it asks itself, as whoever probes it
// would, and counts how long that takes: a loop that hangs shows there.
//
//   health [ADDRESS] {       :8080
//       lameduck DURATION    after SIGTERM: queries are answered so long
//   }
#include <array>
#include <cstdint>

#include "base/http/client.h"
#include "base/log.h"
#include "dns/counters.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kProbePeriod = seconds(1);
constexpr Duration kProbeLimit = seconds(3);
// CoreDNS's "slim" buckets, in nanoseconds.
constexpr std::array<uint64_t, 5> kBounds = {250'000, 2'500'000, 25'000'000, 250'000'000,
                                             2'500'000'000};

// Of all `health` of the program together.
struct HealthMetrics {
  explicit HealthMetrics(Host& host)
      : token(host.add_metrics([this](std::string& out) { render(out); })) {}
  void render(std::string& out) const {
    constexpr const char* kName = "coredns_health_request_duration_seconds";
    render_head(out, kName, "histogram", "Histogram of the time (in seconds) each request took.");
    render_seconds(out, kName, "", durations, kBounds);
    render_value(out, "coredns_health_request_failures_total", "counter",
                 "The number of times the health check failed.", "", failures.get());
  }
  Histogram<kBounds.size()> durations;
  Counter failures;
  Host::Token token;
};

class Probe : public Service {
 public:
  Probe(Host& host, SocketAddress address)
      : loop_(host.loop()), http_(loop_), timer_(loop_), metrics_(*shared_metrics(host)) {
    // A wildcard is everywhere, so also there.
    if (address.address.is_unspecified()) address.address = IpAddress::v4(127, 0, 0, 1);
    url_ = "http://" + address.to_string() + "/health";
    timer_.start_every(kProbePeriod, [this] { ask(); });
  }

 private:
  static Result<std::shared_ptr<HealthMetrics>> shared_metrics(Host& host) {
    return host.shared<HealthMetrics>("health metrics", [&host] {
      return Result<std::shared_ptr<HealthMetrics>>(std::make_shared<HealthMetrics>(host));
    });
  }
  void ask() {
    if (call_) return;  // it still waits, and fails in time
    HttpRequest request;
    request.url = url_;
    request.connect_timeout = request.total_timeout = kProbeLimit;
    const MonoTime begun = loop_.clock().now();
    call_ = fetch(http_, std::move(request), 1024, [this, begun](const Result<HttpResponse>& got) {
      call_.cancel();
      const Duration took = loop_.clock().now() - begun;
      observe(metrics_->durations, kBounds, static_cast<uint64_t>(took.count()));
      if (!got.ok()) {
        metrics_->failures.add();
        log::warn("health: asking ourselves failed: {}", got.error().message());
      } else if (took > seconds(1)) {
        log::warn("health: {} took {} ms to answer ourselves", url_, took / milliseconds(1));
      }
    });
  }

  Loop& loop_;
  HttpClient http_;
  Timer timer_;
  std::shared_ptr<HealthMetrics> metrics_;
  std::string url_;
  HttpCall call_;
};

struct HealthOptions : PluginOptions {
  SocketAddress address{IpAddress::any(Family::kIpv6), 8080};  // both families
  Duration lameduck{};
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  auto options = std::make_shared<HealthOptions>();
  if (!directive.arguments.empty()) {
    const auto address = read_listen_address(directive.arguments[0]);
    if (!address.ok()) return address.error();
    options->address = *address;
  }
  const auto read = read_properties(
      directive, {{"lameduck", 1, 1, [&](const corefile::Directive& p) -> Result<void> {
                     const auto duration = read_duration(p.arguments[0]);
                     if (!duration.ok()) return duration.error();
                     options->lameduck = *duration;
                     return ok();
                   }}});
  if (!read.ok()) return read.error();
  return std::shared_ptr<PluginOptions>(std::move(options));
}

struct Running : Service {
  Host::Token http;
  Host::Token lameduck;
  std::unique_ptr<Probe> probe;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const HealthOptions&>(given);
  auto http = host.serve_http(options.address, "/health", [] { return HealthAnswer{true, "OK"}; });
  if (!http.ok()) return http.error().with_context("health");
  auto running = std::make_unique<Running>();
  running->http = *std::move(http);
  running->lameduck = host.add_lameduck(options.lameduck);
  if (host.serves()) running->probe = std::make_unique<Probe>(host, options.address);
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(health) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
