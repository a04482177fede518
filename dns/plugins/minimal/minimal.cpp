// SPDX-License-Identifier: Apache-2.0
// Small replies: those that have an answer go without authority and additional records. NXDOMAIN
// and NODATA keep their SOA, without which nobody could cache them, and delegations their servers.
//
//   minimal
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

struct MinimalOptions : PluginOptions {};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_arguments(directives[0], 0, 0); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  return std::shared_ptr<PluginOptions>(std::make_shared<MinimalOptions>());
}

class Minimal : public Plugin {
 public:
  void on_reply(const Query&, const Client&, Reply& reply) override {
    if (reply.rcode() != Rcode::kNoError) return;
    if (reply.count(Section::kAnswer) > 0)
      reply.drop_from(Section::kAuthority);
    else if (reply.count(Section::kAuthority) == 0)
      reply.drop_from(Section::kAdditional);
  }
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions&) {
  return std::make_unique<Minimal>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(minimal) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
