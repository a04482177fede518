// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/wire.h"

#include <linux/netfilter/nf_tables.h>

#include "netlink/nftables/user_data.h"

namespace fairlead::netlink::nft {

namespace {

Error malformed(std::string_view what) {
  return Error(ErrorCode::kInvalid,
               "netlink message about a " + std::string(what) + " is malformed");
}

ChainType chain_type_of(std::string_view name) {
  if (name == "nat") return ChainType::kNat;
  if (name == "route") return ChainType::kRoute;
  return ChainType::kFilter;
}

std::optional<TableFamily> family_of(const MessageView& message) {
  const auto header = message.header<nfgenmsg>();
  if (!header) return std::nullopt;
  switch (header->nfgen_family) {
    case NFPROTO_INET:
    case NFPROTO_IPV4:
    case NFPROTO_IPV6:
    case NFPROTO_ARP:
    case NFPROTO_BRIDGE:
    case NFPROTO_NETDEV:
      return static_cast<TableFamily>(header->nfgen_family);
    default:
      return std::nullopt;
  }
}

template <uint16_t Max>
AttributeTable<Max> attributes_of(const MessageView& message) {
  return AttributeTable<Max>(message.attributes(sizeof(nfgenmsg)));
}

std::string text_of(const Attribute& attribute) {
  return std::string(attribute.text());
}

}  // namespace

uint16_t message_type(uint16_t nft_message) {
  return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | nft_message);
}

nfgenmsg message_header(TableFamily family) {
  return {static_cast<uint8_t>(family), NFNETLINK_V0, 0};
}

void put_table(MessageWriter& writer, const Table& table) {
  writer.put_string(NFTA_TABLE_NAME, table.name);
  writer.put_be32(NFTA_TABLE_FLAGS, table.dormant ? NFT_TABLE_F_DORMANT : 0);
  if (!table.comment.empty()) writer.put(NFTA_TABLE_USERDATA, table_user_data(table.comment));
}

Result<Table> parse_table(const MessageView& message) {
  const auto family = family_of(message);
  const auto t = attributes_of<NFTA_TABLE_MAX>(message);
  if (!family || !t.has(NFTA_TABLE_NAME)) return malformed("table");
  Table table;
  table.family = *family;
  table.name = text_of(t[NFTA_TABLE_NAME]);
  table.dormant = (t[NFTA_TABLE_FLAGS].be32() & NFT_TABLE_F_DORMANT) != 0;
  table.comment = parse_table_comment(t[NFTA_TABLE_USERDATA].value);
  table.handle = t[NFTA_TABLE_HANDLE].be64();
  return table;
}

void put_chain(MessageWriter& writer, const Chain& chain) {
  writer.put_string(NFTA_CHAIN_TABLE, chain.table);
  writer.put_string(NFTA_CHAIN_NAME, chain.name);
  if (!chain.base) return;
  const size_t hook = writer.open(NFTA_CHAIN_HOOK);
  writer.put_be32(NFTA_HOOK_HOOKNUM, chain.base->hook);
  writer.put_be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(chain.base->priority));
  writer.close(hook);
  writer.put_be32(NFTA_CHAIN_POLICY, chain.base->policy == Policy::kDrop ? NF_DROP : NF_ACCEPT);
  writer.put_string(NFTA_CHAIN_TYPE, name_of(chain.base->type));
}

Result<Chain> parse_chain(const MessageView& message) {
  const auto family = family_of(message);
  const auto t = attributes_of<NFTA_CHAIN_MAX>(message);
  if (!family || !t.has(NFTA_CHAIN_TABLE) || !t.has(NFTA_CHAIN_NAME)) return malformed("chain");
  Chain chain;
  chain.family = *family;
  chain.table = text_of(t[NFTA_CHAIN_TABLE]);
  chain.name = text_of(t[NFTA_CHAIN_NAME]);
  chain.handle = t[NFTA_CHAIN_HANDLE].be64();
  if (t.has(NFTA_CHAIN_HOOK)) {
    const AttributeTable<NFTA_HOOK_MAX> hook(t[NFTA_CHAIN_HOOK].value);
    chain.base = BaseChain{chain_type_of(t[NFTA_CHAIN_TYPE].text()), hook[NFTA_HOOK_HOOKNUM].be32(),
                           static_cast<int32_t>(hook[NFTA_HOOK_PRIORITY].be32()),
                           t.has(NFTA_CHAIN_POLICY) && t[NFTA_CHAIN_POLICY].be32() == NF_DROP
                               ? Policy::kDrop
                               : Policy::kAccept};
  }
  return chain;
}

