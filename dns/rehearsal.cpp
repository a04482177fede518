// SPDX-License-Identifier: Apache-2.0
#include "dns/rehearsal.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/plugin_line.h"

namespace fairlead::dns {

Rehearsal::Rehearsal(const Options& options)
    : options_(options), files_(options), host_(loop_, options.kubeconfig, false) {}

Rehearsal::~Rehearsal() = default;

Result<std::unique_ptr<Rehearsal>> Rehearsal::open(const Options& options) {
  write_lines_aside();
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
    const Place place = place_at(i, name, type);
    if (place.route != nullptr &&
        (found.route == nullptr || place.route->zone.labels() > found.route->zone.labels()))
      found = place;
  }
  return found;
}

std::vector<Rehearsal::Place> Rehearsal::places_of(const Name& name, Type type) const {
  std::vector<Place> places;
  for (size_t i = 0; i < generation_->plan()->listeners.size(); ++i) {
    const Place place = place_at(i, name, type);
    const auto known = [&](const Place& each) { return each.route->chain == place.route->chain; };
    if (place.route != nullptr && std::ranges::none_of(places, known)) places.push_back(place);
  }
  return places;
}

Rehearsal::Place Rehearsal::place_at(size_t listener, const Name& name, Type type) const {
  const Plan& plan = *generation_->plan();
  const Router& router = generation_->router(listener);
  Place place{&router, router.find(name, type), {}, plan.listeners[listener].address};
  if (place.route == nullptr) return place;
  for (size_t block = 0; block < plan.blocks.size(); ++block)
    if (&generation_->chain(block) == place.route->chain) place.block = plan.blocks[block].label;
  return place;
}

void Rehearsal::ask(const Place& place, std::span<const uint8_t> packet, const Client& client,
                    SendLater on_reply) {
  static const Router kNobody;
  const Router& router = place.router != nullptr ? *place.router : kNobody;
  router.ask(packet, client, std::move(on_reply));
}

}  // namespace fairlead::dns
