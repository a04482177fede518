// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/wire_data.h"

#include <linux/netfilter/nf_tables.h>

#include "netlink/nftables/netfilter.h"

namespace fairlead::netlink::nft {

namespace {

int32_t code_of(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kAccept:
      return NF_ACCEPT;
    case Verdict::Kind::kDrop:
      return NF_DROP;
    case Verdict::Kind::kContinue:
      return NFT_CONTINUE;
    case Verdict::Kind::kReturn:
      return NFT_RETURN;
    case Verdict::Kind::kJump:
      return NFT_JUMP;
    case Verdict::Kind::kGoto:
      return NFT_GOTO;
  }
  return NF_DROP;
}

std::optional<Verdict::Kind> kind_of(int32_t code) {
  switch (code) {
    case NF_ACCEPT:
      return Verdict::Kind::kAccept;
    case NF_DROP:
      return Verdict::Kind::kDrop;
    case NFT_CONTINUE:
      return Verdict::Kind::kContinue;
    case NFT_RETURN:
      return Verdict::Kind::kReturn;
    case NFT_JUMP:
      return Verdict::Kind::kJump;
    case NFT_GOTO:
      return Verdict::Kind::kGoto;
    default:
      return std::nullopt;
  }
}

}  // namespace

void put_verdict(MessageWriter& writer, uint16_t type, const Verdict& verdict) {
  const size_t outer = writer.open(type);
  const size_t nest = writer.open(NFTA_DATA_VERDICT);
  writer.put_be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code_of(verdict.kind)));
  if (!verdict.chain.empty()) writer.put_string(NFTA_VERDICT_CHAIN, verdict.chain);
  writer.close(nest);
  writer.close(outer);
}

Value parse_value(const Attribute& attribute) {
  const AttributeTable<NFTA_DATA_MAX> table(attribute.value);
  const Bytes bytes = table[NFTA_DATA_VALUE].value;
  return bytes.size() <= Value::kMax ? Value::of(bytes) : Value();
}

std::optional<Verdict> parse_verdict(const Attribute& attribute) {
  const AttributeTable<NFTA_DATA_MAX> data(attribute.value);
  if (!data.has(NFTA_DATA_VERDICT)) return std::nullopt;
  const AttributeTable<NFTA_VERDICT_MAX> table(data[NFTA_DATA_VERDICT].value);
  const auto kind = kind_of(static_cast<int32_t>(table[NFTA_VERDICT_CODE].be32()));
  if (!kind || !table.has(NFTA_VERDICT_CODE)) return std::nullopt;
  return Verdict{*kind, std::string(table[NFTA_VERDICT_CHAIN].text())};
}

}  // namespace fairlead::netlink::nft
