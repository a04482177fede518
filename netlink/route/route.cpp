// SPDX-License-Identifier: Apache-2.0
#include "netlink/route/route.h"

#include "netlink/route/address_bytes.h"

namespace fairlead::netlink::route {

namespace {

MessageWriter build(uint16_t type, uint16_t flags, const Route& route) {
  rtmsg header{};
  header.rtm_family = address_family(route.destination.family());
  header.rtm_dst_len = static_cast<uint8_t>(route.destination.prefix_length());
  header.rtm_protocol = route.protocol;
  header.rtm_scope = route.scope;
  header.rtm_type = route.type;
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE says it in full

  MessageWriter writer;
  writer.begin(type, flags, header);
  writer.put(RTA_DST, route.destination.address().bytes());
  if (route.link != 0) writer.put_u32(RTA_OIF, route.link);
  if (route.gateway) writer.put(RTA_GATEWAY, route.gateway->bytes());
  if (route.source) writer.put(RTA_PREFSRC, route.source->bytes());
  if (route.metric != 0) writer.put_u32(RTA_PRIORITY, route.metric);
  writer.put_u32(RTA_TABLE, route.table);
  writer.end();
  return writer;
}

}  // namespace

Route link_route(const IpAddress& address, uint32_t link) {
  Route route;
  route.destination = Cidr::host(address);
  route.link = link;
  // IPv6 knows one scope only (net/ipv6/route.c ignores it and reports universe).
  if (address.is_v4()) route.scope = RT_SCOPE_LINK;
  return route;
}

Route local_route(const IpAddress& address, uint32_t loopback) {
  Route route = link_route(address, loopback);
  route.table = RT_TABLE_LOCAL;
  route.type = RTN_LOCAL;
  if (address.is_v4()) route.scope = RT_SCOPE_HOST;
  return route;
}

MessageWriter dump_routes(Family family) {
  rtmsg header{};
  header.rtm_family = address_family(family);
  MessageWriter writer;
  writer.begin(RTM_GETROUTE, 0, header);
  writer.end();
  return writer;
}

MessageWriter add_route(const Route& route) {
  return build(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
}

MessageWriter replace_route(const Route& route) {
  return build(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
}

MessageWriter remove_route(const Route& route) {
  return build(RTM_DELROUTE, 0, route);
}

Result<Route> parse_route(const MessageView& message) {
  const auto header = message.header<rtmsg>();
  const auto family = header ? family_of(header->rtm_family) : std::nullopt;
  if (!family) return Error(ErrorCode::kUnsupported, "netlink: not a route of an IP family");
  const AttributeTable<RTA_MAX> table(message.attributes(sizeof(rtmsg)));
  if (table.has(RTA_MULTIPATH))
    return Error(ErrorCode::kUnsupported, "netlink: a route over several paths");

  Route route;
  // The default route comes without RTA_DST.
  const auto destination = prefix(*family, table[RTA_DST], header->rtm_dst_len);
  if (!destination && header->rtm_dst_len != 0)
    return Error(ErrorCode::kInvalid, "netlink: a route with a malformed destination");
  route.destination = destination.value_or(Cidr(IpAddress::any(*family), 0));
  route.link = table[RTA_OIF].u32();
  route.gateway = address(*family, table[RTA_GATEWAY]);
  route.source = address(*family, table[RTA_PREFSRC]);
  route.metric = table[RTA_PRIORITY].u32();
  route.table = table.has(RTA_TABLE) ? table[RTA_TABLE].u32() : header->rtm_table;
  route.type = header->rtm_type;
  route.scope = header->rtm_scope;
  route.protocol = header->rtm_protocol;
  return route;
}

}  // namespace fairlead::netlink::route
