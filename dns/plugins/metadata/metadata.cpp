// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `metadata` has plugins collect labels of a query for others. Plugins here read what
// they need from the query itself.
//
//   metadata [ZONES...]
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  if (const auto zones = read_zones(directive.arguments, block.zones); !zones.ok())
    return zones.error();
  block.notes.push_back("metadata: has no effect; plugins here publish no labels");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(metadata) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
