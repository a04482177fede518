// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `multisocket` opens several sockets for each address. Here there is one for each worker
// anyway.
//
//   multisocket [SOCKETS]
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
  if (!directive.arguments.empty())
    if (const auto count = read_number(directive.arguments[0], 1, 1024); !count.ok())
      return count.error();
  block.notes.push_back("multisocket: has no effect; each worker has sockets of its own");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(multisocket) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
