// SPDX-License-Identifier: Apache-2.0
#include "proxy/trace.h"

#include <algorithm>
#include <set>

#include "proxy/fates.h"
#include "proxy/trace_rule.h"

namespace fairlead::proxy {

namespace {

constexpr int kMaxDepth = 16;  // of jumps: NFT_JUMP_STACK_SIZE

struct ChainRules {
  const nft::Chain* chain = nullptr;
  std::vector<const nft::Rule*> rules;
};

struct TableIndex {
  explicit TableIndex(const nft::TableContent& table_content)
      : content(table_content), sets(table_content) {
    for (const nft::Chain& chain : content.chains) chains[chain.name].chain = &chain;
    for (const nft::Rule& rule : content.rules) chains[rule.chain].rules.push_back(&rule);
    for (const auto& [name, chain] : chains)
      if (chain.chain != nullptr && chain.chain->base) bases.push_back(&chain);
  }
  const nft::TableContent& content;
  SetIndex sets;
  std::map<std::string, ChainRules> chains;
  std::vector<const ChainRules*> bases;  // kube-proxy has chains by the ten thousand
};

using States = std::set<PacketState>;

}  // namespace

struct Tracer::Tables {
  std::vector<nft::TableContent> contents;
  std::vector<TableIndex> indexes;
};

namespace {

class Walk {
 public:
  Walk(const std::vector<TableIndex>& tables, const Packet& packet, bool with_steps)
      : tables_(tables), packet_(packet), with_steps_(with_steps) {}

  Tracer::Result run() {
    const bool from_here = packet_.interface.empty();
    const States routed =
        hook(from_here ? NF_INET_LOCAL_OUT : NF_INET_PRE_ROUTING, {first_state(packet_)});
    States leaving, staying;
    for (const PacketState& state : routed)
      (stays_here(packet_, state.destination) ? staying : leaving).insert(state);
    if (!from_here) leaving = hook(NF_INET_FORWARD, std::move(leaving));
    fates_.finish(hook(NF_INET_POST_ROUTING, std::move(leaving)));
    fates_.finish(hook(NF_INET_LOCAL_IN, std::move(staying)));
    result_.fates = fates_.take();
    return std::move(result_);
  }

 private:
  struct Left {
    States returned;  // fell off the end
    States accepted;
  };

  States hook(uint32_t number, States states) {
    using Base = std::pair<const TableIndex*, const ChainRules*>;
    std::vector<Base> bases;
    for (const TableIndex& table : tables_)
      for (const ChainRules* chain : table.bases)
        if (chain->chain->base->hook == number) bases.emplace_back(&table, chain);
    std::stable_sort(bases.begin(), bases.end(), [](const Base& a, const Base& b) {
      return a.second->chain->base->priority < b.second->chain->base->priority;
    });
    for (const auto& [table, chain] : bases) states = base_chain(*table, *chain, states);
    return states;
  }

  States base_chain(const TableIndex& table, const ChainRules& chain, const States& states) {
    const nft::BaseChain& base = *chain.chain->base;
    const bool first_half = base.hook == NF_INET_PRE_ROUTING || base.hook == NF_INET_LOCAL_OUT;
    States result;
    for (const PacketState& state : states) {
      const bool done = first_half ? state.translated : state.masqueraded;
      if (base.type == nft::ChainType::kNat && (done || state.untracked)) {
        result.insert(state);
        continue;
      }
      Left left = run_chain(table, chain, state, 0);
      result.merge(left.accepted);
      if (base.policy == nft::Policy::kAccept)
        result.merge(left.returned);
      else if (!left.returned.empty())
        fates_.end(Fate::Kind::kDropped);
    }
    return result;
  }

  // Breadth first: ways that meet again with the same packet are one.
  Left run_chain(const TableIndex& table, const ChainRules& chain, const PacketState& state,
                 int depth) {
    Left left;
    States here = {state};
    for (const nft::Rule* rule : chain.rules) {
      States next;
      for (const PacketState& one : here) {
        const std::set<RuleOutcome> outcomes =
            run_rule(*rule, table.sets, packet_, one, result_.unknown);
        if (with_steps_) note(*rule, outcomes);
        for (const RuleOutcome& outcome : outcomes) follow(table, outcome, depth, left, next);
      }
      here = std::move(next);
    }
    left.returned.merge(here);
    return left;
  }

