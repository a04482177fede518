// SPDX-License-Identifier: Apache-2.0
#include "proxy/trace_rule.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/trace.h"

namespace fairlead::proxy {

namespace {

using nft::Bytes;
using nft::Value;

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Fields one by one, each padded to 4 bytes as in registers.
bool inside_range(const nft::Set& set, const nft::Element& element, Bytes key) {
  size_t at = 0;
  for (const nft::Field& field : set.key) {
    const size_t size = field.size();
    if (std::memcmp(key.data() + at, element.key.bytes().data() + at, size) < 0 ||
        std::memcmp(key.data() + at, element.key_end.bytes().data() + at, size) > 0)
      return false;
    at += (size + 3) / 4 * 4;
  }
  return true;
}

}  // namespace

SetIndex::SetIndex(const nft::TableContent& content) {
  for (size_t i = 0; i < content.sets.size(); ++i) {
    Entry& entry = sets_[content.sets[i].name];
    entry.set = &content.sets[i];
    if (i >= content.elements.size()) continue;
    for (const nft::Element& element : content.elements[i])
      if (entry.set->interval)
        entry.ranges.push_back(&element);
      else
        entry.by_key.emplace(text_of(element.key.bytes()), &element);
    std::stable_sort(entry.ranges.begin(), entry.ranges.end(),
                     [](const auto* a, const auto* b) { return a->key < b->key; });
  }
}

const nft::Element* SetIndex::find(const std::string& set, Bytes key) const {
  const auto found = sets_.find(set);
  if (found == sets_.end()) return nullptr;
  const Entry& entry = found->second;
  if (!entry.set->interval) {
    const auto element = entry.by_key.find(text_of(key));
    return element == entry.by_key.end() ? nullptr : element->second;
  }
  // A plain range begins at an element and ends before the next that is marked so.
  const nft::Element* begun = nullptr;
  for (const nft::Element* element : entry.ranges) {
    if (!element->key_end.empty()) {
      if (inside_range(*entry.set, *element, key)) return element;
    } else if (std::memcmp(element->key.bytes().data(), key.data(), key.size()) <= 0) {
      begun = element;
    }
  }
  return begun != nullptr && !begun->interval_end ? begun : nullptr;
}

size_t SetIndex::key_size(const std::string& set) const {
  const auto found = sets_.find(set);
  return found == sets_.end() ? 0 : found->second.set->key_size();
}

namespace {

struct Registers {
  std::array<uint8_t, 64 + Value::kMax> bytes{};  // a load at the last register stays inside
  uint8_t* at(nft::Register place) { return bytes.data() + place.word * 4; }
  Bytes read(nft::Register place, size_t size) { return {at(place), size}; }
  void write(nft::Register place, Bytes value) {
    std::memcpy(at(place), value.data(), value.size());
    for (size_t i = value.size(); i % 4 != 0; ++i) at(place)[i] = 0;
  }
};

enum class Next : uint8_t { kGoOn, kNoMatch, kDone };

// One way through one rule.
class Run {
 public:
  Run(const nft::Rule& rule, const SetIndex& sets, const Packet& packet, std::string& unknown,
      std::set<RuleOutcome>& outcomes)
      : rule_(rule), sets_(sets), packet_(packet), unknown_(unknown), outcomes_(outcomes) {}

  void from(size_t at, Registers registers, PacketState state) {
    registers_ = registers;
    state_ = std::move(state);
    for (; at < rule_.expressions.size(); ++at) {
      if (const auto draws = draw(rule_.expressions[at])) return fork(at, *draws);
      const Next next = std::visit([this](const auto& e) { return on(e); }, rule_.expressions[at]);
      if (next == Next::kDone) return;
      if (next == Next::kNoMatch) return leave(false);
    }
    leave(true);
  }

 private:
  struct Draw {
    uint32_t modulus, offset;
    nft::Register to;
  };
  static std::optional<Draw> draw(const nft::Expression& expression) {
    if (const auto* numgen = std::get_if<nft::Numgen>(&expression))
      return Draw{numgen->modulus, numgen->offset, numgen->to};
    if (const auto* hash = std::get_if<nft::Jhash>(&expression))
      return Draw{hash->modulus, hash->offset, hash->to};
    return std::nullopt;
  }
  void fork(size_t at, const Draw& draw) {
    const Registers before = registers_;
    const PacketState state = state_;
    for (uint32_t i = 0; i < draw.modulus; ++i) {
      Registers registers = before;
      registers.write(draw.to, Value::host32(draw.offset + i).bytes());
      Run(rule_, sets_, packet_, unknown_, outcomes_).from(at + 1, registers, state);
    }
  }

