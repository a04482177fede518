// SPDX-License-Identifier: Apache-2.0
#include "proxy/operations.h"

#include <ctime>
#include <utility>

#include "base/log.h"
#include "proxy/service_health.h"

namespace fairlead::proxy {

namespace {

constexpr const char* kNotForMachines =
    "Warning: this page is for people; its form may change at any time.\n\n";
constexpr const char* kPaths =
    "/configz /flagz /healthz /metrics /metrics/slis /proxyMode /stat /statusz";

HttpServerOptions small_server() {
  HttpServerOptions options;
  options.max_header_bytes = 16 * 1024;
  options.max_body_bytes = 64 * 1024;
  options.max_connections = 256;
  return options;
}

HttpHeaders plain() {
  return {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}};
}

std::string utc_date(WallTime time) {
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  std::strftime(text, sizeof text, "%a %b %e %H:%M:%S UTC %Y", &utc);
  return text;
}

}  // namespace

std::string flagz_page(const OperationsFacts& facts) {
  std::string page = "\nfairlead-proxy flagz\n" + std::string(kNotForMachines);
  for (const auto& [name, value] : facts.flags) page += name + "=" + value + "\n";
  return page;
}

std::string statusz_page(const OperationsFacts& facts, WallTime now) {
  const int64_t up = std::chrono::duration_cast<std::chrono::seconds>(now - facts.started).count();
  return "\nfairlead-proxy statusz\n" + std::string(kNotForMachines) +
         "Started: " + utc_date(facts.started) + "\nUp: " + std::to_string(up / 3600) + " hr " +
         std::to_string(up / 60 % 60) + " min " + std::to_string(up % 60) +
         " sec\nBinary version: " + facts.version + "\nPaths: " + kPaths + "\n";
}

std::string slis_page(bool healthy, uint64_t successes, uint64_t failures) {
  const std::string labels = R"(name="dataplane")";
  return "# HELP kubernetes_healthcheck The result of one health check.\n"
         "# TYPE kubernetes_healthcheck gauge\n"
         "kubernetes_healthcheck{" +
         labels + R"(,type="healthz"} )" + (healthy ? "1" : "0") +
         "\n# HELP kubernetes_healthchecks_total The results of all health checks.\n"
         "# TYPE kubernetes_healthchecks_total counter\n"
         "kubernetes_healthchecks_total{" +
         labels + R"(,status="error",type="healthz"} )" + std::to_string(failures) +
         "\nkubernetes_healthchecks_total{" + labels + R"(,status="success",type="healthz"} )" +
         std::to_string(successes) + "\n";
}

Operations::Operations(Loop& loop, Metrics& metrics, OperationsFacts facts,
                       std::function<bool()> healthy)
    : loop_(loop),
      metrics_(metrics),
      facts_(std::move(facts)),
      healthy_(std::move(healthy)),
      server_(
          loop, small_server(),
          [this](const HttpServerRequest& request,
                 const std::shared_ptr<HttpResponder>& responder) { answer(request, responder); }) {
}

void Operations::answer_metrics(const std::shared_ptr<HttpResponder>& responder) {
  const HttpHeaders headers = {{"Content-Type", Metrics::kContentType}};
  if (!more_metrics_) return responder->respond(200, headers, metrics_.text());
  more_metrics_([&metrics = metrics_, responder, headers](const std::string& more) {
    responder->respond(200, headers, metrics.text() + more);
  });
}

void Operations::answer(const HttpServerRequest& request,
                        const std::shared_ptr<HttpResponder>& responder) {
  if (request.method != "GET" && request.method != "HEAD")
    return responder->respond(405, {{"Allow", "GET, HEAD"}}, "");
  const std::string& path = request.path;
  if (path == "/metrics") return answer_metrics(responder);
  if (path == "/stat" && stat_)
    return stat_([responder](std::string json) {
      responder->respond(200, {{"Content-Type", "application/json"}}, std::move(json));
    });
  if (path == "/metrics/slis") {
    const bool healthy = healthy_();
    ++(healthy ? successes_ : failures_);
    return responder->respond(200, {{"Content-Type", Metrics::kContentType}},
                              slis_page(healthy, successes_, failures_));
  }
  // As in kube-proxy: this server answers, no more. The honest one is --healthz-bind-address's.
  if (path == "/healthz") return responder->respond(200, plain(), "ok");
  if (path == "/proxyMode") return responder->respond(200, plain(), facts_.mode);
  if (path == "/configz")
    return responder->respond(200, {{"Content-Type", "application/json"}}, facts_.configz);
  if (path == "/flagz") return responder->respond(200, plain(), flagz_page(facts_));
  if (path == "/statusz")
    return responder->respond(200, plain(), statusz_page(facts_, loop_.clock().wall_now()));
  if (path.starts_with("/debug/"))
    return responder->respond(501, plain(),
                              "fairlead-proxy is no Go program and has no pprof; use perf(1)\n");
  responder->respond(404, plain(), "not found\n");
}

Result<void> PatientListener::listen(const std::string& what, const std::string& address,
                                     bool give_up) {
  if (address.empty()) return ok();
  const Result<SocketAddress> wanted = SocketAddress::parse(address);
  if (!wanted.ok()) return wanted.error().with_context(what);
  what_ = what;
  address_ = *wanted;
  const Result<void> bound = attempt();
  if (!bound.ok() && !give_up)
    retry_.start_every(retry_after_, [this] {
      if (!attempt().ok()) return;
      retry_.stop();
      log::info("{}: listening on {} now", what_, address_.to_string());
    });
  return bound;
}

Result<void> PatientListener::attempt() {
  const Result<SocketAddress> bound = listen_on(server_, address_);
  if (!bound.ok()) return bound.error().with_context(what_);
  listening_ = true;
  return ok();
}

}  // namespace fairlead::proxy
