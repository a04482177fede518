// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `trace` sends spans to Zipkin or Datadog. No spans are sent from here; /metrics has the
// durations.
//
//   trace [zipkin|datadog] [ENDPOINT] {
//       every AMOUNT
//       service NAME
//       client_server
//       datadog_analytics_rate RATE
//       zipkin_max_backlog_size|zipkin_max_batch_size NUMBER
//       zipkin_max_batch_interval DURATION
//   }
#include "dns/number_text.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 2); !right.ok()) return right.error();
  if (directive.arguments.size() == 2)
    if (const auto type =
            read_choice(directive.arguments[0], {"zipkin", "datadog"}, Letters::kAnyCase);
        !type.ok())
      return type.error();
  const auto number = [](const Directive& p) -> Result<void> {
    const auto value = read_number(p.arguments[0], 0, UINT64_MAX);
    if (!value.ok()) return value.error();
    return ok();
  };
  const auto duration = [](const Directive& p) -> Result<void> {
    const auto value = read_duration(p.arguments[0]);
    if (!value.ok()) return value.error();
    return ok();
  };
  // As strconv.ParseBool and ParseFloat read them.
  const auto boolean = [](const Directive& p) -> Result<void> {
    if (p.arguments.empty()) return ok();
    const auto value = read_choice(p.arguments[0], {"1", "t", "T", "TRUE", "true", "True", "0", "f",
                                                    "F", "FALSE", "false", "False"});
    if (!value.ok()) return value.error();
    return ok();
  };
  const auto rate = [](const Directive& p) -> Result<void> {
    if (p.arguments.empty()) return ok();
    const auto value = number_of<double>(p.arguments[0].text);
    if (!value || !(*value >= 0 && *value <= 1))
      return p.arguments[0].place.error("'" + p.arguments[0].text + "' is no rate from 0 to 1");
    return ok();
  };
  const auto any = [](const Directive&) -> Result<void> { return ok(); };
  const auto read = read_properties(directive, {{"every", 1, 1, number},
                                                {"service", 1, 1, any},
                                                {"client_server", 0, 1, boolean},
                                                {"datadog_analytics_rate", 0, 1, rate},
                                                {"zipkin_max_backlog_size", 1, 1, number},
                                                {"zipkin_max_batch_size", 1, 1, number},
                                                {"zipkin_max_batch_interval", 1, 1, duration}});
  if (!read.ok()) return read.error();
  block.notes.push_back("trace: has no effect; no spans are sent, /metrics has the durations");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(trace) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
