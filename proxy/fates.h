// SPDX-License-Identifier: Apache-2.0
// Collects what can become of a packet, from every way a tracer has followed. Pure.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "proxy/trace.h"
#include "proxy/trace_rule.h"

namespace fairlead::proxy {

// The packet as it comes in.
inline PacketState first_state(const Packet& packet) {
  PacketState state;
  state.mark = packet.mark;
  state.source = packet.source;
  state.destination = packet.destination;
  state.port = packet.port;
  return state;
}

class Fates {
 public:
  void end(Fate::Kind kind) { fates_[kind].kind = kind; }

  // These came through the last hook.
  void finish(const std::set<PacketState>& states) {
    for (const PacketState& state : states) {
      const Fate::Kind kind = state.untracked    ? Fate::Kind::kUntracked
                              : state.translated ? Fate::Kind::kBalanced
                                                 : Fate::Kind::kPassed;
      end(kind);
      if (kind != Fate::Kind::kBalanced) continue;
      std::vector<Fate::End>& ends = fates_[kind].ends;
      const Fate::End end{{state.destination, state.port}, state.masqueraded};
      const auto place = std::lower_bound(ends.begin(), ends.end(), end);
      if (place == ends.end() || *place != end) ends.insert(place, end);
    }
  }

  // Sorted by kind.
  std::vector<Fate> take() {
    std::vector<Fate> result;
    for (auto& [kind, fate] : fates_) result.push_back(std::move(fate));
    return result;
  }

 private:
  std::map<Fate::Kind, Fate> fates_;
};

// Whether a packet for that address is for this node.
inline bool stays_here(const Packet& packet, const IpAddress& destination) {
  return destination.is_loopback() ||
         std::find(packet.local.begin(), packet.local.end(), destination) != packet.local.end();
}

}  // namespace fairlead::proxy
