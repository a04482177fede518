// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/userspace.h"

#include <algorithm>

#include "proxy/node_watch.h"

namespace fairlead::proxy::stream {

Result<std::unique_ptr<Userspace>> Userspace::open(Loop& loop, PlaneSettings settings) {
  std::unique_ptr<Userspace> made(new Userspace(settings));
  const PlaneInputs inputs{*made, made->services_, made->wishes_, made->api_servers_};
  auto plane = Plane::open(loop, inputs, std::move(settings));
  if (!plane.ok()) return plane.error();
  made->plane_ = std::move(*plane);
  return made;
}

Userspace::Userspace(const PlaneSettings& settings)
    : services_(NodeFacts{settings.node_name,
                          {},
                          {},
                          std::all_of(settings.families.begin(), settings.families.end(),
                                      [](const Config& c) { return c.accept_external_ips; })}) {}

void Userspace::mark(const Dirty& dirty) {
  if (on_services_changed_) on_services_changed_();
  plane_->mark(dirty);
}

void Userspace::put(const kube::Service& service) {
  const kube::ObjectKey key = service.meta.key();
  const bool known = has_wishes(service) && !services_.frontends(key).empty();
  const bool asks_anew = wishes_.put(service, known);
  mark(services_.put(service));
  if (asks_anew) mark(services_.frontends(key));
}

void Userspace::put(const kube::EndpointSlice& slice) {
  if (api_servers_.put(slice)) plane_->mark_all();
  mark(services_.put(slice));
}

void Userspace::remove_service(const kube::ObjectKey& key) {
  wishes_.remove(key);
  mark(services_.remove_service(key));
}

void Userspace::remove_slice(const kube::ObjectKey& key) {
  if (api_servers_.remove(key)) plane_->mark_all();
  mark(services_.remove_slice(key));
}

void Userspace::set_node(const kube::Node& node) {
  const std::vector<IpAddress> addresses = primary_addresses(node);
  const auto zone = node.meta.labels.find("topology.kubernetes.io/zone");
  mark(services_.set_node(zone == node.meta.labels.end() ? "" : zone->second, addresses));
  plane_->set_primary_addresses(addresses);
}

void Userspace::set_service_cidrs(std::vector<Cidr> cidrs) {
  plane_->set_service_cidrs(std::move(cidrs));
}

}  // namespace fairlead::proxy::stream
