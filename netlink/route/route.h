// SPDX-License-Identifier: Apache-2.0
// Routes: value, builder, parser. Pure. Format: rtnetlink(7), RTM_*ROUTE.
#pragma once

#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "netlink/message.h"

namespace fairlead::netlink::route {

// The defaults are those of `ip route add DST dev X`.
struct Route {
  Cidr destination;
  uint32_t link = 0;  // output interface; 0: none (blackhole, or found by the gateway)
  std::optional<IpAddress> gateway;  // of the destination's family
  std::optional<IpAddress> source;   // preferred source address
  uint32_t metric = 0;               // 0: the kernel's default
  uint32_t table = RT_TABLE_MAIN;
  uint8_t type = RTN_UNICAST;  // RTN_LOCAL, RTN_BLACKHOLE, ...
  uint8_t scope = RT_SCOPE_UNIVERSE;
  uint8_t protocol = RTPROT_STATIC;
  bool operator==(const Route&) const = default;
};

// `DST dev LINK`: a neighbour on this link, no gateway (a pod's /32 or /128).
Route link_route(const IpAddress& address, uint32_t link);
// `local ADDRESS dev lo`: the address answers here although no interface carries it.
Route local_route(const IpAddress& address, uint32_t loopback);

MessageWriter dump_routes(Family family);     // of all tables
MessageWriter add_route(const Route& route);  // kAlreadyExists when it is there
MessageWriter replace_route(const Route& route);
MessageWriter remove_route(const Route& route);  // kNotFound when it is not there (ESRCH)
// kUnsupported for a route of another family than IP, or over several paths.
Result<Route> parse_route(const MessageView& message);

}  // namespace fairlead::netlink::route
