// SPDX-License-Identifier: Apache-2.0
// What a Corefile says about rewriting.
#pragma once

#include <memory>

#include "dns/plugin.h"
#include "dns/plugins/rewrite/rules.h"

namespace fairlead::dns {

struct RewriteOptions : PluginOptions {
  std::vector<RewriteRule> rules;
};

Result<std::shared_ptr<PluginOptions>> parse_rewrite(const PluginKind::Directives& directives,
                                                     BlockSetup& block);

}  // namespace fairlead::dns
