// SPDX-License-Identifier: Apache-2.0
#include "proxy/local_dns.h"

#include <net/if.h>

#include <algorithm>

#include "base/log.h"
#include "netlink/route/route.h"

namespace fairlead::proxy {

namespace route = netlink::route;

namespace {

constexpr Duration kOthersRetry = std::chrono::seconds(10);

// One that is not understood is none of ours.
Result<route::Route> parse_any(const netlink::MessageView& view) {
  Result<route::Route> parsed = route::parse_route(view);
  return parsed.ok() ? parsed : Result<route::Route>(route::Route());
}

}  // namespace

LocalDns::LocalDns(Clock& clock, HttpTransport& http, netlink::Connection& route,
                   std::vector<IpAddress> addresses, std::string ready_url, Exempt exempt)
    : clock_(clock),
      http_(http),
      route_(route),
      addresses_(std::move(addresses)),
      url_(std::move(ready_url)),
      exempt_(std::move(exempt)) {}

LocalDns::~LocalDns() {
  *alive_ = false;
}

void LocalDns::start() {
  remove_others();
  if (!addresses_.empty()) poll();
}

// What a process with other addresses has left.
void LocalDns::remove_others() {
  for (const Family family : {Family::kIpv4, Family::kIpv6})
    route_.dump<route::Route>(
        route::dump_routes(family), parse_any,
        [this, alive = alive_](Result<std::vector<route::Route>> routes) {
          if (!*alive) return;
          if (!routes.ok()) {
            if (!routes.error().is_cancelled())
              others_ = clock_.after(kOthersRetry, [this] { remove_others(); });
            return log::debug("listing routes: {}", routes.error().message());
          }
          for (const route::Route& one : *routes)
            if (one.protocol == kRouteProtocol &&
                std::none_of(addresses_.begin(), addresses_.end(), [&](const IpAddress& address) {
                  return one.destination == Cidr::host(address);
                }))
              route_.request(route::remove_route(one), [](const Result<void>&) {});
        });
}

void LocalDns::poll() {
  HttpRequest request;
  request.url = url_;
  request.connect_timeout = kPeriod;
  request.total_timeout = kPeriod;
  call_ = fetch(http_, std::move(request), 64 * 1024, [this](Result<HttpResponse> response) {
    answered(response);
    next_ = clock_.after(kPeriod, [this] { poll(); });
  });
}

void LocalDns::answered(const Result<HttpResponse>& response) {
  if (response.ok() && response->status == 200) {
    failures_ = 0;
    if (state_ != State::kReady) return set_ready(true);
    if (++polls_ % kRenew == 0) put_routes(true);
    return;
  }
  if (++failures_ >= kFailures && state_ != State::kNotReady) set_ready(false);
}

void LocalDns::set_ready(bool ready) {
  state_ = ready ? State::kReady : State::kNotReady;
  log::info("the DNS server of this node is {}: queries {}", ready ? "ready" : "not ready",
            ready ? "stay on the node" : "are balanced over the DNS service");
  if (ready) {
    put_routes(true);
    exempt_(true);
  } else {
    exempt_(false);
    put_routes(false);
  }
}

void LocalDns::put_routes(bool present) {
  for (const IpAddress& address : addresses_) {
    route::Route route = route::local_route(address, if_nametoindex("lo"));
    route.protocol = kRouteProtocol;
    route_.request(present ? route::replace_route(route) : route::remove_route(route),
                   [address, present](Result<void> result) {
                     if (result.ok() || (!present && result.error().is_not_found())) return;
                     if (result.error().is_cancelled()) return;
                     log::warn("{} the local route of {} failed: {}",
                               present ? "adding" : "removing", address.to_string(),
                               result.error().message());
                   });
  }
}

Result<void> remove_local_dns_routes(netlink::Connection& connection, Duration limit) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const auto routes =
        connection.dump_sync<route::Route>(route::dump_routes(family), parse_any, limit);
    if (!routes.ok()) return routes.error();
    for (const route::Route& route : *routes) {
      if (route.protocol != LocalDns::kRouteProtocol) continue;
      const Result<void> removed = connection.request_sync(route::remove_route(route), limit);
      if (!removed.ok() && !removed.error().is_not_found()) return removed;
    }
  }
  return ok();
}

}  // namespace fairlead::proxy
