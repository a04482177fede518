// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `debug` lets panics end the program and logs more. There are no panics here; for more
// words give --log-level debug.
//
//   debug
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto right = expect_arguments(directives.front(), 0, 0); !right.ok())
    return right.error();
  if (const auto right = expect_no_block(directives.front()); !right.ok()) return right.error();
  block.notes.push_back("debug: has no effect; --log-level debug says more");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(debug) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
