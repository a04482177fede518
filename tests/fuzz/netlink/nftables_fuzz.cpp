// SPDX-License-Identifier: Apache-2.0
// A datagram from the nftables subsystem: parsed, printed, written again. What we wrote ourselves
// must read back as the same value.
#include <algorithm>
#include <cstdlib>

#include "netlink/nftables/text.h"
#include "netlink/nftables/wire.h"

using namespace fairlead::netlink;

namespace {

template <typename T>
void check(const T& value, uint8_t family, void (*put)(MessageWriter&, const T&),
           fairlead::Result<T> (*parse)(const MessageView&)) {
  MessageWriter writer;
  writer.begin(0, 0, nft::message_header(static_cast<nft::TableFamily>(family)));
  put(writer, value);
  writer.end();
  Bytes rest(writer.bytes());
  MessageView message;
  if (!next_message(rest, message)) std::abort();
  const auto again = parse(message);
  if (!again.ok()) std::abort();
  MessageWriter second;
  second.begin(0, 0, nft::message_header(static_cast<nft::TableFamily>(family)));
  put(second, *again);
  second.end();
  if (!std::ranges::equal(second.bytes(), writer.bytes())) std::abort();
}

void put_set_without_id(MessageWriter& writer, const nft::Set& set) {
  nft::put_set(writer, set, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;  // what is written again must fit one attribute
  Bytes rest(data, size);
  MessageView message;
  while (next_message(rest, message)) {
    (void)nft::parse_event(message);
    if (const auto table = nft::parse_table(message); table.ok())
      check(*table, static_cast<uint8_t>(table->family), nft::put_table, nft::parse_table);
    if (const auto chain = nft::parse_chain(message); chain.ok()) {
      (void)nft::to_nft(*chain, {});
      check(*chain, static_cast<uint8_t>(chain->family), nft::put_chain, nft::parse_chain);
    }
    if (const auto rule = nft::parse_rule(message); rule.ok()) {
      (void)nft::to_nft(*rule);
      // A Transaction refuses to write what we could not read in full.
      const auto unknown = [](const nft::Expression& e) {
        return std::holds_alternative<nft::Unknown>(e);
      };
      if (std::none_of(rule->expressions.begin(), rule->expressions.end(), unknown))
        check(*rule, static_cast<uint8_t>(rule->family), nft::put_rule, nft::parse_rule);
    }
    const auto elements = nft::parse_elements(message);
    if (const auto set = nft::parse_set(message); set.ok()) {
      (void)nft::to_nft(*set, elements.ok() ? elements->elements : std::vector<nft::Element>{});
      check(*set, static_cast<uint8_t>(set->family), put_set_without_id, nft::parse_set);
    }
    (void)nft::parse_generation(message);
  }
  return 0;
}
