// SPDX-License-Identifier: Apache-2.0
// Address families and addresses as rtnetlink carries them. Private to netlink/route. Pure.
#pragma once

#include <sys/socket.h>

#include <optional>

#include "base/address.h"
#include "netlink/message.h"

namespace fairlead::netlink::route {

inline uint8_t address_family(Family family) {
  return family == Family::kIpv4 ? AF_INET : AF_INET6;
}
inline uint8_t address_family(std::optional<Family> family) {
  return family ? address_family(*family) : AF_UNSPEC;
}

inline std::optional<Family> family_of(uint8_t address_family) {
  if (address_family == AF_INET) return Family::kIpv4;
  if (address_family == AF_INET6) return Family::kIpv6;
  return std::nullopt;
}

// Absent when the attribute is, or has the length of another family.
inline std::optional<IpAddress> address(Family family, const Attribute& attribute) {
  const IpAddress any = IpAddress::any(family);
  if (attribute.value.size() != any.bytes().size()) return std::nullopt;
  return IpAddress::from_bytes(attribute.value);
}

inline std::optional<Cidr> prefix(Family family, const Attribute& attribute, int length) {
  const auto base = address(family, attribute);
  if (!base || length > base->bits()) return std::nullopt;
  return Cidr(*base, length);
}

}  // namespace fairlead::netlink::route
