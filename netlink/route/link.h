// SPDX-License-Identifier: Apache-2.0
// Network interfaces: value, builder, parser. Pure. Format: rtnetlink(7), RTM_*LINK.
#pragma once

#include <cstdint>
#include <string>

#include "netlink/message.h"

namespace fairlead::netlink::route {

struct Link {
  uint32_t index = 0;
  std::string name;
  uint32_t flags = 0;  // IFF_UP, IFF_RUNNING, ...
  uint32_t mtu = 0;
  std::string kind;  // "veth", "dummy"; empty for hardware and loopback
  uint32_t master = 0;
  bool operator==(const Link&) const = default;

  bool is_up() const;
};

MessageWriter dump_links();
// By index when it is set, else by name.
MessageWriter get_link(const Link& link);
// Makes a link of link.kind ("dummy", "veth" with no peer name) called link.name.
MessageWriter add_link(const Link& link);
MessageWriter set_link_up(uint32_t index, bool up);
MessageWriter remove_link(uint32_t index);
Result<Link> parse_link(const MessageView& message);

}  // namespace fairlead::netlink::route
