// SPDX-License-Identifier: Apache-2.0
// Where would this packet go? The ruleset's walk over the Ruleset value, for tests and for
// operators. Pure.
#pragma once

#include <string>
#include <vector>

#include "proxy/ruleset.h"

namespace fairlead::proxy {

// The first packet of a flow, seen in prerouting or output.
struct Packet {
  IpAddress source;
  IpAddress destination;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
  bool source_is_local = false;  // `fib saddr type local` on this node
  std::string interface;         // it came in by; empty: from this node
};

struct Fate {
  enum class Kind : uint8_t {
    kPassed,     // not ours: goes on unchanged
    kUntracked,  // for the DNS server of this node
    kBalanced,   // to one of `ends`
    kRefused,    // ICMP port unreachable
    kDropped,
  };
  struct End {
    Backend backend;
    bool masqueraded = false;
    auto operator<=>(const End&) const = default;
  };
  Kind kind = Kind::kPassed;
  std::vector<End> ends;  // sorted; each may be drawn
  bool operator==(const Fate&) const = default;
  std::string to_string() const;  // "balanced to 10.0.0.1:80 (masqueraded), 10.0.0.2:80"
};

Fate trace(const Ruleset& ruleset, const Packet& packet);

}  // namespace fairlead::proxy
