// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/routes.h"

#include <net/if.h>

#include <algorithm>

#include "base/log.h"

namespace fairlead::proxy::stream {

namespace route = netlink::route;

namespace {

// A route of a kind we do not know is none of ours.
Result<route::Route> parse_leniently(const netlink::MessageView& view) {
  Result<route::Route> parsed = route::parse_route(view);
  return parsed.ok() ? parsed : Result<route::Route>(route::Route());
}

route::Route route_for(const Cidr& destination, uint8_t type) {
  route::Route made;
  if (type == RTN_LOCAL) {
    made = route::local_route(destination.address(), if_nametoindex("lo"));
  } else {
    made.destination = destination;
    made.type = type;
  }
  made.protocol = Routes::kProtocol;
  return made;
}

// Of the two kinds we make, whoever has made it.
bool is_of_our_kind(const route::Route& one) {
  return one.type == RTN_LOCAL       ? one.table == RT_TABLE_LOCAL
         : one.type == RTN_BLACKHOLE ? one.table == RT_TABLE_MAIN
                                     : false;
}

bool is_ours(const route::Route& one) {
  return one.protocol == Routes::kProtocol && is_of_our_kind(one);
}

}  // namespace

Result<std::unique_ptr<Routes>> Routes::open(Loop& loop) {
  auto requests = netlink::Connection::open(loop, netlink::Protocol::kRoute);
  if (!requests.ok()) return requests.error();
  auto watch = netlink::Connection::open(loop, netlink::Protocol::kRoute);
  if (!watch.ok()) return watch.error();
  for (const uint32_t group : {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE})
    if (auto subscribed = (*watch)->subscribe(group); !subscribed.ok()) return subscribed.error();
  return std::unique_ptr<Routes>(new Routes(loop, std::move(*requests), std::move(*watch)));
}

Routes::Routes(Loop& loop, std::unique_ptr<netlink::Connection> requests,
               std::unique_ptr<netlink::Connection> watch)
    : clock_(loop.clock()), requests_(std::move(requests)), watch_(std::move(watch)) {
  watch_->set_on_notification([this](const netlink::MessageView& view) { on_notification(view); });
  watch_->set_on_resync([this] {
    if (started_ && listing_ == 0) start();
  });
}

Routes::~Routes() {
  *alive_ = false;
}

void Routes::want(const Key& key, bool wanted) {
  const auto found = routes_.find(key);
  if (found == routes_.end() && !wanted) return;
  State& state = found == routes_.end() ? routes_[key] : found->second;
  if (state.wanted == wanted) return;
  state.wanted = wanted;
  dirty_.push_back(key);
  if (started_ && listing_ == 0) work();
}

// What an earlier process left is ours: it stays if it is wanted, and goes if not.
void Routes::start() {
  started_ = true;
  list_again_ = false;
  for (auto& [key, state] : routes_) state.present = false;
  list(Family::kIpv4);
  list(Family::kIpv6);
}

void Routes::list(Family family) {
  ++listing_;
  requests_->dump<route::Route>(
      route::dump_routes(family), parse_leniently,
      [this, alive = alive_](const Result<std::vector<route::Route>>& routes) {
        if (*alive) listed(routes);
      });
}

// Without a list what is wanted is added all the same; what nobody wants stays until there is one.
void Routes::listed(const Result<std::vector<route::Route>>& routes) {
  --listing_;
  if (routes.ok()) {
    for (const route::Route& one : *routes)
      if (is_ours(one)) routes_[{one.destination, one.type}].present = true;
  } else {
    if (!routes.error().is_interrupted())
      log::warn("listing routes: {}; trying again", routes.error().message());
    list_again_ = true;
  }
  if (listing_ > 0) return;
  if (list_again_) retry_later();
  dirty_.clear();
  for (const auto& [key, state] : routes_) dirty_.push_back(key);
  work();
}

void Routes::work() {
  while (!dirty_.empty() && in_flight_ < kInFlight) {
    const Key key = dirty_.front();
    dirty_.pop_front();
    const auto found = routes_.find(key);
    if (found == routes_.end() || found->second.busy) continue;  // looked at again when it is done
    State& state = found->second;
    if (state.wanted != state.present) {
      change(key, state);
    } else {
      failed_.erase(key);
      if (!state.wanted) routes_.erase(found);
    }
  }
  const bool settled = started_ && listing_ == 0 && dirty_.empty() && in_flight_ == 0;
  if (settled && !list_again_ && on_settled_) std::exchange(on_settled_, nullptr)();
}

bool Routes::all_failed() const {
  const auto is_there = [](const auto& entry) {
    return entry.second.wanted && entry.second.present;
  };
  return !failed_.empty() && std::none_of(routes_.begin(), routes_.end(), is_there);
}

void Routes::change(const Key& key, State& state) {
  state.busy = true;
  ++in_flight_;
  const bool add = state.wanted;
  const route::Route changing = route_for(key.first, key.second);
  requests_->request(add ? route::add_route(changing) : route::remove_route(changing),
                     [this, key, add, alive = alive_](const Result<void>& result) {
                       if (*alive) changed(key, add, result);
                     });
}

// One that exists is an earlier one of ours, the kernel's own of an address it has, or somebody
// else's: when that goes, on_notification() adds ours.
void Routes::changed(const Key& key, bool added, const Result<void>& result) {
  --in_flight_;
  State& state = routes_[key];
  state.busy = false;
  const bool done =
      result.ok() || (added ? result.error().is_already_exists() : result.error().is_not_found());
  if (done) {
    state.present = added;
    dirty_.push_back(key);
  } else {
    if (failed_.empty())
      log::warn("{} the local route of {}: {}; trying again", added ? "adding" : "removing",
                key.first.to_string(), result.error().message());
    failed_.insert(key);
    retry_later();
  }
  work();
  if (failed_.empty() && !list_again_) retry_after_ = kFirstRetry;
}

void Routes::retry_later() {
  if (std::exchange(retry_planned_, true)) return;
  retry_ = clock_.after(retry_after_, [this] {
    retry_planned_ = false;
    if (list_again_ && listing_ == 0) return start();
    dirty_.insert(dirty_.end(), failed_.begin(), failed_.end());
    work();
  });
  retry_after_ = std::min(retry_after_ * 2, kLastRetry);
}

void Routes::on_notification(const netlink::MessageView& message) {
  if (message.type != RTM_DELROUTE || message.port_id == requests_->port_id()) return;
  const Result<route::Route> gone = route::parse_route(message);
  if (!gone.ok() || !is_of_our_kind(*gone)) return;
  const Key key{gone->destination, gone->type};
  const auto found = routes_.find(key);
  if (found == routes_.end()) return;
  found->second.present = false;
  dirty_.push_back(key);
  if (started_ && listing_ == 0) work();
}

Result<void> remove_routes(Loop& loop, Duration limit) {
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kRoute);
  if (!connection.ok()) return connection.error();
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const auto routes =
        (*connection)->dump_sync<route::Route>(route::dump_routes(family), parse_leniently, limit);
    if (!routes.ok()) return routes.error();
    for (const route::Route& one : *routes) {
      if (!is_ours(one)) continue;
      const Result<void> removed = (*connection)->request_sync(route::remove_route(one), limit);
      if (!removed.ok() && !removed.error().is_not_found()) return removed;
    }
  }
  return ok();
}

}  // namespace fairlead::proxy::stream
