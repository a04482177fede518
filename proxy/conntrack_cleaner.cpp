// SPDX-License-Identifier: Apache-2.0
#include "proxy/conntrack_cleaner.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/log.h"

namespace fairlead::proxy {

namespace conntrack = netlink::conntrack;

bool StaleFlows::abandoned(const Frontend& frontend, const conntrack::Entry& entry) {
  auto known = serving_.find(frontend);
  if (known == serving_.end())
    known = serving_.emplace(frontend, services_.serving_addresses(frontend)).first;
  return services_.abandons(frontend, known->second, {entry.reply.source, entry.reply.source_port});
}

bool StaleFlows::contains(const conntrack::Entry& entry) {
  if (entry.original.protocol != IPPROTO_UDP) return false;
  const IpAddress& destination = entry.original.destination;
  const uint16_t port = entry.original.destination_port;
  const Frontend vip = Frontend::vip(destination, Protocol::kUdp, port);
  if (changed_.contains(vip)) return abandoned(vip, entry);
  const Frontend node = Frontend::node(destination.family(), Protocol::kUdp, port);
  if (!changed_.contains(node)) return false;
  const bool ours = std::find(node_addresses_.begin(), node_addresses_.end(), destination) !=
                    node_addresses_.end();
  return ours && abandoned(node, entry);
}

ConntrackCleaner::ConntrackCleaner(Clock& clock, netlink::Connection& netfilter,
                                   const ServiceMap& services, NodeAddressesOf node_addresses)
    : clock_(clock),
      netfilter_(netfilter),
      services_(services),
      node_addresses_(std::move(node_addresses)) {}

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
  for (const Frontend& frontend : waiting_)
    if (frontend.family() == family) frontends.insert(frontend);
  for (const Frontend& frontend : frontends) waiting_.erase(frontend);
  busy_ = true;
  listed_ = frontends;
  list_flows(family, frontends);
}

void ConntrackCleaner::list_flows(Family family, const std::set<Frontend>& frontends) {
  began_ = clock_.now();
  conntrack::Filter filter;
  filter.family = family;
  filter.protocol = IPPROTO_UDP;
  if (frontends.size() == 1) {
    filter.destination_port = frontends.begin()->port;
    if (!frontends.begin()->node_port) filter.destination = frontends.begin()->address;
  }
  conntrack::list(
      netfilter_, filter,
      [this, alive = alive_, family, frontends](Result<std::vector<conntrack::Entry>> flows) {
        if (!*alive) return;
        if (!flows.ok()) {
          waiting_.insert(frontends.begin(), frontends.end());
          return finished(flows.error());
        }
        if (on_listed_) on_listed_(family, clock_.now() - began_);
        listed(*flows, family, frontends);
        finished(std::nullopt);
      });
}

void ConntrackCleaner::listed(const std::vector<conntrack::Entry>& flows, Family family,
                              const std::set<Frontend>& frontends) {
  StaleFlows stale(frontends, node_addresses_(family), services_);
  size_t removed = 0;
  for (const conntrack::Entry& flow : flows) {
    if (!stale.contains(flow)) continue;
    if (removed++ == kMaxDeletes) return look_again(frontends);
    remove(flow);
  }
}

void ConntrackCleaner::remove(const conntrack::Entry& entry) {
  const Family family = entry.original.destination.family();
  netfilter_.request(
      conntrack::delete_entry(entry), [this, alive = alive_, family](Result<void> result) {
        if (!*alive) return;
        if (result.ok()) {
          ++deleted_;
          if (on_deleted_) on_deleted_(family);
        } else if (!result.error().is_not_found()) {
          log::warn("deleting a stale UDP flow failed: {}", result.error().message());
        }
      });
}

// What could not be listed is looked at again with the second look.
void ConntrackCleaner::finished(const std::optional<Error>& error) {
  busy_ = false;
  listed_.clear();
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