  void leave(bool matched) {
    RuleOutcome outcome;
    outcome.state = state_;
    outcome.matched = matched;
    outcome.missed = missed_;
    outcomes_.insert(std::move(outcome));
  }
  Next end(nft::Verdict verdict) {
    RuleOutcome outcome;
    outcome.kind = RuleOutcome::Kind::kVerdict;
    outcome.verdict = std::move(verdict);
    outcome.state = state_;
    outcome.matched = true;
    outcomes_.insert(std::move(outcome));
    return Next::kDone;
  }
  Next cannot(const std::string& what) {
    if (unknown_.empty()) unknown_ = what;
    return Next::kNoMatch;
  }
  Next load(nft::Register to, const Value& value) {
    registers_.write(to, value.bytes());
    return Next::kGoOn;
  }
  Next match(bool matches) { return matches ? Next::kGoOn : Next::kNoMatch; }

  Next on(const nft::Payload& e) {
    const std::vector<uint8_t> header = e.base == NFT_PAYLOAD_NETWORK_HEADER ? network_header()
                                        : e.base == NFT_PAYLOAD_TRANSPORT_HEADER
                                            ? transport_header()
                                            : std::vector<uint8_t>();
    if (e.offset + e.length > header.size()) return cannot("payload");
    registers_.write(e.to, Bytes(header).subspan(e.offset, e.length));
    return Next::kGoOn;
  }
  std::vector<uint8_t> network_header() const {
    const bool v4 = state_.destination.family() == Family::kIpv4;
    std::vector<uint8_t> header(v4 ? 20 : 40);
    header[v4 ? 9 : 6] = protocol_number(packet_.protocol);
    const auto put = [&](size_t at, const IpAddress& address) {
      std::copy(address.bytes().begin(), address.bytes().end(),
                header.begin() + static_cast<long>(at));
    };
    put(v4 ? 12 : 8, state_.source);
    put(v4 ? 16 : 24, state_.destination);
    return header;
  }
  std::vector<uint8_t> transport_header() const {
    const auto high = [](uint16_t port) { return static_cast<uint8_t>(port >> 8); };
    const auto low = [](uint16_t port) { return static_cast<uint8_t>(port & 0xff); };
    return {high(packet_.source_port), low(packet_.source_port), high(state_.port),
            low(state_.port)};
  }

  Next on(const nft::Meta& e) {
    switch (static_cast<uint32_t>(e.key)) {
      case NFT_META_L4PROTO:
        return load(e.to, Value::u8(protocol_number(packet_.protocol)));
      case NFT_META_NFPROTO:
        return load(e.to, Value::u8(state_.destination.family() == Family::kIpv4 ? NFPROTO_IPV4
                                                                                 : NFPROTO_IPV6));
      case NFT_META_MARK:
        return load(e.to, Value::host32(state_.mark));
      case NFT_META_IIFNAME:
        return load(e.to, Value::ifname(packet_.interface));
      default:
        return cannot("meta " + std::to_string(static_cast<uint32_t>(e.key)));
    }
  }

  Next on(const nft::Ct& e) {
    switch (static_cast<uint32_t>(e.key)) {
      case NFT_CT_STATE:  // linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT
        return load(e.to, Value::host32(state_.untracked ? 1u << 6 : 1u << (IP_CT_NEW + 1)));
      case NFT_CT_STATUS:
        return load(e.to, Value::host32(state_.translated ? IPS_DST_NAT : 0));
      case NFT_CT_MARK:
        return load(e.to, Value::host32(0));
      case NFT_CT_DST_IP:
      case NFT_CT_DST_IP6:
        if (e.direction == IP_CT_DIR_ORIGINAL) return load(e.to, Value::of(packet_.destination));
        break;
      case NFT_CT_PROTO_DST:
        if (e.direction == IP_CT_DIR_ORIGINAL) return load(e.to, Value::be16(packet_.port));
        break;
      default:
        break;
    }
    return cannot("ct " + std::to_string(static_cast<uint32_t>(e.key)));
  }

  Next on(const nft::Fib& e) {
    if (e.result != NFT_FIB_RESULT_ADDRTYPE) return cannot("fib");
    const std::vector<IpAddress>& ours = packet_.local;
    const bool destination_local =
        state_.destination.is_loopback() ||
        std::find(ours.begin(), ours.end(), state_.destination) != ours.end();
    const bool local =
        (e.flags & NFTA_FIB_F_SADDR) != 0 ? packet_.source_is_local : destination_local;
    return load(e.to, Value::host32(local ? RTN_LOCAL : RTN_UNICAST));
  }

  Next on(const nft::Bitwise& e) {
    const Bytes mask = e.mask.bytes();
    for (size_t i = 0; i < mask.size(); ++i)
      registers_.at(e.to)[i] =
          static_cast<uint8_t>((registers_.at(e.from)[i] & mask[i]) ^ e.flip.bytes()[i]);
    return Next::kGoOn;
  }

