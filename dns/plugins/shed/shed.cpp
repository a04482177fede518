// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `shed` drops queries over UDP that have waited too long. Here an overloaded socket
// sheds the clients that ask most, always (server/fair_share.h).
//
//   shed
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 0); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  block.notes.push_back("shed: has no effect; an overloaded server always sheds here");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(shed) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
