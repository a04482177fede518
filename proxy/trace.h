// SPDX-License-Identifier: Apache-2.0
// Where would this packet go? Rules as listed from the kernel, or as we would write them, run over
// the first packet of a flow, rule by rule. Pure.
//
// It interprets nftables, not our ruleset: what comes out is what the rules say, whoever wrote
// them. Where a rule draws at random every draw is followed, so a Fate holds all that can happen.
// Hooks run in the order of the kernel: prerouting or output, then forward (input for what stays
// on this node), then postrouting; nat chains end with the first translation of their kind
// (nf_nat_inet_fn in net/netfilter/nf_nat_core.c).
//
// Not modelled, and named in Result::unknown when a rule needs it: what is neither in the packet
// nor in the sets (sockets, other conntrack state, time).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/ruleset.h"

namespace fairlead::proxy {

// The first packet of a flow.
struct Packet {
  IpAddress source;
  IpAddress destination;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
  bool source_is_local =
      false;                   // `fib saddr type local`; with an empty interface: sent by this node
  std::string interface = {};  // it came in by; empty: from this node
  std::vector<IpAddress> local = {};  // addresses of this node, for `fib daddr type local`
  uint16_t source_port = 40000;
  uint32_t mark = 0;
};

struct Fate {
  enum class Kind : uint8_t {
    kPassed,     // not translated: goes on unchanged
    kUntracked,  // for the DNS server of this node
    kBalanced,   // to one of `ends`
    kRefused,    // ICMP port unreachable, or TCP reset
    kDropped,
  };
  struct End {
    SocketAddress to;
    bool masqueraded = false;
    auto operator<=>(const End&) const = default;
  };
  Kind kind = Kind::kPassed;
  std::vector<End> ends;  // sorted; each may be drawn
  bool operator==(const Fate&) const = default;
  std::string to_string() const;  // "balanced to 10.0.0.1:80 (masqueraded), 10.0.0.2:80"
};

// A rule that matched, or a lookup that missed.
struct Step {
  std::string chain;   // "ip fairlead services"
  std::string rule;    // as nft prints it
  std::string effect;  // "goto sel_4", "to 10.0.0.1:80, 10.0.0.2:80", "no element"
};

class Tracer {
 public:
  struct Result {
    // More than one when draws decide between fates of different kinds; sorted by kind.
    std::vector<Fate> fates;
    std::vector<Step> steps;  // of everything that can happen, in order; each once
    std::string unknown;      // what could not be evaluated; empty: nothing
    const Fate& fate() const { return fates.front(); }
  };

  // Tables of one IP family. Elements are indexed once; a trace costs what its rules cost.
  explicit Tracer(std::vector<nft::TableContent> tables);
  ~Tracer();
  Tracer(Tracer&&) noexcept;

  Result trace(const Packet& packet, bool with_steps = false) const;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

// What our own ruleset does with it.
Fate trace(const Ruleset& ruleset, const Packet& packet);

}  // namespace fairlead::proxy
