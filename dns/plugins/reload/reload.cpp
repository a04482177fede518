// SPDX-License-Identifier: Apache-2.0
// Reads the Corefile again when it, or what it imports, has changed. A bad one changes nothing and
// is logged.
//
//   reload [INTERVAL [JITTER]]     30s, at least 2s; JITTER: half of it at most, at least 1s
//   reload off
#include <fmt/format.h>

#include <algorithm>

#include "dns/counters.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using std::chrono::seconds;

struct ReloadOptions : PluginOptions {
  Duration interval = seconds(30);
  Duration jitter = seconds(15);
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 2); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  const auto& arguments = directive.arguments;
  if (arguments.size() == 1 && arguments[0].text == "off") return std::shared_ptr<PluginOptions>();
  auto options = std::make_shared<ReloadOptions>();
  if (!arguments.empty()) {
    const auto interval = read_duration(arguments[0]);
    if (!interval.ok()) return interval.error();
    options->interval = std::max<Duration>(*interval, seconds(2));
    options->jitter = options->interval / 2;
  }
  if (arguments.size() == 2) {
    const auto jitter = read_duration(arguments[1]);
    if (!jitter.ok()) return jitter.error();
    options->jitter = std::clamp<Duration>(
        *jitter, std::min<Duration>(seconds(1), options->interval / 2), options->interval / 2);
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

// Of the program, however many blocks have the directive.
struct Metrics {
  explicit Metrics(Host& host)
      : failed(add_counters(host, "coredns_reload_failed_total",
                            "Counter of the number of failed reload attempts.",
                            [&host](std::vector<Count>& out) {
                              out.push_back({"", host.failed_reloads()});
                            })),
        version(add_counters(
            host, "coredns_reload_version_info",
            "A metric with a constant '1' value labeled by hash, and value which "
            "type of hash generated.",
            [&host](std::vector<Count>& out) {
              out.push_back({fmt::format("hash=\"sha512\",value=\"{}\"", host.version()), 1});
            })) {}
  Host::Token failed;
  Host::Token version;
};

struct Running : Service {
  Host::Token reload;
  std::shared_ptr<Metrics> metrics;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const ReloadOptions&>(given);
  auto running = std::make_unique<Running>();
  running->reload = host.add_reload(options.interval, options.jitter);
  running->metrics = *host.shared<Metrics>("reload metrics", [&host] {
    return Result<std::shared_ptr<Metrics>>(std::make_shared<Metrics>(host));
  });
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(reload) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
