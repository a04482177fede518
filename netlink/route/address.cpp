// SPDX-License-Identifier: Apache-2.0
#include "netlink/route/address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "netlink/route/address_bytes.h"

namespace fairlead::netlink::route {

namespace {

MessageWriter build(uint16_t type, uint16_t flags, const InterfaceAddress& value) {
  ifaddrmsg header{};
  header.ifa_family = address_family(value.address.family());
  header.ifa_prefixlen = value.prefix_length;
  header.ifa_scope = value.scope;
  header.ifa_index = value.link;

  MessageWriter writer;
  writer.begin(type, flags, header);
  writer.put(IFA_LOCAL, value.address.bytes());
  writer.put(IFA_ADDRESS, value.address.bytes());
  if (value.flags != 0) writer.put_u32(IFA_FLAGS, value.flags);
  writer.end();
  return writer;
}

}  // namespace

MessageWriter dump_addresses(std::optional<Family> family) {
  ifaddrmsg header{};
  header.ifa_family = address_family(family);
  MessageWriter writer;
  writer.begin(RTM_GETADDR, 0, header);
  writer.end();
  return writer;
}

MessageWriter add_address(const InterfaceAddress& address) {
  return build(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address);
}

MessageWriter remove_address(const InterfaceAddress& address) {
  return build(RTM_DELADDR, 0, address);
}

Result<InterfaceAddress> parse_address(const MessageView& message) {
  const auto header = message.header<ifaddrmsg>();
  const auto family = header ? family_of(header->ifa_family) : std::nullopt;
  if (!family) return Error(ErrorCode::kUnsupported, "netlink: not an address of an IP family");
  const AttributeTable<IFA_FLAGS> table(message.attributes(sizeof(ifaddrmsg)));
  // On point-to-point links IFA_ADDRESS is the peer; IPv6 without a peer sends IFA_ADDRESS alone.
  const auto own = address(*family, table[table.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS]);
  if (!own) return Error(ErrorCode::kInvalid, "netlink: an interface address without address");

  InterfaceAddress result;
  result.link = header->ifa_index;
  result.address = *own;
  result.prefix_length = header->ifa_prefixlen;
  result.scope = header->ifa_scope;
  result.flags = table.has(IFA_FLAGS) ? table[IFA_FLAGS].u32() : header->ifa_flags;
  return result;
}

}  // namespace fairlead::netlink::route
