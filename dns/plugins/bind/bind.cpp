// SPDX-License-Identifier: Apache-2.0
// Where the block's zones are answered; without it everywhere.
//
//   bind ADDRESS|INTERFACE... {
//       except ADDRESS|INTERFACE...
//   }
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  for (const Directive& directive : directives) {
    if (const auto right = expect_arguments(directive, 1, Property::kAny); !right.ok())
      return right.error();
    block.bind.insert(block.bind.end(), directive.arguments.begin(), directive.arguments.end());
    const auto read = read_properties(
        directive, {{"except", 1, Property::kAny, [&](const Directive& property) {
                       block.except.insert(block.except.end(), property.arguments.begin(),
                                           property.arguments.end());
                       return ok();
                     }}});
    if (!read.ok()) return read.error();
  }
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(bind) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
