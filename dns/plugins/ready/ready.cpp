// SPDX-License-Identifier: Apache-2.0
// GET /ready says OK once every plugin is ready; until then 503 and the names of those that are
// not. A plugin that is ready but has something to remark is quoted in place of OK.
//
//   ready [ADDRESS] {                      :8181
//       monitor until-ready|continuously   until-ready: once ready, for ever ready
//   }
#include <fmt/format.h>

#include "dns/host.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

struct ReadyOptions : PluginOptions {
  SocketAddress address{IpAddress::any(Family::kIpv6), 8181};  // both families
  bool continuously = false;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  auto options = std::make_shared<ReadyOptions>();
  if (!directive.arguments.empty()) {
    const auto address = read_listen_address(directive.arguments[0]);
    if (!address.ok()) return address.error();
    options->address = *address;
  }
  const auto read = read_properties(
      directive,
      {{"monitor", 1, 1, [&](const corefile::Directive& p) -> Result<void> {
          const auto choice = read_choice(p.arguments[0], {"until-ready", "continuously"});
          if (!choice.ok()) return choice.error();
          options->continuously = *choice == 1;
          return ok();
        }}});
  if (!read.ok()) return read.error();
  return std::shared_ptr<PluginOptions>(std::move(options));
}

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const ReadyOptions&>(given);
  auto http = host.serve_http(
      options.address, "/ready",
      [&host, continuously = options.continuously, was_ready = false]() mutable {
        if (host.stopping()) return HealthAnswer{false, "Shutting down"};
        const std::vector<std::string> names = host.not_ready();
        if (names.empty()) was_ready = true;
        if (names.empty() || (was_ready && !continuously) || host.answered_before()) {
          const auto remarks = host.remarks();
          return HealthAnswer{true, remarks.empty() ? std::string("OK")
                                                    : fmt::format("{}", fmt::join(remarks, "\n"))};
        }
        return HealthAnswer{false, fmt::format("{}", fmt::join(names, ","))};
      });
  if (!http.ok()) return http.error().with_context("ready");
  return *std::move(http);
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(ready) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
