// SPDX-License-Identifier: Apache-2.0
// Policy routing rules: value, builder, parser. Pure. Format: fib_rule_hdr, linux/fib_rules.h.
#pragma once

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"
#include "netlink/message.h"

namespace fairlead::netlink::route {

struct Rule {
  Family family = Family::kIpv4;
  uint32_t priority = 0;     // 0: one less than the second rule's (fib_default_rule_pref)
  std::optional<Cidr> from;  // of `family`, as `to`
  std::optional<Cidr> to;
  uint32_t mark = 0;
  uint32_t mark_mask = 0;  // 0: the mark is not looked at
  uint32_t table = RT_TABLE_MAIN;
  uint8_t action = FR_ACT_TO_TBL;
  bool invert = false;  // "not": taken by packets that do not match
  uint8_t tos = 0;
  // What else the rule asks for (interfaces, ports, users...), as the kernel says it: type, value.
  std::vector<std::pair<uint16_t, std::vector<uint8_t>>> more;
  bool operator==(const Rule&) const = default;
};

MessageWriter dump_rules(Family family);
MessageWriter add_rule(const Rule& rule);  // kAlreadyExists when it is there
// The first that has all of this, and may have more; `invert` is not compared (rule_find).
MessageWriter remove_rule(const Rule& rule);  // kNotFound when there is none
Result<Rule> parse_rule(const MessageView& message);

}  // namespace fairlead::netlink::route
