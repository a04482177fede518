// SPDX-License-Identifier: Apache-2.0
// One rule run over one packet: the expressions of nftables as a pure function. For trace.cpp.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "netlink/nftables/text.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

struct Packet;

// What of a packet changes on its way. Ordered, so that ways that have become the same are
// followed once.
struct PacketState {
  uint32_t mark = 0;
  IpAddress source;
  IpAddress destination;
  uint16_t port = 0;
  bool translated = false;
  bool masqueraded = false;
  bool untracked = false;
  auto operator<=>(const PacketState&) const = default;
};

// The sets of one table, by name, and their elements by key.
class SetIndex {
 public:
  explicit SetIndex(const nft::TableContent& content);
  // The element with that key, or the range it lies in; nullptr: none.
  const nft::Element* find(const std::string& set, nft::Bytes key) const;
  // Bytes of a key and of the data of that set; 0: no such set.
  size_t key_size(const std::string& set) const;

 private:
  struct Entry {
    const nft::Set* set = nullptr;
    std::unordered_map<std::string, const nft::Element*> by_key;
    std::vector<const nft::Element*> ranges;  // sorted by key; of interval sets
  };
  std::unordered_map<std::string, Entry> sets_;
};

// What a rule did with one packet; a rule that draws at random does several things.
struct RuleOutcome {
  enum class Kind : uint8_t { kNext, kVerdict, kRefused };
  Kind kind = Kind::kNext;
  nft::Verdict verdict;  // kVerdict
  PacketState state;
  bool matched = false;  // kNext: it ran to its end
  bool missed = false;   // kNext: a map had no element
  auto operator<=>(const RuleOutcome&) const = default;
};

// Every outcome. `unknown` gets the name of what cannot be evaluated; such a rule does
// not match.
std::set<RuleOutcome> run_rule(const nft::Rule& rule, const SetIndex& sets, const Packet& packet,
                               const PacketState& state, std::string& unknown);

}  // namespace fairlead::proxy
