// SPDX-License-Identifier: Apache-2.0
// What `iptables-save` and `ip6tables-save` print, read as far as kube-proxy's iptables mode writes
// it, and run over the first packet of a flow. Pure.
//
// Only chains KUBE-* of the tables nat and filter count, and what leads into them from the built-in
// chains: what Docker, a CNI plugin or the administrator wrote beside them, and the policies, are
// the same before and after a switch of proxies. Where a rule draws at random both ways are
// followed; `-m recent` has seen nobody yet, as a first packet finds it.
//
// A match or target that is not understood is kept by name; a rule with it does not match, and the
// trace names it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/trace.h"

namespace fairlead::proxy {

struct IptablesMatch {
  enum class Kind : uint8_t {
    kSource,       // cidr
    kDestination,  // cidr
    kInInterface,  // text; a '+' at its end stands for anything
    kProtocol,     // first
    kSourcePort,   // first to last
    kPort,         // first to last
    kLocalSource,  // -m addrtype
    kLocalTarget,  // -m addrtype
    kMark,         // packet mark & last == first
    kState,        // first: whether a new flow; last: whether one that is translated
    kRandom,       // first: of a million; may match and may not, but for none and all
    kSeen,         // -m recent
    kUnknown,      // text
  };
  Kind kind = Kind::kUnknown;
  bool inverted = false;
  Cidr cidr = Cidr(IpAddress::any(Family::kIpv4), 0);
  uint32_t first = 0;
  uint32_t last = 0;
  std::string text;
};

struct IptablesRule {
  enum class Target : uint8_t {
    kNone,  // only counts
    kAccept,
    kDrop,
    kReturn,
    kReject,
    kDnat,        // address, port
    kMark,        // mark & ~mask ^ value
    kMasquerade,  // or SNAT
    kJump,        // chain
    kGoto,        // chain
    kUnknown,     // chain: its name
  };
  std::vector<IptablesMatch> matches;
  Target target = Target::kNone;
  std::string chain;
  IpAddress address;
  uint16_t port = 0;  // 0: stays what it is
  uint32_t value = 0;
  uint32_t mask = 0;
};

// Of one IP family.
struct IptablesRules {
  using Chains = std::map<std::string, std::vector<IptablesRule>>;
  Chains nat;
  Chains filter;
};

// Both programs' output may stand in one text. An Error's message is one sentence with the line's
// number. The family is what the heading says, else what the first address is.
Result<std::map<Family, IptablesRules>> parse_iptables_save(std::string_view text);

// What these rules do with it; Result::steps stays empty.
Tracer::Result trace(const IptablesRules& rules, const Packet& packet);

// The frontends of KUBE-SERVICES and KUBE-NODEPORTS.
std::vector<Frontend> frontends_of(const IptablesRules& rules, Family family);

}  // namespace fairlead::proxy
