// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/http/ops_server.h"

namespace fairlead {
namespace {

TEST(Metrics, TextShowsEveryKind) {
  Metrics metrics;
  const Counter counter = metrics.counter("fairlead_syncs_total", "Syncs.", {{"result", "ok"}});
  counter.add();
  counter.add(2);
  metrics.gauge("fairlead_services", "Services.").set(7);
  metrics.histogram("fairlead_sync_seconds", "Time.", {0.1, 1}).observe(0.5);
  const std::string text = metrics.text();
  for (const char* line :
       {"# HELP fairlead_syncs_total Syncs.\n", "# TYPE fairlead_syncs_total counter\n",
        "fairlead_syncs_total{result=\"ok\"} 3\n", "fairlead_services 7\n",
        "fairlead_sync_seconds_bucket{le=\"0.1\"} 0\n",
        "fairlead_sync_seconds_bucket{le=\"+Inf\"} 1\n",
        "# TYPE process_cpu_seconds_total counter\n", "process_resident_memory_bytes ",
        "process_virtual_memory_bytes ", "process_open_fds ", "process_max_fds ",
        "process_start_time_seconds "})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST(Metrics, SameNameAndLabelsIsTheSameMetric) {
  Metrics metrics;
  metrics.counter("a_total", "A.", {{"x", "1"}}).add();
  metrics.counter("a_total", "A.", {{"x", "1"}}).add();
  metrics.counter("a_total", "A.", {{"x", "2"}}).add();
  EXPECT_EQ(metrics.counter("a_total", "A.", {{"x", "1"}}).value(), 2);
}

TEST(MetricsDeathTest, AMalformedNameIsABug) {
  EXPECT_DEATH(
      {
        Metrics metrics;
        metrics.counter("not a name", "A.");
      },
      "");
}

TEST(ExponentialBounds, Multiply) {
  EXPECT_EQ(exponential_bounds(1, 2, 4), (std::vector<double>{1, 2, 4, 8}));
}

TEST(OpsServer, ServesHealthAndMetrics) {
  Loop loop;
  Metrics metrics;
  metrics.gauge("up", "Up.").set(1);
  bool ready = false;
  OpsEndpoints endpoints;
  endpoints.metrics = &metrics;
  endpoints.checks["/healthz"] = [] { return HealthAnswer{}; };
  endpoints.checks["/readyz"] = [&] {
    return HealthAnswer{ready, ready ? "ok" : "waiting for services"};
  };
  OpsServer server(loop, endpoints);
  const auto address = server.listen({IpAddress::v4(127, 0, 0, 1), 0});
  ASSERT_TRUE(address.ok());
  HttpClient client(loop);
  const auto ask = [&](const std::string& method, const std::string& path) {
    HttpRequest request;
    request.method = method;
    request.url = "http://" + address->to_string() + path;
    std::optional<HttpResponse> got;
    const HttpCall call = fetch(client, request, 1 << 20, [&](Result<HttpResponse> r) {
      ASSERT_TRUE(r.ok()) << r.error().message();
      got = std::move(*r);
    });
    loop.run_until([&] { return got.has_value(); }, std::chrono::seconds(20));
    return got.value_or(HttpResponse{});
  };
  EXPECT_EQ(ask("GET", "/healthz").body, "ok");
  EXPECT_EQ(ask("GET", "/readyz?verbose").status, 503);
  EXPECT_EQ(ask("GET", "/readyz").body, "waiting for services");
  ready = true;
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
  EXPECT_EQ(ask("HEAD", "/healthz").status, 200);
  EXPECT_EQ(ask("POST", "/healthz").status, 405);
  EXPECT_EQ(ask("GET", "/livez").status, 404);
  const HttpResponse scraped = ask("GET", "/metrics");
  EXPECT_EQ(scraped.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(scraped.body.find("\nup 1\n"), std::string::npos);
}

}  // namespace
}  // namespace fairlead
