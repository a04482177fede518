// SPDX-License-Identifier: Apache-2.0
// Where the relative paths of other plugins begin; without it beside the Corefile.
//
//   root PATH
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_arguments(directives.front(), 1, 1); !right.ok())
    return right.error();
  if (const auto right = expect_no_block(directives.front()); !right.ok()) return right.error();
  block.root = directives.front().arguments[0].text;
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(root) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
