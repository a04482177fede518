// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/service.h"

#include <algorithm>

namespace fairlead::proxy::stream {

namespace {

bool in_any(const std::vector<Cidr>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const Cidr& cidr) { return cidr.contains(address); });
}

// Two prefixes are disjoint, or one holds the other.
std::vector<Cidr> in_both(const std::vector<Cidr>& left, const std::vector<Cidr>& right) {
  std::vector<Cidr> result;
  for (const Cidr& one : left)
    for (const Cidr& other : right) {
      if (one.contains(other))
        result.push_back(other);
      else if (other.contains(one))
        result.push_back(one);
    }
  return result;
}

std::vector<Cidr> sources_inside(const Origins& origins, const IpAddress& reached) {
  const Family family = reached.family();
  std::vector<Cidr> result = {
      Cidr::host(reached), family == Family::kIpv4 ? Cidr(IpAddress::v4(127, 0, 0, 0), 8)
                                                   : Cidr::host(IpAddress::parse("::1").value())};
  for (const Cidr& pods : origins.pods)
    if (pods.family() == family) result.push_back(pods);
  for (const IpAddress& address : origins.node)
    if (address.family() == family) result.push_back(Cidr::host(address));
  return result;
}

}  // namespace

bool Origins::inside(const IpAddress& client, const IpAddress& reached) const {
  return client == reached || client.is_loopback() || in_any(pods, client) ||
         std::binary_search(node.begin(), node.end(), client);
}

bool may_wait(const Service& service, const IpAddress& client) {
  return service.hold > Duration{} && (!service.ranges || in_any(*service.ranges, client));
}

const EndpointSet* set_for(const Service& service, const IpAddress& client,
                           const IpAddress& reached) {
  if (service.treatment <= Treatment::kDrop) return nullptr;
  if (service.ranges && !in_any(*service.ranges, client)) return nullptr;
  if (service.inside && service.origins->inside(client, reached)) return service.inside.get();
  return service.outside->endpoints.empty() ? nullptr : service.outside.get();
}

bool keeps_source(const Service& service, const IpAddress& client) {
  if (service.kept == KeptSources::kNone || client.is_loopback() ||
      std::binary_search(service.origins->node.begin(), service.origins->node.end(), client))
    return false;
  return service.kept == KeptSources::kAll || in_any(service.origins->pods, client);
}

std::optional<std::vector<Cidr>> admitted(const Service& service, const IpAddress& reached) {
  if (service.treatment <= Treatment::kDrop && service.hold == Duration{})
    return std::vector<Cidr>();
  std::optional<std::vector<Cidr>> result;
  if (service.ranges) result = *service.ranges;
  if (service.inside && service.outside->endpoints.empty()) {
    const std::vector<Cidr> inside = sources_inside(*service.origins, reached);
    result = result ? in_both(*result, inside) : inside;
  }
  if (result) {
    std::sort(result->begin(), result->end());
    result->erase(std::unique(result->begin(), result->end()), result->end());
  }
  return result;
}

}  // namespace fairlead::proxy::stream
