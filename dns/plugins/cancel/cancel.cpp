// SPDX-License-Identifier: Apache-2.0
// How long queries may wait for other servers.
//
//   cancel [TIMEOUT]     5001ms
#include "base/loop.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

struct CancelOptions : PluginOptions {
  Duration timeout = std::chrono::milliseconds(5001);
};

class Cancel : public Plugin {
 public:
  Cancel(Loop& loop, Duration timeout) : loop_(loop), timeout_(timeout) {}

  Step serve(Request& request) override {
    Client client = request.client();
    client.until = loop_.clock().now() + timeout_;
    request.replace_client(std::move(client));
    return Step::kNext;
  }

 private:
  Loop& loop_;
  Duration timeout_;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  auto options = std::make_shared<CancelOptions>();
  if (!directive.arguments.empty()) {
    const auto timeout = read_duration(directive.arguments[0]);
    if (!timeout.ok()) return timeout.error();
    if (*timeout == Duration::zero())
      return directive.arguments[0].place.error("cancel's timeout must be more than 0");
    options->timeout = *timeout;
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Cancel>(context.loop,
                                  dynamic_cast<const CancelOptions&>(options).timeout);
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(cancel) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
