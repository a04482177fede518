// SPDX-License-Identifier: Apache-2.0
// Choice chains: the chains a frontend's element in `svc` or `node_svc` goes to. A chain belongs to
// a shape, not to a service: all services of the same shape share it, so rules do not grow with
// services. Only source ranges and affinity give a chain to few services or one. Pure values.
//
//   sel_3              a cluster IP with 3 endpoints: foreign sources are masqueraded
//   ext_3              an external address: every source is masqueraded
//   local_3_16         an external address that keeps sources: 3 endpoints on this node; what comes
//                      from a pod or from this node chooses among 14 or 15 anywhere
//   inside_16          where the latter go
//   relay_1            a socket of this process, the one endpoint there is: every source is kept
//   node_ext_3 ...     the same for node ports
//   ext_3_g0123...     only sources in some ranges go on to ext_3; the number names the ranges
//   refuse_g0123...    the same before a service without endpoints: others are dropped, not refused
//   sel_3_a0123...     an address seen before goes where it went before; the number names the map
//   learn_60_a0123...  after translation: remember for 60 s where the source has gone
//   split_60_a0123...  the same for a local_N_M: what came from a pod or this node goes to the
//                      learn chain of the other set
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy {

// What happens to a packet on its way to an endpoint.
enum class Treatment : uint8_t {
  kRefuse,    // ICMP port unreachable; no chain but the fixed one and guards before it
  kDrop,      // no chain at all
  kCluster,   // sel_N
  kExternal,  // ext_N
  kLocal,     // local_N_M
  kInside,    // inside_M
  kLearn,     // learn_S
  kSplit,     // split_S
  kRelay,     // relay_1: to a socket of the stream proxy, which decides the rest
};

struct Choice {
  bool node_port = false;
  Treatment treatment = Treatment::kRefuse;
  uint32_t choices = 0;   // indexes drawn from: see choices_for(); 0 only with kLocal: drops.
                          // kLearn and kSplit: seconds to remember
  uint32_t inside = 0;    // kLocal: of the endpoints anywhere
  uint64_t guard = 0;     // number of a list of source ranges; 0: any source
  uint64_t affinity = 0;  // number of an affinity map; 0: none. Odd: of endpoints of this node
  auto operator<=>(const Choice&) const = default;

  // The chain after translation that goes with this one, for `seconds` of affinity.
  Choice learn(uint32_t seconds) const;
  // Whether there is a chain for it (kRefuse and kDrop have none of their own, unless guarded).
  bool has_chain() const { return treatment > Treatment::kDrop || guard != 0; }
  std::string name() const;  // of the chain; "refuse" for kRefuse, "" for kDrop
  // Whether its chain's rules name the map of `affinity` themselves.
  bool names_map() const { return affinity != 0 && guard == 0 && treatment != Treatment::kSplit; }
  // The chains its own chain goes to; they must be there before it and stay until after it.
  std::vector<Choice> needs() const;
};

// The maps of the two sets of a service that keeps sources, from either's number.
inline uint64_t affinity_here(uint64_t number) {
  return number | 1;
}
inline uint64_t affinity_anywhere(uint64_t number) {
  return number & ~uint64_t{1};
}
std::string affinity_map_name(uint64_t number);  // "aff_0123456789abcdef"
std::optional<uint64_t> parse_affinity_map(std::string_view name);

// The inverse of name(); nullopt for any other name, "refuse" among them.
std::optional<Choice> parse_choice(std::string_view chain_name);

// How many indexes are drawn from for that many endpoints: as many up to kExact, so that no draw is
// missed. Beyond it there is room for one more: the next of 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28,
// 32, 40... (four to a doubling), and four fifths of them or more have an endpoint.
inline constexpr uint32_t kExact = 3;
uint32_t choices_for(size_t endpoints);
// Whether so many indexes will do for that many endpoints until there is time to change: each has
// its place, and more than half of the draws find one, so that no endpoint is drawn noticeably more
// often (7 draws before index 0: 0.8 % of all at most).
bool choices_will_do(uint32_t choices, size_t endpoints);

}  // namespace fairlead::proxy
