// SPDX-License-Identifier: Apache-2.0
// Addresses of interfaces: value, builder, parser. Pure. Format: rtnetlink(7), RTM_*ADDR.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "netlink/message.h"

namespace fairlead::netlink::route {

struct InterfaceAddress {
  uint32_t link = 0;
  IpAddress address;
  uint8_t prefix_length = 0;
  uint8_t scope = 0;   // RT_SCOPE_*
  uint32_t flags = 0;  // IFA_F_*; IFA_F_NODAD skips duplicate address detection
  bool operator==(const InterfaceAddress&) const = default;
};

MessageWriter dump_addresses(std::optional<Family> family);
MessageWriter add_address(const InterfaceAddress& address);  // kAlreadyExists when it is there
MessageWriter remove_address(const InterfaceAddress& address);
Result<InterfaceAddress> parse_address(const MessageView& message);

}  // namespace fairlead::netlink::route
