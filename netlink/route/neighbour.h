// SPDX-License-Identifier: Apache-2.0
// Neighbours (ARP, NDP): value, builder, parser. Pure. Format: rtnetlink(7), RTM_*NEIGH.
#pragma once

#include <linux/neighbour.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.h"
#include "netlink/message.h"

namespace fairlead::netlink::route {

using HardwareAddress = std::array<uint8_t, 6>;

struct Neighbour {
  uint32_t link = 0;
  IpAddress address;
  std::optional<HardwareAddress> hardware;  // absent while unresolved
  uint16_t state = NUD_PERMANENT;
  uint8_t flags = 0;  // NTF_PROXY, ...
  bool operator==(const Neighbour&) const = default;
};

MessageWriter dump_neighbours(std::optional<Family> family);
MessageWriter add_neighbour(const Neighbour& neighbour);  // replaces one that is there
MessageWriter remove_neighbour(const Neighbour& neighbour);
Result<Neighbour> parse_neighbour(const MessageView& message);

}  // namespace fairlead::netlink::route
