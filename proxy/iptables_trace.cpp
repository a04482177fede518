// SPDX-License-Identifier: Apache-2.0
// The running half of iptables_save.h.
#include <set>

#include "proxy/fates.h"
#include "proxy/iptables_save.h"

namespace fairlead::proxy {

namespace {

using MatchKind = IptablesMatch::Kind;
using Target = IptablesRule::Target;
using Chains = IptablesRules::Chains;
using States = std::set<PacketState>;

constexpr int kMaxDepth = 16;
// Chains that jump to chains that jump multiply; kube-proxy's come nowhere near.
constexpr size_t kMaxSteps = 2'000'000;

enum class Answer : uint8_t { kNo, kYes, kEither };

class IptablesWalk {
 public:
  IptablesWalk(const IptablesRules& rules, const Packet& packet) : rules_(rules), packet_(packet) {}

  Tracer::Result run() {
    const bool from_here = packet_.interface.empty();
    States routed = hook(rules_.nat, from_here ? "OUTPUT" : "PREROUTING", {first_state(packet_)});
    if (from_here) routed = hook(rules_.filter, "OUTPUT", routed);
    States leaving, staying;
    for (const PacketState& state : routed)
      (stays_here(packet_, state.destination) ? staying : leaving).insert(state);
    if (!from_here) leaving = hook(rules_.filter, "FORWARD", leaving);
    fates_.finish(hook(rules_.nat, "POSTROUTING", leaving));
    fates_.finish(hook(rules_.filter, "INPUT", staying));
    result_.fates = fates_.take();
    return std::move(result_);
  }

 private:
  struct Left {
    States returned;
    States accepted;
  };

  States hook(const Chains& chains, const char* name, const States& states) {
    const auto chain = chains.find(name);
    if (chain == chains.end()) return states;
    States result;
    for (const PacketState& state : states) {
      Left left = run_chain(chains, chain->second, state, 0);
      result.merge(left.accepted);
      result.merge(left.returned);
    }
    return result;
  }

  Left run_chain(const Chains& chains, const std::vector<IptablesRule>& rules,
                 const PacketState& state, int depth) {
    Left left;
    States here = {state};
    std::vector<PacketState> hits;
    for (const IptablesRule& rule : rules) {
      // Most rules of a long chain are about something else.
      hits.clear();
      for (auto one = here.begin(); one != here.end();) {
        if (++steps_ > kMaxSteps) return cannot("chains that multiply"), left;
        const Answer answer = matches(rule, *one);
        if (answer != Answer::kNo) hits.push_back(*one);
        one = answer == Answer::kYes ? here.erase(one) : std::next(one);
      }
      for (const PacketState& hit : hits) follow(chains, rule, hit, depth, left, here);
    }
    left.returned.merge(here);
    return left;
  }

  void follow(const Chains& chains, const IptablesRule& rule, PacketState state, int depth,
              Left& left, States& next) {
    switch (rule.target) {
      case Target::kNone:
        next.insert(std::move(state));
        return;
      case Target::kAccept:
        left.accepted.insert(std::move(state));
        return;
      case Target::kDrop:
        return fates_.end(Fate::Kind::kDropped);
      case Target::kReject:
        return fates_.end(Fate::Kind::kRefused);
      case Target::kReturn:
        left.returned.insert(std::move(state));
        return;
      case Target::kDnat:
        state.translated = true;
        state.destination = rule.address;
        if (rule.port != 0) state.port = rule.port;
        left.accepted.insert(std::move(state));
        return;
      case Target::kMasquerade:
        state.masqueraded = true;
        left.accepted.insert(std::move(state));
        return;
      case Target::kMark:
        state.mark = (state.mark & ~rule.mask) ^ rule.value;
        next.insert(std::move(state));
        return;
      case Target::kUnknown:
        cannot("-j " + rule.chain);
        next.insert(std::move(state));
        return;
      case Target::kJump:
      case Target::kGoto:
        break;
    }
    const auto target = chains.find(rule.chain);
    if (target == chains.end() || depth == kMaxDepth) {
      cannot("chain " + rule.chain);
      next.insert(std::move(state));
      return;
    }
    Left there = run_chain(chains, target->second, state, depth + 1);
    left.accepted.merge(there.accepted);
    (rule.target == Target::kJump ? next : left.returned).merge(there.returned);
  }

