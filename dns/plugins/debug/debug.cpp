// SPDX-License-Identifier: Apache-2.0
// Lines of level debug are logged, whatever --log-level says, as long as a block that has it is
// served. (CoreDNS's also lets panics end the program; there are none here.)
//
//   debug
#include "base/log.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto right = expect_arguments(directives.front(), 0, 0); !right.ok())
    return right.error();
  if (const auto right = expect_no_block(directives.front()); !right.ok()) return right.error();
  return std::make_shared<PluginOptions>();
}

struct Debugging : Service {
  log::Debugging debugging;
};

Result<std::unique_ptr<Service>> start(Host&, PluginOptions&) {
  return std::unique_ptr<Service>(std::make_unique<Debugging>());
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(debug) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
