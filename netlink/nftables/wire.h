// SPDX-License-Identifier: Apache-2.0
// nftables objects to netlink attributes and back: one builder and one parser for each. Pure.
// Formats: include/uapi/linux/netfilter/nf_tables.h. Parsers take any bytes: what is missing or
// malformed is an Error, what is unknown is skipped.
#pragma once

#include <linux/netfilter/nfnetlink.h>

#include <variant>
#include <vector>

#include "netlink/message.h"
#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

// Message type and fixed part.
uint16_t message_type(uint16_t nft_message);  // of NFT_MSG_*
nfgenmsg message_header(TableFamily family);

// Writers append the attributes of one object to an open message; handles are not written.
void put_table(MessageWriter& writer, const Table& table);
void put_chain(MessageWriter& writer, const Chain& chain);
void put_rule(MessageWriter& writer, const Rule& rule);
void put_set(MessageWriter& writer, const Set& set, uint32_t id);  // id: of this set in its batch
void put_element(MessageWriter& writer, const Element& element);
void put_expression(MessageWriter& writer, const Expression& expression, uint16_t attribute);

Result<Table> parse_table(const MessageView& message);
Result<Chain> parse_chain(const MessageView& message);
Result<Rule> parse_rule(const MessageView& message);
Result<Set> parse_set(const MessageView& message);
Result<Set> parse_set_attributes(Bytes attributes);  // without the family, which is in the header

// Elements of one set, as one message carries them.
struct SetElements {
  TableFamily family = TableFamily::kIp;
  std::string table;
  std::string set;
  std::vector<Element> elements;
  bool operator==(const SetElements&) const = default;
};
Result<SetElements> parse_elements(const MessageView& message);
Result<Element> parse_element(Bytes attributes);
Expression parse_expression(Bytes attributes);  // Unknown when it is not one of ours

// The ruleset's generation: every commit of anyone adds one.
struct Generation {
  uint32_t id = 0;
  uint32_t process_id = 0;
  std::string process_name;
  bool operator==(const Generation&) const = default;
};
Result<Generation> parse_generation(const MessageView& message);

// A message from multicast group NFNLGRP_NFTABLES.
struct Event {
  bool removed = false;
  uint32_t port_id = 0;  // netlink port of who changed it; compare with Connection::port_id
  std::variant<Table, Chain, Rule, Set, SetElements, Generation> what;
};
// kUnsupported for message types we do not follow (objects, flowtables).
Result<Event> parse_event(const MessageView& message);

}  // namespace fairlead::netlink::nft
