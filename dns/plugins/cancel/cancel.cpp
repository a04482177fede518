// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `cancel` ends queries that take too long. Every query is bounded here: forward gives up
// after 5 seconds.
//
//   cancel [TIMEOUT]     5001ms
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  if (!directive.arguments.empty()) {
    const auto timeout = read_duration(directive.arguments[0]);
    if (!timeout.ok()) return timeout.error();
    if (*timeout == Duration::zero())
      return directive.arguments[0].place.error("cancel's timeout must be more than 0");
  }
  block.notes.push_back("cancel: has no effect; every query ends within 5 seconds here");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(cancel) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
