// SPDX-License-Identifier: Apache-2.0
// The addresses services have outside of the cluster, in a zone for clients there. Needs
// `kubernetes` in the same server block, whose objects it answers from.
//
//   k8s_external [ZONES...] {
//       apex LABEL                   dns
//       ttl SECONDS                  0 to 3600, 5
//       headless
//       fallthrough [ZONES...]
//   }
#include "dns/plugins/k8s_external/external.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/router.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

struct ExternalOptions : PluginOptions {
  ExternalConfig config;
  Fallthrough fallthrough;
  std::shared_ptr<KubernetesOptions> kubernetes;
};

Result<void> read_apex(const Directive& property, std::string& apex) {
  const corefile::Word& word = property.arguments[0];
  const Result<Name> name = Name::from_text(word.text);
  if (!name.ok() || name->labels() != 1)
    return word.place.error("'" + word.text + "' is no label such as dns");
  apex = name->label(0);
  return ok();
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  auto options = std::make_shared<ExternalOptions>();
  auto zones = read_zones(directive.arguments, block.zones);
  if (!zones.ok()) return zones.error();
  options->config.zones = *std::move(zones);
  const auto read = read_properties(
      directive,
      {{"apex", 1, Property::kAny,
        [&](const Directive& p) { return read_apex(p, options->config.apex); }},
       {"ttl", 1, Property::kAny,
        [&](const Directive& p) -> Result<void> {
          const auto number = read_number(p.arguments[0], 0, 3600);
          if (!number.ok()) return number.error();
          options->config.ttl = static_cast<uint32_t>(*number);
          return ok();
        }},
       {"headless", 0, 0, [&](const Directive&) { return options->config.headless = true, ok(); }},
       {"fallthrough", 0, Property::kAny,
        [&](const Directive& p) { return options->fallthrough.read(p); }}});
  if (!read.ok()) return read.error();
  block.needs.push_back({"kubernetes", directive.name.place,
                         [options](const std::shared_ptr<PluginOptions>& kubernetes) {
                           options->kubernetes =
                               std::dynamic_pointer_cast<KubernetesOptions>(kubernetes);
                         }});
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class External : public Plugin {
 public:
  External(const PluginContext& context, const ExternalOptions& options)
      : router_(context.router),
        options_(options),
        reader_(context.readers.of(*options.kubernetes->published)) {}

  Step serve(Request& request) override {
    Name target;
    const Published::Reader::Guard guard(*reader_);
    const Outcome outcome = answer_external(options_.config, reader_->snapshot(), request.query(),
                                            options_.kubernetes->zones.front().local_addresses,
                                            options_.fallthrough.through(request.query().name),
                                            rotation_++, request.reply(), target);
    if (outcome == Outcome::kNotOurs || outcome == Outcome::kFallsThrough) return Step::kNext;
    request.reply().set_own();
    if (outcome != Outcome::kChase) return Step::kAnswered;
    return chase_alias(router_, request, target);
  }

 private:
  Router& router_;
  const ExternalOptions& options_;
  const std::shared_ptr<Published::Reader> reader_;
  uint32_t rotation_ = 0;
};

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<External>(context, dynamic_cast<const ExternalOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(k8s_external) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
