// SPDX-License-Identifier: Apache-2.0
#include "dns/rehearsal.h"

#include <fmt/format.h>

namespace fairlead::dns {

Rehearsal::Rehearsal(const Options& options)
    : options_(options), files_(options), host_(loop_, options.kubeconfig, false) {}

Rehearsal::~Rehearsal() = default;

Result<std::unique_ptr<Rehearsal>> Rehearsal::open(const Options& options) {
  std::unique_ptr<Rehearsal> made(new Rehearsal(options));
  Result<Config> config = load_config(made->options_, made->files_);
  if (!config.ok()) return config.error();
  made->config_ = *std::move(config);
  Result<Services> services = start_services(made->host_, made->config_);
  if (!services.ok()) return services.error();
  made->services_ = *std::move(services);
  made->generation_ =
      std::make_unique<Generation>(made->config_.plan, made->loop_, made->readers_, made->metrics_);
  return made;
}

Result<void> Rehearsal::wait_ready(Duration limit) {
  if (loop_.run_until([this] { return host_.not_ready().empty(); }, limit)) return ok();
  return Error(ErrorCode::kTimeout, fmt::format("not ready after {:.0f} s: {}",
                                                std::chrono::duration<double>(limit).count(),
                                                fmt::join(host_.not_ready(), ", ")));
}

Rehearsal::Place Rehearsal::place_of(const Name& name, Type type, uint16_t port) const {
  Place found;
  const Plan& plan = *generation_->plan();
  for (size_t i = 0; i < plan.listeners.size(); ++i) {
    if (plan.listeners[i].address.port != port) continue;
    const Router& router = generation_->router(i);
    const Router::Route* const route = router.find(name, type);
    if (route == nullptr ||
        (found.route != nullptr && route->zone.labels() <= found.route->zone.labels()))
      continue;
    found = {&router, route, {}};
    for (size_t block = 0; block < plan.blocks.size(); ++block)
      if (&generation_->chain(block) == route->chain) found.block = plan.blocks[block].label;
  }
  return found;
}

void Rehearsal::ask(const Place& place, std::span<const uint8_t> packet, const Client& client,
                    SendLater on_reply) {
  static const Router kNobody;
  const Router& router = place.router != nullptr ? *place.router : kNobody;
  router.ask(packet, client, std::move(on_reply));
}

}  // namespace fairlead::dns