  Answer matches(const IptablesRule& rule, const PacketState& state) {
    Answer all = Answer::kYes;
    const IptablesMatch* unknown = nullptr;
    for (const IptablesMatch& match : rule.matches) {
      if (match.kind == MatchKind::kUnknown) {
        if (unknown == nullptr) unknown = &match;
        continue;
      }
      const Answer one = matches(match, state);
      if (one == Answer::kNo) return one;
      if (one == Answer::kEither) all = one;
    }
    if (unknown == nullptr) return all;
    // Only where it would have decided.
    cannot(unknown->text);
    return Answer::kNo;
  }

  Answer matches(const IptablesMatch& match, const PacketState& state) const {
    if (match.kind == MatchKind::kRandom) {
      if (match.first > 0 && match.first < 1000000) return Answer::kEither;
      return (match.first != 0) != match.inverted ? Answer::kYes : Answer::kNo;
    }
    return holds(match, state) != match.inverted ? Answer::kYes : Answer::kNo;
  }

  bool holds(const IptablesMatch& match, const PacketState& state) const {
    const auto inside = [&](uint32_t port) { return match.first <= port && port <= match.last; };
    switch (match.kind) {
      case MatchKind::kSource:
        return match.cidr.contains(state.source);
      case MatchKind::kDestination:
        return match.cidr.contains(state.destination);
      case MatchKind::kInInterface: {
        const std::string& name = match.text;
        if (!name.ends_with('+')) return packet_.interface == name;
        return std::string_view(packet_.interface).starts_with(name.substr(0, name.size() - 1));
      }
      case MatchKind::kProtocol:
        return match.first == protocol_number(packet_.protocol);
      case MatchKind::kSourcePort:
        return inside(packet_.source_port);
      case MatchKind::kPort:
        return inside(state.port);
      case MatchKind::kLocalSource:
        return packet_.source_is_local;
      case MatchKind::kLocalTarget:
        return stays_here(packet_, state.destination);
      case MatchKind::kMark:
        return (state.mark & match.last) == match.first;
      case MatchKind::kState:
        return match.first != 0 || (match.last != 0 && state.translated);
      case MatchKind::kRandom:
      case MatchKind::kSeen:
      case MatchKind::kUnknown:
        return false;
    }
    return false;
  }

  void cannot(const std::string& what) {
    if (result_.unknown.empty()) result_.unknown = what;
  }

  const IptablesRules& rules_;
  const Packet& packet_;
  Tracer::Result result_;
  Fates fates_;
  size_t steps_ = 0;
};

// The frontend a rule is about; nullopt: none.
std::optional<Frontend> frontend_of(const IptablesRule& rule, Family family) {
  Frontend frontend = Frontend::node(family, Protocol::kTcp, 0);
  for (const IptablesMatch& match : rule.matches) {
    if (match.inverted) return std::nullopt;
    if (match.kind == MatchKind::kDestination && match.cidr == Cidr::host(match.cidr.address())) {
      frontend.address = match.cidr.address();
      frontend.node_port = false;
    } else if (match.kind == MatchKind::kDestination) {
      return std::nullopt;
    }
    if (match.kind == MatchKind::kPort && match.first == match.last)
      frontend.port = static_cast<uint16_t>(match.first);
    if (match.kind == MatchKind::kProtocol)
      for (const Protocol known : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
        if (match.first == protocol_number(known)) frontend.protocol = known;
  }
  if (frontend.port == 0) return std::nullopt;
  return frontend;
}

}  // namespace

Tracer::Result trace(const IptablesRules& rules, const Packet& packet) {
  return IptablesWalk(rules, packet).run();
}

std::vector<Frontend> frontends_of(const IptablesRules& rules, Family family) {
  std::set<Frontend> found;
  for (const char* name : {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES"}) {
    for (const Chains* chains : {&rules.nat, &rules.filter}) {
      const auto chain = chains->find(name);
      if (chain == chains->end()) continue;
      for (const IptablesRule& rule : chain->second)
        if (const auto frontend = frontend_of(rule, family)) found.insert(*frontend);
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace fairlead::proxy
