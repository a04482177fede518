// SPDX-License-Identifier: Apache-2.0
#include "netlink/route/link.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

namespace fairlead::netlink::route {

namespace {

ifinfomsg header_of(uint32_t index) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  return header;
}

}  // namespace

bool Link::is_up() const {
  return (flags & IFF_UP) != 0;
}

MessageWriter dump_links() {
  MessageWriter writer;
  writer.begin(RTM_GETLINK, 0, header_of(0));
  writer.end();
  return writer;
}

MessageWriter get_link(const Link& link) {
  MessageWriter writer;
  writer.begin(RTM_GETLINK, 0, header_of(link.index));
  if (link.index == 0) writer.put_string(IFLA_IFNAME, link.name);
  writer.end();
  return writer;
}

MessageWriter add_link(const Link& link) {
  MessageWriter writer;
  writer.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header_of(0));
  writer.put_string(IFLA_IFNAME, link.name);
  if (link.mtu != 0) writer.put_u32(IFLA_MTU, link.mtu);
  const size_t info = writer.open(IFLA_LINKINFO);
  writer.put_string(IFLA_INFO_KIND, link.kind);
  writer.close(info);
  writer.end();
  return writer;
}

MessageWriter set_link_up(uint32_t index, bool up) {
  ifinfomsg header = header_of(index);
  header.ifi_flags = up ? IFF_UP : 0;
  header.ifi_change = IFF_UP;
  MessageWriter writer;
  writer.begin(RTM_NEWLINK, 0, header);
  writer.end();
  return writer;
}

MessageWriter remove_link(uint32_t index) {
  MessageWriter writer;
  writer.begin(RTM_DELLINK, 0, header_of(index));
  writer.end();
  return writer;
}

Result<Link> parse_link(const MessageView& message) {
  const auto header = message.header<ifinfomsg>();
  const AttributeTable<IFLA_LINKINFO> table(message.attributes(sizeof(ifinfomsg)));
  if (!header || header->ifi_index <= 0 || !table.has(IFLA_IFNAME))
    return Error(ErrorCode::kInvalid, "netlink: a link without index or name");
  const AttributeTable<IFLA_INFO_KIND> info(table[IFLA_LINKINFO].value);

  Link link;
  link.index = static_cast<uint32_t>(header->ifi_index);
  link.name = table[IFLA_IFNAME].text();
  link.flags = header->ifi_flags;
  link.mtu = table[IFLA_MTU].u32();
  link.kind = info[IFLA_INFO_KIND].text();
  link.master = table[IFLA_MASTER].u32();
  return link;
}

}  // namespace fairlead::netlink::route