  Next on(const nft::Cmp& e) {
    const int order = std::memcmp(registers_.at(e.from), e.value.bytes().data(), e.value.size());
    switch (e.op) {
      case NFT_CMP_EQ:
        return match(order == 0);
      case NFT_CMP_NEQ:
        return match(order != 0);
      case NFT_CMP_LT:
        return match(order < 0);
      case NFT_CMP_LTE:
        return match(order <= 0);
      case NFT_CMP_GT:
        return match(order > 0);
      case NFT_CMP_GTE:
        return match(order >= 0);
    }
    return Next::kNoMatch;
  }

  Next on(const nft::Range& e) {
    const uint8_t* value = registers_.at(e.from);
    const bool inside = std::memcmp(value, e.first.bytes().data(), e.first.size()) >= 0 &&
                        std::memcmp(value, e.last.bytes().data(), e.last.size()) <= 0;
    return match(inside == (e.op == NFT_RANGE_EQ));
  }

  Next on(const nft::Lookup& e) {
    const size_t size = sets_.key_size(e.set);
    if (size == 0) return cannot("set " + e.set);
    const nft::Element* element = sets_.find(e.set, registers_.read(e.from, size));
    if (!e.verdict && !e.to) return match((element != nullptr) != e.inverted);
    missed_ = element == nullptr;
    if (missed_) return Next::kNoMatch;
    if (const auto* verdict = std::get_if<nft::Verdict>(&element->data))
      return e.verdict ? end(*verdict) : cannot("verdict as data");
    if (const auto* data = std::get_if<Value>(&element->data); data != nullptr && e.to)
      return load(*e.to, *data);
    return cannot("set " + e.set);
  }

  Next on(const nft::ImmediateData& e) { return load(e.to, e.value); }
  Next on(const nft::ImmediateVerdict& e) {
    return e.verdict.kind == nft::Verdict::Kind::kContinue ? Next::kGoOn : end(e.verdict);
  }
  Next on(const nft::MetaSet& e) {
    if (e.key != NFT_META_MARK) return cannot("meta set");
    std::memcpy(&state_.mark, registers_.at(e.from), sizeof state_.mark);
    return Next::kGoOn;
  }

  Next on(const nft::Nat& e) {
    if (e.type == NFT_NAT_SNAT) {
      state_.masqueraded = true;
      return end(nft::Verdict::accept());
    }
    state_.translated = true;
    if (e.address)
      state_.destination =
          IpAddress::from_bytes(registers_.read(*e.address, e.family == Family::kIpv4 ? 4 : 16));
    if (e.port) {
      const uint8_t* port = registers_.at(*e.port);
      state_.port = static_cast<uint16_t>(port[0] << 8 | port[1]);
    }
    return end(nft::Verdict::accept());
  }
  Next on(const nft::Masquerade&) {
    state_.masqueraded = true;
    return end(nft::Verdict::accept());
  }
  Next on(const nft::Reject&) {
    RuleOutcome outcome;
    outcome.kind = RuleOutcome::Kind::kRefused;
    outcome.state = state_;
    outcome.matched = true;
    outcomes_.insert(std::move(outcome));
    return Next::kDone;
  }
  Next on(const nft::Notrack&) {
    state_.untracked = true;
    return Next::kGoOn;
  }
  // What is counted, logged, limited or learnt does not decide where this packet goes.
  Next on(const nft::CtSet&) { return Next::kGoOn; }
  Next on(const nft::Counter&) { return Next::kGoOn; }
  Next on(const nft::Log&) { return Next::kGoOn; }
  Next on(const nft::Limit&) { return Next::kGoOn; }
  Next on(const nft::Dynset&) { return Next::kGoOn; }
  Next on(const nft::Numgen&) { return Next::kGoOn; }  // draw() has it
  Next on(const nft::Jhash&) { return Next::kGoOn; }
  Next on(const nft::Unknown& e) { return cannot(e.name); }

  const nft::Rule& rule_;
  const SetIndex& sets_;
  const Packet& packet_;
  std::string& unknown_;
  std::set<RuleOutcome>& outcomes_;
  Registers registers_;
  PacketState state_;
  bool missed_ = false;
};

}  // namespace

std::set<RuleOutcome> run_rule(const nft::Rule& rule, const SetIndex& sets, const Packet& packet,
                               const PacketState& state, std::string& unknown) {
  std::set<RuleOutcome> outcomes;
  Run(rule, sets, packet, unknown, outcomes).from(0, {}, state);
  return outcomes;
}

}  // namespace fairlead::proxy
