// SPDX-License-Identifier: Apache-2.0
// Sets (NFTA_SET_*) and their elements (NFTA_SET_ELEM_*).
#include <linux/netfilter/nf_tables.h>

#include "netlink/nftables/user_data.h"
#include "netlink/nftables/wire.h"
#include "netlink/nftables/wire_data.h"

namespace fairlead::netlink::nft {

namespace {

constexpr uint32_t kBitsPerType = 6;  // of one component in a concatenated type (nft, TYPE_BITS)
constexpr uint32_t kTypeMask = (1u << kBitsPerType) - 1;
constexpr size_t kMaxFields = 5;  // that fit 32 bits

uint32_t type_number(const std::vector<Field>& fields) {
  uint32_t number = 0;
  for (const Field& field : fields)
    number = number << kBitsPerType | static_cast<uint32_t>(field.type);
  return number;
}

// Empty for a number that nft cannot have composed: of more components than fit, or with a hole.
std::vector<Field> fields_of(uint32_t number) {
  std::vector<Field> fields;
  for (; number != 0; number >>= kBitsPerType) {
    if (fields.size() == kMaxFields || (number & kTypeMask) == 0) return {};
    fields.insert(fields.begin(), Field(static_cast<DataType>(number & kTypeMask)));
  }
  return fields;
}

uint32_t flags_of(const Set& set) {
  uint32_t flags = 0;
  if (set.anonymous) flags |= NFT_SET_ANONYMOUS;
  if (set.constant) flags |= NFT_SET_CONSTANT;
  if (set.interval) flags |= NFT_SET_INTERVAL;
  if (set.is_map()) flags |= NFT_SET_MAP;
  if (set.has_timeout) flags |= NFT_SET_TIMEOUT;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  if (set.interval && set.key.size() > 1) flags |= NFT_SET_CONCAT;
  return flags;
}

void put_description(MessageWriter& writer, const Set& set) {
  const bool concatenated_ranges = set.interval && set.key.size() > 1;
  if (set.size == 0 && !concatenated_ranges) return;
  const size_t description = writer.open(NFTA_SET_DESC);
  if (set.size != 0) writer.put_be32(NFTA_SET_DESC_SIZE, set.size);
  if (concatenated_ranges) {
    const size_t concat = writer.open(NFTA_SET_DESC_CONCAT);
    for (const Field& field : set.key) {
      const size_t item = writer.open(NFTA_LIST_ELEM);
      writer.put_be32(NFTA_SET_FIELD_LEN, static_cast<uint32_t>(field.size()));
      writer.close(item);
    }
    writer.close(concat);
  }
  writer.close(description);
}

}  // namespace

void put_set(MessageWriter& writer, const Set& set, uint32_t id) {
  writer.put_string(NFTA_SET_TABLE, set.table);
  writer.put_string(NFTA_SET_NAME, set.name);
  writer.put_be32(NFTA_SET_FLAGS, flags_of(set));
  writer.put_be32(NFTA_SET_KEY_TYPE, type_number(set.key));
  writer.put_be32(NFTA_SET_KEY_LEN, static_cast<uint32_t>(set.key_size()));
  if (set.is_vmap()) {
    writer.put_be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
  } else if (set.is_map()) {
    writer.put_be32(NFTA_SET_DATA_TYPE, type_number(set.data));
    writer.put_be32(NFTA_SET_DATA_LEN, static_cast<uint32_t>(set.data_size()));
  }
  put_description(writer, set);
  writer.put_be32(NFTA_SET_ID, id);
  if (set.timeout_ms != 0) writer.put_be64(NFTA_SET_TIMEOUT, set.timeout_ms);
  if (set.gc_interval_ms != 0)
    writer.put_be32(NFTA_SET_GC_INTERVAL, static_cast<uint32_t>(set.gc_interval_ms));
  if (set.counter) put_expression(writer, Counter{}, NFTA_SET_EXPR);
  writer.put(NFTA_SET_USERDATA, set_user_data(set));
}

Result<Set> parse_set_attributes(Bytes attributes) {
  const AttributeTable<NFTA_SET_MAX> t(attributes);
  if (!t.has(NFTA_SET_TABLE) || !t.has(NFTA_SET_NAME))
    return Error(ErrorCode::kInvalid, "netlink message about a set is malformed");
  Set set;
  set.table = t[NFTA_SET_TABLE].text();
  set.name = t[NFTA_SET_NAME].text();
  set.handle = t[NFTA_SET_HANDLE].be64();
  const uint32_t flags = t[NFTA_SET_FLAGS].be32();
  set.anonymous = (flags & NFT_SET_ANONYMOUS) != 0;
  set.constant = (flags & NFT_SET_CONSTANT) != 0;
  set.interval = (flags & NFT_SET_INTERVAL) != 0;
  set.dynamic = (flags & NFT_SET_EVAL) != 0;
  set.has_timeout = (flags & NFT_SET_TIMEOUT) != 0;
  set.key = fields_of(t[NFTA_SET_KEY_TYPE].be32());
  if (t[NFTA_SET_DATA_TYPE].be32() == NFT_DATA_VERDICT) {
    set.data = {DataType::kVerdict};
  } else if ((flags & NFT_SET_MAP) != 0) {
    set.data = fields_of(t[NFTA_SET_DATA_TYPE].be32());
  }
  const AttributeTable<NFTA_SET_DESC_MAX> description(t[NFTA_SET_DESC].value);
  set.size = description[NFTA_SET_DESC_SIZE].be32();
  set.timeout_ms = t[NFTA_SET_TIMEOUT].be64();
  set.gc_interval_ms = t[NFTA_SET_GC_INTERVAL].be32();
  if (t.has(NFTA_SET_EXPR))
    set.counter = std::holds_alternative<Counter>(parse_expression(t[NFTA_SET_EXPR].value));
  parse_set_user_data(t[NFTA_SET_USERDATA].value, set);
  return set;
}

void put_element(MessageWriter& writer, const Element& element) {
  const size_t item = writer.open(NFTA_LIST_ELEM);
  if (element.interval_end) writer.put_be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  put_value(writer, NFTA_SET_ELEM_KEY, element.key);
  if (!element.key_end.empty()) put_value(writer, NFTA_SET_ELEM_KEY_END, element.key_end);
  if (const auto* value = std::get_if<Value>(&element.data)) {
    put_value(writer, NFTA_SET_ELEM_DATA, *value);
  } else if (const auto* verdict = std::get_if<Verdict>(&element.data)) {
    put_verdict(writer, NFTA_SET_ELEM_DATA, *verdict);
  }
  if (element.timeout_ms != 0) writer.put_be64(NFTA_SET_ELEM_TIMEOUT, element.timeout_ms);
  if (element.expires_ms != 0) writer.put_be64(NFTA_SET_ELEM_EXPIRATION, element.expires_ms);
  if (element.counter) put_expression(writer, *element.counter, NFTA_SET_ELEM_EXPR);
  if (!element.comment.empty())
    writer.put(NFTA_SET_ELEM_USERDATA, comment_user_data(element.comment));
  writer.close(item);
}

Result<Element> parse_element(Bytes attributes) {
  const AttributeTable<NFTA_SET_ELEM_MAX> t(attributes);
  Element element;
  const uint32_t flags = t[NFTA_SET_ELEM_FLAGS].be32();
  element.interval_end = (flags & NFT_SET_ELEM_INTERVAL_END) != 0;
  element.key = parse_value(t[NFTA_SET_ELEM_KEY]);
  if (element.key.empty() && (flags & NFT_SET_ELEM_CATCHALL) == 0)
    return Error(ErrorCode::kInvalid, "netlink message with a set element without key");
  element.key_end = parse_value(t[NFTA_SET_ELEM_KEY_END]);
  if (t.has(NFTA_SET_ELEM_DATA)) {
    if (auto verdict = parse_verdict(t[NFTA_SET_ELEM_DATA])) {
      element.data = std::move(*verdict);
    } else {
      element.data = parse_value(t[NFTA_SET_ELEM_DATA]);
    }
  }
  element.timeout_ms = t[NFTA_SET_ELEM_TIMEOUT].be64();
  element.expires_ms = t[NFTA_SET_ELEM_EXPIRATION].be64();
  if (t.has(NFTA_SET_ELEM_EXPR)) {
    const Expression expression = parse_expression(t[NFTA_SET_ELEM_EXPR].value);
    if (const auto* counter = std::get_if<Counter>(&expression)) element.counter = *counter;
  }
  element.comment = parse_comment(t[NFTA_SET_ELEM_USERDATA].value);
  return element;
}

}  // namespace fairlead::netlink::nft
