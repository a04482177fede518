// SPDX-License-Identifier: Apache-2.0
// Gives queries labels (dns/labels.h), for directives of the block that ask for them: `log`,
// `rewrite edns0`, `template`. Where none does nothing is done.
//
//   metadata [ZONES...]     the block's
#include <algorithm>

#include "dns/labels.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

struct MetadataOptions : PluginOptions {
  std::vector<Name> zones;
  std::shared_ptr<const bool> asked;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  auto zones = read_zones(directive.arguments, block.zones);
  if (!zones.ok()) return zones.error();
  auto options = std::make_shared<MetadataOptions>();
  options->zones = *std::move(zones);
  options->asked = block.labels_asked;
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Metadata : public Plugin {
 public:
  explicit Metadata(const MetadataOptions& options) : options_(options) {}
  bool serves_chaos() const override { return true; }

  Step serve(Request& request) override {
    if (!*options_.asked || std::ranges::none_of(options_.zones, [&](const Name& zone) {
          return request.query().name.ends_with(zone);
        }))
      return Step::kNext;
    Client client = request.client();
    client.labels = std::make_shared<Labels>(request);
    request.replace_client(std::move(client));
    return Step::kNext;
  }

 private:
  const MetadataOptions& options_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Metadata>(dynamic_cast<const MetadataOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(metadata) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
