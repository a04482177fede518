// SPDX-License-Identifier: Apache-2.0
// CoreDNS's `pprof` serves profiles of its Go runtime. There is none here: perf(1) sees everything.
//
//   pprof [ADDRESS] {
//       block [RATE]
//   }
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
  if (!directive.arguments.empty())
    if (const auto address = read_listen_address(directive.arguments[0]); !address.ok())
      return address.error();
  const auto read =
      read_properties(directive, {{"block", 0, 1, [](const Directive& p) -> Result<void> {
                                     if (p.arguments.empty()) return ok();
                                     const auto rate = read_number(p.arguments[0], 0, UINT32_MAX);
                                     if (!rate.ok()) return rate.error();
                                     return ok();
                                   }}});
  if (!read.ok()) return read.error();
  block.notes.push_back("pprof: has no effect; there is no Go runtime to profile, perf(1) works");
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(pprof) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
