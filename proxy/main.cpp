// SPDX-License-Identifier: Apache-2.0
// fairlead-proxy: Services and EndpointSlices of an API server become nftables maps.
// Ending it, by whatever signal, leaves the rules: traffic goes on, and the next start takes over.
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include "base/http/ops_server.h"
#include "base/log.h"
#include "kube/cluster.h"
#include "proxy/feed.h"
#include "proxy/instance_lock.h"
#include "proxy/options.h"
#include "proxy/proxy.h"

namespace fairlead::proxy {
namespace {

constexpr const char* kUserAgent = "fairlead-proxy/0.1";

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// As kube-proxy decides (app/server_linux.go).
bool ipv6_available() {
  return access("/proc/net/if_inet6", R_OK) == 0;
}

// Config::repeat_lookups; a release that cannot be read counts as old.
bool lookups_may_miss() {
  utsname kernel{};
  int major = 0, minor = 0;
  if (uname(&kernel) != 0 || std::sscanf(kernel.release, "%d.%d", &major, &minor) != 2) return true;
  return std::pair(major, minor) < std::pair(6, 17);
}

Result<kube::ClientConfig> client_config(const Options& options) {
  kube::ClientConfig config;
  if (!options.kubeconfig.empty() || options.master.empty()) {
    Result<kube::ClientConfig> found = kube::find_config(options.kubeconfig);
    if (!found.ok()) return found.error();
    config = std::move(*found);
  }
  if (!options.master.empty()) config.server = options.master;
  return config;
}

HealthAnswer health(Proxy& proxy, Metrics& metrics) {
  const Result<void> checked = proxy.check();
  char now[32];
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::string reason;
  if (!checked.ok())
    for (const char c : checked.error().message())
      reason += c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ? '\'' : c;
  metrics
      .counter("kubeproxy_proxy_healthz_total", "Answers of /healthz",
               {{"code", checked.ok() ? "200" : "503"}})
      .add();
  return {checked.ok(),
          std::string("{\"currentTime\": \"") + now + "\", \"nodeEligible\": true, \"healthy\": " +
              (checked.ok() ? "true" : "false") + ", \"reason\": \"" + reason + "\"}\n",
          "application/json"};
}

// The two servers of kube-proxy: health for load balancers, metrics for this node.
Result<void> listen(OpsServer& server, const char* flag, const std::string& address) {
  if (address.empty()) return ok();
  const Result<SocketAddress> wanted = SocketAddress::parse(address);
  if (!wanted.ok()) return wanted.error();
  const Result<SocketAddress> bound = server.listen(*wanted);
  if (!bound.ok()) return bound.error().with_context(flag);
  return ok();
}

Result<void> run(Loop& loop, const Options& options) {
  Metrics metrics;
  HttpClient http(loop);
  Settings settings;
  settings.node_name = options.node_name;
  settings.local_dns_ready_url = options.local_dns_ready_url;
  settings.families.push_back(options.config(Family::kIpv4));
  if (ipv6_available()) settings.families.push_back(options.config(Family::kIpv6));
  for (Config& family : settings.families) family.repeat_lookups = lookups_may_miss();
  auto proxy = Proxy::open(loop, http, metrics, std::move(settings));
  if (!proxy.ok()) return proxy.error();

  OpsEndpoints endpoints;
  const auto check = [&] { return health(**proxy, metrics); };
  endpoints.checks = {{"/healthz", check}, {"/livez", check}};
  OpsServer healthz(loop, endpoints);
  if (auto bound = listen(healthz, "--healthz-bind-address", options.healthz_address); !bound.ok())
    return bound;
  endpoints.metrics = &metrics;
  endpoints.checks["/proxyMode"] = [] { return HealthAnswer{true, "nftables", "text/plain"}; };
  OpsServer operations(loop, endpoints);
  if (auto bound = listen(operations, "--metrics-bind-address", options.metrics_address);
      !bound.ok())
    return bound;

  const Result<kube::ClientConfig> config = client_config(options);
  if (!config.ok()) return config.error();
  auto cluster = kube::Cluster::connect(loop, *config, kUserAgent);
  if (!cluster.ok()) return cluster.error();
  (*cluster)->api().set_metrics(metrics);
  Feed feed(loop.clock(), (*cluster)->api(), **proxy);
  feed.start();

  const SignalWatch terminate(loop, SIGTERM, [&] { loop.stop(); });
  const SignalWatch interrupt(loop, SIGINT, [&] { loop.stop(); });
  log::info("node {}, API server {}", options.node_name, config->server);
  loop.run();
  log::info("ending; the rules stay");
  return ok();
}

int complain(const Error& error) {
  std::fprintf(stderr, "fairlead-proxy: %s\n", error.message().c_str());
  return 1;
}

int run_main(const std::vector<std::string>& arguments) {
  const Result<Options> options = parse_options(arguments, host_name());
  if (!options.ok()) {
    complain(options.error());
    return 2;
  }
  if (!options->print.empty()) {
    std::fputs(options->print.c_str(), stdout);
    return 0;
  }
  log::init("proxy", options->log_level);
  const Result<InstanceLock> lock = InstanceLock::acquire();
  if (!lock.ok()) return complain(lock.error());
  Loop loop;
  const Result<void> result = options->cleanup ? clean_up(loop) : run(loop, *options);
  return result.ok() ? 0 : complain(result.error());
}

}  // namespace
}  // namespace fairlead::proxy

int main(int argc, char** argv) {
  return fairlead::proxy::run_main(std::vector<std::string>(argv + 1, argv + argc));
}
