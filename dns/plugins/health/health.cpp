// SPDX-License-Identifier: Apache-2.0
// GET /health says OK as long as the program runs.
//
//   health [ADDRESS] {       :8080
//       lameduck DURATION    after SIGTERM: goes on while queries come, at most so long
//   }
#include "dns/host.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

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
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const HealthOptions&>(given);
  auto http = host.serve_http(options.address, "/health", [] { return HealthAnswer{true, "OK"}; });
  if (!http.ok()) return http.error().with_context("health");
  auto running = std::make_unique<Running>();
  running->http = *std::move(http);
  running->lameduck = host.add_lameduck(options.lameduck);
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(health) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
