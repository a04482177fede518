// SPDX-License-Identifier: Apache-2.0
#include "proxy/conntrack_cleaner.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/log.h"
#include "netlink/route/address.h"

namespace fairlead::proxy {

namespace conntrack = netlink::conntrack;
namespace route = netlink::route;

bool is_stale(const conntrack::Entry& entry, const std::set<Frontend>& changed,
              const std::set<IpAddress>& local, const ServiceMap& services) {
  if (entry.original.protocol != IPPROTO_UDP) return false;
  const IpAddress& destination = entry.original.destination;
  const uint16_t port = entry.original.destination_port;
  const auto served = [&](const Frontend& frontend) {
    return services.serves(frontend, entry.reply.source, entry.reply.source_port);
  };
  const Frontend vip = Frontend::vip(destination, Protocol::kUdp, port);
  if (changed.contains(vip)) return !served(vip);
  const Frontend node = Frontend::node(destination.family(), Protocol::kUdp, port);
  if (!changed.contains(node) || !local.contains(destination)) return false;
  return !served(node);
}

ConntrackCleaner::ConntrackCleaner(Clock& clock, netlink::Connection& netfilter,
                                   netlink::Connection& route, const ServiceMap& services)
    : clock_(clock), netfilter_(netfilter), route_(route), services_(services) {}

ConntrackCleaner::~ConntrackCleaner() {
  *alive_ = false;
}

void ConntrackCleaner::changed(const Dirty& frontends) {
  bool any = false;
  for (const Frontend& frontend : frontends) {
    if (frontend.protocol != Protocol::kUdp) continue;
    waiting_.insert(frontend);
    later_.insert(frontend);
    any = true;
  }
  if (!any) return;
  look_again({});
  next();
}

// One family at a time.
void ConntrackCleaner::next() {
  if (busy_ || resting_ || waiting_.empty()) return;
  const Family family = waiting_.begin()->family();
  std::set<Frontend> frontends;
  bool node_ports = false;
  for (const Frontend& frontend : waiting_) {
    if (frontend.family() != family) continue;
    frontends.insert(frontend);
    node_ports |= frontend.node_port;
  }
  for (const Frontend& frontend : frontends) waiting_.erase(frontend);
  busy_ = true;
  if (node_ports)
    list_addresses(family, std::move(frontends));
  else
    list_flows(family, frontends, {});
}

void ConntrackCleaner::list_addresses(Family family, std::set<Frontend> frontends) {
  route_.dump<route::InterfaceAddress>(
      route::dump_addresses(family), route::parse_address,
      [this, alive = alive_, family,
       frontends = std::move(frontends)](Result<std::vector<route::InterfaceAddress>> addresses) {
        if (!*alive) return;
        if (!addresses.ok()) {
          waiting_.insert(frontends.begin(), frontends.end());
          return finished(addresses.error());
        }
        std::set<IpAddress> local;
        for (const route::InterfaceAddress& address : *addresses) local.insert(address.address);
        list_flows(family, frontends, std::move(local));
      });
}

void ConntrackCleaner::list_flows(Family family, const std::set<Frontend>& frontends,
                                  std::set<IpAddress> local) {
  began_ = clock_.now();
  conntrack::Filter filter;
  filter.family = family;
  filter.protocol = IPPROTO_UDP;
  if (frontends.size() == 1) {
    filter.destination_port = frontends.begin()->port;
    if (!frontends.begin()->node_port) filter.destination = frontends.begin()->address;
  }
  conntrack::list(netfilter_, filter,
                  [this, alive = alive_, frontends,
                   local = std::move(local)](Result<std::vector<conntrack::Entry>> flows) {
                    if (!*alive) return;
                    if (!flows.ok()) {
                      waiting_.insert(frontends.begin(), frontends.end());
                      return finished(flows.error());
                    }
                    size_t removed = 0;
                    for (const conntrack::Entry& flow : *flows) {
                      if (!is_stale(flow, frontends, local, services_)) continue;
                      if (removed++ == kMaxDeletes) {
                        look_again(frontends);
                        break;
                      }
                      remove(flow);
                    }
                    finished(std::nullopt);
                  });
}

void ConntrackCleaner::remove(const conntrack::Entry& entry) {
  netfilter_.request(conntrack::delete_entry(entry), [this, alive = alive_](Result<void> result) {
    if (!*alive) return;
    if (result.ok()) {
      ++deleted_;
    } else if (!result.error().is_not_found()) {
      log::warn("deleting a stale UDP flow failed: {}", result.error().message());
    }
  });
}

// What could not be listed is looked at again with the second look.
void ConntrackCleaner::finished(const std::optional<Error>& error) {
  busy_ = false;
  if (error) {
    log::warn("listing UDP flows failed: {}; trying again", error->message());
    look_again(std::exchange(waiting_, {}));
  }
  rest();
}

void ConntrackCleaner::rest() {
  resting_ = true;
  rest_ = clock_.after(std::min(kRest * (clock_.now() - began_), kMaxRest), [this] {
    resting_ = false;
    next();
  });
}

// A second after the first who asks: changes in quick succession do not put it off.
void ConntrackCleaner::look_again(std::set<Frontend> frontends) {
  later_.merge(frontends);
  if (std::exchange(looking_again_, true)) return;
  second_look_ = clock_.after(kSecondLook, [this] {
    looking_again_ = false;
    waiting_.merge(std::exchange(later_, {}));
    next();
  });
}

}  // namespace fairlead::proxy
