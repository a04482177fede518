// SPDX-License-Identifier: Apache-2.0
// Values and verdicts as attributes (NFTA_DATA_*, NFTA_VERDICT_*), shared by the writers and
// parsers of expressions and elements. Private to netlink/nftables. Pure.
#pragma once

#include <optional>

#include "netlink/message.h"
#include "netlink/nftables/value.h"

namespace fairlead::netlink::nft {

inline void put_value(MessageWriter& writer, uint16_t type, const Value& value) {
  writer.put_nested(type, NFTA_DATA_VALUE, value.bytes());
}
void put_verdict(MessageWriter& writer, uint16_t type, const Verdict& verdict);

// The value inside `attribute`; empty when there is none or it is too long to be one.
Value parse_value(const Attribute& attribute);
// Absent when there is no verdict, or one that only the kernel's queueing knows.
std::optional<Verdict> parse_verdict(const Attribute& attribute);

}  // namespace fairlead::netlink::nft
