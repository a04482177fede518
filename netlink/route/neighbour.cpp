// SPDX-License-Identifier: Apache-2.0
#include "netlink/route/neighbour.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "netlink/route/address_bytes.h"

namespace fairlead::netlink::route {

namespace {

MessageWriter build(uint16_t type, uint16_t flags, const Neighbour& neighbour) {
  ndmsg header{};
  header.ndm_family = address_family(neighbour.address.family());
  header.ndm_ifindex = static_cast<int>(neighbour.link);
  header.ndm_state = neighbour.state;
  header.ndm_flags = neighbour.flags;

  MessageWriter writer;
  writer.begin(type, flags, header);
  writer.put(NDA_DST, neighbour.address.bytes());
  if (neighbour.hardware) writer.put(NDA_LLADDR, *neighbour.hardware);
  writer.end();
  return writer;
}

}  // namespace

MessageWriter dump_neighbours(std::optional<Family> family) {
  ndmsg header{};
  header.ndm_family = address_family(family);
  MessageWriter writer;
  writer.begin(RTM_GETNEIGH, 0, header);
  writer.end();
  return writer;
}

MessageWriter add_neighbour(const Neighbour& neighbour) {
  return build(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour);
}

MessageWriter remove_neighbour(const Neighbour& neighbour) {
  return build(RTM_DELNEIGH, 0, neighbour);
}

Result<Neighbour> parse_neighbour(const MessageView& message) {
  const auto header = message.header<ndmsg>();
  const auto family = header ? family_of(header->ndm_family) : std::nullopt;
  if (!family) return Error(ErrorCode::kUnsupported, "netlink: not a neighbour of an IP family");
  const AttributeTable<NDA_LLADDR> table(message.attributes(sizeof(ndmsg)));
  const auto destination = address(*family, table[NDA_DST]);
  if (!destination) return Error(ErrorCode::kInvalid, "netlink: a neighbour without address");

  Neighbour neighbour;
  neighbour.link = static_cast<uint32_t>(header->ndm_ifindex);
  neighbour.address = *destination;
  if (const Bytes bytes = table[NDA_LLADDR].value; bytes.size() == HardwareAddress().size()) {
    neighbour.hardware.emplace();
    std::copy(bytes.begin(), bytes.end(), neighbour.hardware->begin());
  }
  neighbour.state = header->ndm_state;
  neighbour.flags = header->ndm_flags;
  return neighbour;
}

}  // namespace fairlead::netlink::route