  void follow(const TableIndex& table, const RuleOutcome& outcome, int depth, Left& left,
              States& next) {
    using Kind = nft::Verdict::Kind;
    if (outcome.kind == RuleOutcome::Kind::kRefused) return fates_.end(Fate::Kind::kRefused);
    if (outcome.kind == RuleOutcome::Kind::kNext) {
      next.insert(outcome.state);
      return;
    }
    switch (outcome.verdict.kind) {
      case Kind::kAccept:
        left.accepted.insert(outcome.state);
        return;
      case Kind::kDrop:
        return fates_.end(Fate::Kind::kDropped);
      case Kind::kContinue:
        next.insert(outcome.state);
        return;
      case Kind::kReturn:
        left.returned.insert(outcome.state);
        return;
      case Kind::kJump:
      case Kind::kGoto:
        break;
    }
    const auto target = table.chains.find(outcome.verdict.chain);
    if (target == table.chains.end() || depth == kMaxDepth) {
      result_.unknown = "chain " + outcome.verdict.chain;
      return;
    }
    Left there = run_chain(table, target->second, outcome.state, depth + 1);
    left.accepted.merge(there.accepted);
    (outcome.verdict.kind == Kind::kJump ? next : left.returned).merge(there.returned);
  }

  void note(const nft::Rule& rule, const std::set<RuleOutcome>& outcomes) {
    std::string effect;
    const auto add = [&](const std::string& text) {
      if (effect.find(text) == std::string::npos) effect += (effect.empty() ? "" : ", ") + text;
    };
    for (const RuleOutcome& outcome : outcomes) {
      const PacketState& state = outcome.state;
      if (outcome.missed) add("no element");
      if (!outcome.matched) continue;
      if (outcome.kind == RuleOutcome::Kind::kRefused)
        add("refused");
      else if (outcome.kind == RuleOutcome::Kind::kNext)
        add("mark " + std::to_string(state.mark));
      else if (outcome.verdict.kind != nft::Verdict::Kind::kAccept)
        add(outcome.verdict.to_nft());
      else if (state.masqueraded)
        add("masqueraded");
      else if (state.translated)
        add("to " + SocketAddress{state.destination, state.port}.to_string());
      else
        add("accept");
    }
    if (effect.empty()) return;
    const Step step{std::string(nft::name_of(rule.family)) + " " + rule.table + " " + rule.chain,
                    nft::to_nft(rule), effect};
    if (seen_.insert(step.chain + "\n" + step.rule + "\n" + step.effect).second)
      result_.steps.push_back(step);
  }

  const std::vector<TableIndex>& tables_;
  const Packet& packet_;
  const bool with_steps_;
  Tracer::Result result_;
  Fates fates_;
  std::set<std::string> seen_;
};

}  // namespace

Tracer::Tracer(std::vector<nft::TableContent> tables) : tables_(std::make_unique<Tables>()) {
  tables_->contents = std::move(tables);
  for (const nft::TableContent& content : tables_->contents) tables_->indexes.emplace_back(content);
}

Tracer::~Tracer() = default;
Tracer::Tracer(Tracer&&) noexcept = default;

Tracer::Result Tracer::trace(const Packet& packet, bool with_steps) const {
  return Walk(tables_->indexes, packet, with_steps).run();
}

Fate trace(const Ruleset& ruleset, const Packet& packet) {
  return Tracer({ruleset.content()}).trace(packet).fate();
}

std::string Fate::to_string() const {
  switch (kind) {
    case Kind::kPassed:
      return "passed";
    case Kind::kUntracked:
      return "untracked";
    case Kind::kRefused:
      return "refused";
    case Kind::kDropped:
      return "dropped";
    case Kind::kBalanced:
      break;
  }
  std::string text = "balanced to";
  for (const End& end : ends)
    text += (&end == &ends.front() ? " " : ", ") + end.to.to_string() +
            (end.masqueraded ? " (masqueraded)" : "");
  return text;
}

}  // namespace fairlead::proxy
