// SPDX-License-Identifier: Apache-2.0
#include "dns/server/generation.h"

#include <algorithm>

namespace fairlead::dns {

Generation::Generation(std::shared_ptr<const Plan> plan, Loop& loop, Readers& readers,
                       WorkerMetrics& metrics)
    : plan_(std::move(plan)) {
  const auto& listeners = plan_->listeners;
  for (size_t i = 0; i < listeners.size(); ++i) routers_.push_back(std::make_unique<Router>());
  for (size_t block = 0; block < plan_->blocks.size(); ++block) {
    // Questions of a block's plugins go where its own clients' do: they may be for other blocks.
    size_t first = 0;
    const auto routes_to = [&](const Plan::Listener& listener) {
      return std::ranges::any_of(listener.routes, [&](auto& r) { return r.block == block; });
    };
    while (first + 1 < listeners.size() && !routes_to(listeners[first])) ++first;
    chains_.push_back(std::make_unique<Chain>());
    // The registry has all that a plan names (dns/config.h).
    (void)chains_.back()->assemble({loop, readers, *routers_[first]}, plan_->blocks[block].plugins);
  }
  for (size_t i = 0; i < listeners.size(); ++i)
    for (const Plan::Route& route : listeners[i].routes)
      routers_[i]->add({route.zone, chains_[route.block].get(),
                        &metrics.block({plan_->blocks[route.block].label, route.zone.to_text()})});
}

Generation::~Generation() {
  for (const auto& chain : chains_) chain->clear();
}

size_t Generation::waiting() const {
  size_t sum = 0;
  for (const auto& chain : chains_) sum += chain->waiting();
  return sum;
}

}  // namespace fairlead::dns
