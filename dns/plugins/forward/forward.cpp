// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/forward.h"

#include <algorithm>

#include "dns/plugins/forward/forwarder.h"
#include "dns/plugins/forward/setup.h"

namespace fairlead::dns {
namespace {

class Forward : public Plugin {
 public:
  Forward(const PluginContext& context, const ForwardOptions& options) {
    std::vector<const ForwardOptions*> all = {&options};
    for (const auto& other : options.others) all.push_back(other.get());
    for (const ForwardOptions* each : all)
      forwarders_.push_back(std::make_unique<Forwarder>(
          context, *each,
          [this](const Name& name, const Forwarder& self) { return next(name, self); }));
  }
  Step serve(Request& request) override {
    for (const auto& forwarder : forwarders_)
      if (forwarder->is_for(request.query().name)) return forwarder->serve(request);
    return Step::kNext;
  }

 private:
  Forwarder* next(const Name& name, const Forwarder& self) const {
    bool behind = false;
    for (const auto& forwarder : forwarders_) {
      if (behind && forwarder->is_for(name)) return forwarder.get();
      behind = behind || forwarder.get() == &self;
    }
    return nullptr;
  }

  std::vector<std::unique_ptr<Forwarder>> forwarders_;
};

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Forward>(context, dynamic_cast<const ForwardOptions&>(options));
}

}  // namespace

// FROM itself is never excepted.
bool ForwardOptions::is_for(const Name& name) const {
  const auto has = [&](const Name& zone) { return name.ends_with(zone); };
  if (std::ranges::none_of(from, has)) return false;
  return std::ranges::none_of(except, has) || std::ranges::find(from, name) != from.end();
}

FAIRLEAD_DNS_PLUGIN(forward) = {&parse_forward, &make, &start_forward};

}  // namespace fairlead::dns
