// SPDX-License-Identifier: Apache-2.0
#include "netlink/route/rule.h"

#include "netlink/route/address_bytes.h"

namespace fairlead::netlink::route {

namespace {

fib_rule_hdr header_of(Family family) {
  fib_rule_hdr header{};
  header.family = address_family(family);
  return header;
}

MessageWriter build(uint16_t type, uint16_t flags, const Rule& rule) {
  fib_rule_hdr header = header_of(rule.family);
  header.action = rule.action;
  header.tos = rule.tos;
  if (rule.invert) header.flags = FIB_RULE_INVERT;
  if (rule.from) header.src_len = static_cast<uint8_t>(rule.from->prefix_length());
  if (rule.to) header.dst_len = static_cast<uint8_t>(rule.to->prefix_length());

  MessageWriter writer;
  writer.begin(type, flags, header);
  if (rule.priority != 0) writer.put_u32(FRA_PRIORITY, rule.priority);
  if (rule.from) writer.put(FRA_SRC, rule.from->address().bytes());
  if (rule.to) writer.put(FRA_DST, rule.to->address().bytes());
  if (rule.mark_mask != 0) {
    writer.put_u32(FRA_FWMARK, rule.mark);
    writer.put_u32(FRA_FWMASK, rule.mark_mask);
  }
  writer.put_u32(FRA_TABLE, rule.table);
  for (const auto& [type_of, value] : rule.more) writer.put(type_of, value);
  writer.end();
  return writer;
}

// Whether Rule has a member for it, or it says nothing of what the rule does.
bool has_a_member(const Attribute& attribute) {
  switch (attribute.type) {
    case FRA_DST:
    case FRA_SRC:
    case FRA_PRIORITY:
    case FRA_FWMARK:
    case FRA_FWMASK:
    case FRA_TABLE:
    case FRA_PAD:
    case FRA_PROTOCOL:  // who made it
      return true;
    case FRA_SUPPRESS_PREFIXLEN:
      return attribute.u32() == UINT32_MAX;  // always said; this: nothing is suppressed
    default:
      return false;
  }
}

}  // namespace

MessageWriter dump_rules(Family family) {
  MessageWriter writer;
  writer.begin(RTM_GETRULE, 0, header_of(family));
  writer.end();
  return writer;
}

MessageWriter add_rule(const Rule& rule) {
  return build(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

MessageWriter remove_rule(const Rule& rule) {
  return build(RTM_DELRULE, 0, rule);
}

Result<Rule> parse_rule(const MessageView& message) {
  const auto header = message.header<fib_rule_hdr>();
  const auto family = header ? family_of(header->family) : std::nullopt;
  if (!family) return Error(ErrorCode::kUnsupported, "netlink: not a rule of an IP family");
  Bytes attributes = message.attributes(sizeof(fib_rule_hdr));
  const AttributeTable<FRA_MAX> table(attributes);

  Rule rule;
  rule.family = *family;
  rule.priority = table[FRA_PRIORITY].u32();
  rule.from = prefix(*family, table[FRA_SRC], header->src_len);
  rule.to = prefix(*family, table[FRA_DST], header->dst_len);
  rule.mark = table[FRA_FWMARK].u32();
  rule.mark_mask = table[FRA_FWMASK].u32();
  rule.table = table.has(FRA_TABLE) ? table[FRA_TABLE].u32() : header->table;
  rule.action = header->action;
  rule.invert = (header->flags & FIB_RULE_INVERT) != 0;
  rule.tos = header->tos;
  for (Attribute attribute; next_attribute(attributes, attribute);)
    if (!has_a_member(attribute))
      rule.more.emplace_back(attribute.type,
                             std::vector<uint8_t>(attribute.value.begin(), attribute.value.end()));
  return rule;
}

}  // namespace fairlead::netlink::route
