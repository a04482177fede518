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
  writer.end();
  return writer;
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
  const AttributeTable<FRA_MAX> table(message.attributes(sizeof(fib_rule_hdr)));

  Rule rule;
  rule.family = *family;
  rule.priority = table[FRA_PRIORITY].u32();
  rule.from = prefix(*family, table[FRA_SRC], header->src_len);
  rule.to = prefix(*family, table[FRA_DST], header->dst_len);
  rule.mark = table[FRA_FWMARK].u32();
  rule.mark_mask = table[FRA_FWMASK].u32();
  rule.table = table.has(FRA_TABLE) ? table[FRA_TABLE].u32() : header->table;
  rule.action = header->action;
  return rule;
}

}  // namespace fairlead::netlink::route
