// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/user_data.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

namespace fairlead::netlink::nft {

namespace {

// libnftnl, include/libnftnl/udata.h.
constexpr uint8_t kRuleComment = 0;
constexpr uint8_t kTableComment = 0;
constexpr uint8_t kSetKeyByteOrder = 0;
constexpr uint8_t kSetDataByteOrder = 1;
constexpr uint8_t kSetKeyTypeof = 3;
constexpr uint8_t kSetDataTypeof = 4;
constexpr uint8_t kSetComment = 7;
constexpr uint8_t kTypeofKind = 0;
constexpr uint8_t kTypeofData = 1;

// nft, include/datatype.h, enum byteorder.
constexpr uint32_t kHostOrder = 1;
constexpr uint32_t kBigEndian = 2;

// nft, include/expression.h, enum expr_types.
enum Kind : uint32_t { kPayload = 7, kMeta = 9, kCt = 12, kConcat = 13, kNumgen = 23 };

constexpr size_t kMaxValue = 255;

class Writer {
 public:
  void put(uint8_t type, Bytes value) {
    bytes_.push_back(type);
    bytes_.push_back(static_cast<uint8_t>(std::min(value.size(), kMaxValue)));
    bytes_.insert(bytes_.end(), value.begin(), value.begin() + bytes_.back());
  }
  void put_u32(uint8_t type, uint32_t value) {
    put(type, Bytes(reinterpret_cast<const uint8_t*>(&value), sizeof value));
  }
  void put_text(uint8_t type, std::string_view text) {
    const std::string zero_terminated(text.substr(0, kMaxValue - 1));
    put(type, Bytes(reinterpret_cast<const uint8_t*>(zero_terminated.c_str()),
                    zero_terminated.size() + 1));
  }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// Values by type, for types up to 15.
struct Items {
  Bytes values[16];

  explicit Items(Bytes rest) {
    while (rest.size() >= 2 && rest.size() - 2 >= rest[1]) {
      if (rest[0] < std::size(values)) values[rest[0]] = rest.subspan(2, rest[1]);
      rest = rest.subspan(2u + rest[1]);
    }
  }
  uint32_t u32(uint8_t type) const {
    uint32_t value = 0;
    if (values[type].size() >= sizeof value) std::memcpy(&value, values[type].data(), sizeof value);
    return value;
  }
  std::string text(uint8_t type) const {
    const Bytes value = values[type];
    return {value.begin(), std::find(value.begin(), value.end(), uint8_t{0})};
  }
};

// One selector: its kind and its data, as nft's expr_ops.build_udata of each kind writes them.
struct Source {
  uint32_t kind = 0;
  std::vector<uint8_t> data;
};

std::optional<Source> source_of(const Selector& selector) {
  Writer writer;
  if (const auto* payload = std::get_if<Payload>(&selector)) {
    const HeaderField* field =
        find_field(*payload, payload->length == 16 ? Family::kIpv6 : Family::kIpv4);
    if (field == nullptr) return std::nullopt;
    writer.put_u32(0, field->nft_header);
    writer.put_u32(1, field->nft_field);
    return Source{kPayload, writer.take()};
  }
  if (const auto* meta = std::get_if<Meta>(&selector)) {
    writer.put_u32(0, meta->key);
    return Source{kMeta, writer.take()};
  }
  if (const auto* ct = std::get_if<Ct>(&selector)) {
    writer.put_u32(0, ct->key);
    if (ct->direction) writer.put_u32(1, *ct->direction);
    return Source{kCt, writer.take()};
  }
  if (const auto* numgen = std::get_if<Numgen>(&selector)) {
    writer.put_u32(0, numgen->type);
    writer.put_u32(1, numgen->modulus);
    writer.put_u32(2, numgen->offset);
    return Source{kNumgen, writer.take()};
  }
  return std::nullopt;
}

std::optional<Selector> parse_source(Bytes bytes) {
  const Items outer(bytes);
  const Items data(outer.values[kTypeofData]);
  switch (outer.u32(kTypeofKind)) {
    case kPayload: {
      const HeaderField* field = find_field(data.u32(0), data.u32(1));
      if (field == nullptr) return std::nullopt;
      return Payload{field->base, field->offset, field->length, {}};
    }
    case kMeta:
      if (data.u32(0) > NFT_META_SDIFNAME) return std::nullopt;
      return Meta{static_cast<nft_meta_keys>(data.u32(0)), {}};
    case kCt: {
      if (data.u32(0) > NFT_CT_ID) return std::nullopt;
      Ct ct{static_cast<nft_ct_keys>(data.u32(0)), {}, {}};
      if (!data.values[1].empty()) ct.direction = static_cast<uint8_t>(data.u32(1));
      return ct;
    }
    case kNumgen:
      if (data.u32(0) > NFT_NG_RANDOM) return std::nullopt;
      return Numgen{static_cast<nft_ng_types>(data.u32(0)), data.u32(1), data.u32(2), {}};
    default:
      return std::nullopt;
  }
}

void put_source(Writer& writer, uint8_t type, const Source& source) {
  Writer nest;
  nest.put_u32(kTypeofKind, source.kind);
  nest.put(kTypeofData, source.data);
  writer.put(type, nest.take());
}

void put_typeof(Writer& writer, uint8_t type, const std::vector<Field>& fields) {
  Writer components;
  std::optional<Source> only;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].source) return;
    const auto source = source_of(*fields[i].source);
    if (!source) return;
    if (fields.size() == 1) return put_source(writer, type, *source);
    put_source(components, static_cast<uint8_t>(i), *source);
  }
  put_source(writer, type, {kConcat, components.take()});
}

