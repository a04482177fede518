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
  const auto stale = std::make_shared<StaleFlows>(frontends, node_addresses_(family), services_);
  more_ = false;
  gone_ = 0;
  conntrack::list(
      netfilter_, filter,
      [this, alive = alive_, family](Result<std::vector<conntrack::Entry>> flows) {
        if (!*alive) return;
        if (!flows.ok()) return failed(flows.error());
        if (on_listed_) on_listed_(family, clock_.now() - began_);
        listed(*std::move(flows), family);
      },
      [this, alive = alive_, stale, found = size_t{0}](const conntrack::Entry& flow) mutable {
        if (!*alive || !stale->contains(flow)) return false;
        if (found == kMaxDeletes) return more_ = true, false;
        return ++found > 0;
      });
}

// The services may have changed during the listing: who serves now keeps its flows.
void ConntrackCleaner::listed(std::vector<conntrack::Entry> flows, Family family) {
  StaleFlows stale(listed_, node_addresses_(family), services_);
  std::erase_if(flows, [&](const conntrack::Entry& flow) { return !stale.contains(flow); });
  stale_ = std::move(flows);
  listing_took_ = clock_.now() - began_;
  remove_next();
}

void ConntrackCleaner::remove_next() {
  for (; deleting_ < kAtOnce && !stale_.empty(); ++deleting_) {
    const conntrack::Entry flow = stale_.back();
    stale_.pop_back();
    netfilter_.request(conntrack::delete_entry(flow),
                       [this, alive = alive_, flow](const Result<void>& result) {
                         if (*alive) removed(flow, result);
                       });
  }
  if (deleting_ == 0) finished();
}

void ConntrackCleaner::removed(const conntrack::Entry& entry, const Result<void>& result) {
  --deleting_;
  if (result.ok()) {
    ++deleted_;
    if (on_deleted_) on_deleted_(entry.original.destination.family());
  }
  if (result.ok() || result.error().is_not_found())
    ++gone_;
  else
    log::warn("deleting a stale UDP flow failed: {}", result.error().message());
  remove_next();
}

// What could not be listed is looked at again with the second look.
void ConntrackCleaner::failed(const Error& error) {
  log::warn("listing UDP flows failed: {}; trying again", error.message());
  listing_took_ = clock_.now() - began_;
  more_ = false;
  look_again(std::exchange(listed_, {}));
  look_again(std::exchange(waiting_, {}));
  finished();
}

void ConntrackCleaner::finished() {
  busy_ = false;
  stale_ = {};
  if (std::exchange(more_, false)) {
    if (gone_ != 0) {
      waiting_.merge(std::exchange(listed_, {}));
      return next();
    }
    look_again(listed_);
  }
  listed_.clear();
  resting_ = true;
  rest_ = clock_.after(std::min(kRest * listing_took_, kMaxRest), [this] {
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