void put_rule(MessageWriter& writer, const Rule& rule) {
  writer.put_string(NFTA_RULE_TABLE, rule.table);
  writer.put_string(NFTA_RULE_CHAIN, rule.chain);
  const size_t list = writer.open(NFTA_RULE_EXPRESSIONS);
  for (const Expression& expression : rule.expressions)
    put_expression(writer, expression, NFTA_LIST_ELEM);
  writer.close(list);
  if (!rule.comment.empty()) writer.put(NFTA_RULE_USERDATA, comment_user_data(rule.comment));
}

Result<Rule> parse_rule(const MessageView& message) {
  const auto family = family_of(message);
  const auto t = attributes_of<NFTA_RULE_MAX>(message);
  if (!family || !t.has(NFTA_RULE_TABLE) || !t.has(NFTA_RULE_CHAIN)) return malformed("rule");
  Rule rule;
  rule.family = *family;
  rule.table = text_of(t[NFTA_RULE_TABLE]);
  rule.chain = text_of(t[NFTA_RULE_CHAIN]);
  rule.handle = t[NFTA_RULE_HANDLE].be64();
  Bytes rest = t[NFTA_RULE_EXPRESSIONS].value;
  Attribute item;
  while (next_attribute(rest, item)) rule.expressions.push_back(parse_expression(item.value));
  rule.comment = parse_comment(t[NFTA_RULE_USERDATA].value);
  return rule;
}

Result<SetElements> parse_elements(const MessageView& message) {
  const auto family = family_of(message);
  const auto t = attributes_of<NFTA_SET_ELEM_LIST_MAX>(message);
  if (!family || !t.has(NFTA_SET_ELEM_LIST_TABLE) || !t.has(NFTA_SET_ELEM_LIST_SET))
    return malformed("list of elements");
  SetElements elements;
  elements.family = *family;
  elements.table = text_of(t[NFTA_SET_ELEM_LIST_TABLE]);
  elements.set = text_of(t[NFTA_SET_ELEM_LIST_SET]);
  Bytes rest = t[NFTA_SET_ELEM_LIST_ELEMENTS].value;
  Attribute item;
  while (next_attribute(rest, item)) {
    Result<Element> element = parse_element(item.value);
    if (!element.ok()) return element.error();
    elements.elements.push_back(std::move(*element));
  }
  return elements;
}

Result<Set> parse_set(const MessageView& message) {
  const auto family = family_of(message);
  const Bytes attributes = message.attributes(sizeof(nfgenmsg));
  if (!family) return malformed("set");
  Result<Set> set = parse_set_attributes(attributes);
  if (set.ok()) set->family = *family;
  return set;
}

Result<Generation> parse_generation(const MessageView& message) {
  const auto t = attributes_of<NFTA_GEN_MAX>(message);
  if (!t.has(NFTA_GEN_ID)) return malformed("generation");
  return Generation{t[NFTA_GEN_ID].be32(), t[NFTA_GEN_PROC_PID].be32(),
                    text_of(t[NFTA_GEN_PROC_NAME])};
}

namespace {

template <typename T>
Result<Event> event_of(const MessageView& message, bool removed, Result<T> what) {
  if (!what.ok()) return what.error();
  return Event{removed, message.port_id, std::move(*what)};
}

}  // namespace

Result<Event> parse_event(const MessageView& message) {
  if (message.type >> 8 != NFNL_SUBSYS_NFTABLES)
    return Error(ErrorCode::kUnsupported, "netlink message is not about nftables");
  switch (message.type & 0xff) {
    case NFT_MSG_NEWTABLE:
      return event_of(message, false, parse_table(message));
    case NFT_MSG_DELTABLE:
      return event_of(message, true, parse_table(message));
    case NFT_MSG_NEWCHAIN:
      return event_of(message, false, parse_chain(message));
    case NFT_MSG_DELCHAIN:
      return event_of(message, true, parse_chain(message));
    case NFT_MSG_NEWRULE:
      return event_of(message, false, parse_rule(message));
    case NFT_MSG_DELRULE:
      return event_of(message, true, parse_rule(message));
    case NFT_MSG_NEWSET:
      return event_of(message, false, parse_set(message));
    case NFT_MSG_DELSET:
      return event_of(message, true, parse_set(message));
    case NFT_MSG_NEWSETELEM:
      return event_of(message, false, parse_elements(message));
    case NFT_MSG_DELSETELEM:
      return event_of(message, true, parse_elements(message));
    case NFT_MSG_NEWGEN:
      return event_of(message, false, parse_generation(message));
    default:
      return Error(ErrorCode::kUnsupported,
                   "nftables message type " + std::to_string(message.type & 0xff));
  }
}

}  // namespace fairlead::netlink::nft