void parse_typeof(Bytes bytes, std::vector<Field>& fields) {
  if (bytes.empty()) return;
  const Items outer(bytes);
  const bool concat = outer.u32(kTypeofKind) == kConcat;
  const Items components(concat ? outer.values[kTypeofData] : Bytes{});
  std::vector<Field> found;
  for (size_t i = 0; i < fields.size() && i < std::size(components.values); ++i) {
    const auto source = parse_source(concat ? components.values[i] : bytes);
    // Of what we cannot size ourselves the plain type says more.
    if (!source || type_of(*source) == DataType::kNone) return;
    found.emplace_back(*source);
  }
  if (found.size() == fields.size()) fields = std::move(found);
}

uint32_t byte_order_of(const std::vector<Field>& fields) {
  if (fields.size() != 1) return 0;
  switch (fields[0].type) {
    case DataType::kIpv4Addr:
    case DataType::kIpv6Addr:
    case DataType::kEtherType:
    case DataType::kInetProto:
    case DataType::kInetService:
      return kBigEndian;
    case DataType::kNone:
    case DataType::kVerdict:
      return 0;
    case DataType::kNfproto:
    case DataType::kInteger:
    case DataType::kMark:
    case DataType::kIfindex:
    case DataType::kCtState:
    case DataType::kCtStatus:
    case DataType::kFibAddress:
    case DataType::kFibPresence:
    case DataType::kIfname:
      return kHostOrder;
  }
  return 0;
}

}  // namespace

std::vector<uint8_t> comment_user_data(std::string_view comment) {
  Writer writer;
  writer.put_text(kRuleComment, comment);
  return writer.take();
}

std::vector<uint8_t> table_user_data(std::string_view comment) {
  Writer writer;
  writer.put_text(kTableComment, comment);
  return writer.take();
}

std::vector<uint8_t> set_user_data(const Set& set) {
  Writer writer;
  writer.put_u32(kSetKeyByteOrder, byte_order_of(set.key));
  if (set.is_map()) writer.put_u32(kSetDataByteOrder, byte_order_of(set.data));
  put_typeof(writer, kSetKeyTypeof, set.key);
  if (set.is_map()) put_typeof(writer, kSetDataTypeof, set.data);
  if (!set.comment.empty()) writer.put_text(kSetComment, set.comment);
  return writer.take();
}

std::string parse_comment(Bytes user_data) {
  return Items(user_data).text(kRuleComment);
}
std::string parse_table_comment(Bytes user_data) {
  return Items(user_data).text(kTableComment);
}

void parse_set_user_data(Bytes user_data, Set& set) {
  const Items table(user_data);
  parse_typeof(table.values[kSetKeyTypeof], set.key);
  if (!set.is_vmap()) parse_typeof(table.values[kSetDataTypeof], set.data);
  set.comment = table.text(kSetComment);
}

}  // namespace fairlead::netlink::nft
