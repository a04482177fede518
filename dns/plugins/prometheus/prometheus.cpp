// SPDX-License-Identifier: Apache-2.0
// GET /metrics tells what the server counts (dns/metrics.h).
//
//   prometheus [ADDRESS]     localhost:9153
#include "dns/host.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

struct PrometheusOptions : PluginOptions {
  SocketAddress address{*IpAddress::parse("127.0.0.1"), 9153};
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  const auto read = read_properties(
      directive, {{"runtime_metrics", 0, 0, [&](const corefile::Directive&) {
                     block.notes.push_back(
                         "prometheus: runtime_metrics has no effect: there is no Go runtime");
                     return ok();
                   }}});
  if (!read.ok()) return read.error();
  auto options = std::make_shared<PrometheusOptions>();
  if (!directive.arguments.empty()) {
    const auto address = read_listen_address(directive.arguments[0]);
    if (!address.ok()) return address.error();
    options->address = *address;
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const PrometheusOptions&>(given);
  auto http = host.serve_http(options.address, "/metrics", [&host] {
    return HealthAnswer{true, host.metrics(), kMetricsType};
  });
  if (!http.ok()) return http.error().with_context("prometheus");
  return *std::move(http);
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(prometheus) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
