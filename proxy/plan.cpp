// SPDX-License-Identifier: Apache-2.0
// The planning half of Programmer: which transaction comes next.
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/log.h"
#include "proxy/programmer.h"
#include "proxy/rules.h"

namespace fairlead::proxy {

namespace {

using Kind = Operation::Kind;

std::vector<std::string> texts(const std::vector<nft::Rule>& rules) {
  std::vector<std::string> result;
  for (const nft::Rule& rule : rules) result.push_back(nft::to_nft(rule));
  return result;
}

// About as many bytes as an element of IPv4 takes in a message.
constexpr size_t kBytes = 48;
// Operations planned before they are written.
constexpr size_t kPiece = 1024;

bool adds_object(const Operation& operation) {
  return operation.kind == Kind::kAddChain || operation.kind == Kind::kAddAffinity;
}

}  // namespace

// Sets for what is known now and half as much again.
void Programmer::size_sets() {
  const auto at_least = [this](SetId id, size_t elements) {
    const auto size = static_cast<uint32_t>((elements + elements / 2 + 1023) / 1024 * 1024);
    programmed_.state(id).size = std::max(programmed_.state(id).size, size);
  };
  const ServiceMap::Totals totals = services_.count(config_.family);
  for (const bool node_port : {false, true}) {
    const ServiceMap::Counts& counts = node_port ? totals.node_ports : totals.addresses;
    at_least(services_set(node_port), counts.frontends);
    at_least(endpoints_set(node_port, false), counts.endpoints);
    at_least(endpoints_set(node_port, true), counts.inside_endpoints);
    at_least(learn_set(node_port), counts.learning);
    if (!node_port) at_least(SetId::kClusterIps, counts.frontends);
  }
  at_least(SetId::kHairpin, services_.count_local_endpoints(config_.family));
  programmed_.reserve(totals.addresses.frontends, totals.node_ports.frontends);
}

void Programmer::plan_table() {
  if (!status_.last_error) set_loading(true);
  programmed_ = Ruleset(config_, parameters_);
  size_sets();
  transaction_.add(programmed_.table());
  structure_left_ = programmed_.sets();
  plan_structure();
  table_exists_ = true;
  missing_hooks_ = programmed_.base_chains();
  unhooked_ = true;
}

// So that no transaction takes long (nf_tables_newset).
void Programmer::plan_structure() {
  std::vector<SetId>& left = *structure_left_;
  while (!left.empty()) {
    const SetId id = left.back();
    left.pop_back();
    transaction_.add(programmed_.set(id));
    if (programmed_.state(id).size >= kLargeSet) return;
  }
  put_chains();
  structure_left_.reset();
}

// One transaction, however long it holds the commit lock: between the old table and the new one no
// packet may find none. (Those on their way through the old one may be refused: plan_outgrown.)
void Programmer::plan_rebuild() {
  log::warn("replacing table {} fairlead as a whole",
            config_.family == Family::kIpv4 ? "ip" : "ip6");
  rebuild_ = false;
  repairs_.reset();
  programmed_ = Ruleset(config_, parameters_);
  size_sets();
  transaction_.destroy(programmed_.table());
  put_structure();
  std::vector<Operation> operations;
  for (const Frontend& frontend : services_.frontends(config_.family)) {
    const size_t first = operations.size();
    diff(programmed_, frontend, services_.find(frontend), operations);
    programmed_.apply(std::span(operations).subspan(first));
  }
  put_by_set(operations);
  put_hooks();
  take_over_.put_unhook(transaction_);
  plan_local_dns();
  for (const auto& [frontend, since] : std::exchange(dirty_, {}))
    planned_frontends_.emplace_back(frontend, since);
  for (const Frontend& frontend : std::exchange(unseen_, {}))
    planned_frontends_.emplace_back(frontend, std::nullopt);
  table_exists_ = true;
  missing_hooks_.clear();
}

void Programmer::plan_repairs() {
  repairing_ = true;
  foreign_ = std::exchange(repairs_, std::nullopt);
  const Repairs& repairs = *foreign_;
  for (const auto& [set, element] : repairs.wrong_elements)
    transaction_.remove_element(set, element);
  apply_and_put(repairs.leftovers);
  for (const SetId id : repairs.missing_sets) transaction_.add(programmed_.set(id));
  for (const nft::Chain& chain : repairs.missing_chains) transaction_.add(chain);
  for (const nft::Chain& chain : repairs.missing_chains) put_rules(chain);
  for (const nft::Chain& chain : repairs.changed_chains) {
    transaction_.flush(chain);
    put_rules(chain);
  }
  for (const nft::Chain& chain : repairs.foreign_chains) transaction_.flush(chain);
  if (transaction_.empty()) plan_foreign_objects();
}

void Programmer::plan_foreign_objects() {
  repairing_ = true;
  const Repairs repairs = *std::exchange(foreign_, std::nullopt);
  for (const nft::Chain& chain : repairs.foreign_chains) transaction_.remove(chain);
  for (const nft::Set& set : repairs.foreign_sets) transaction_.remove(set);
  if (!transaction_.empty()) return;
  repairing_ = false;
  plan();
}

// Piece by piece, so that what is planned is still in the processor's cache when it is written.
void Programmer::plan_frontends() {
  if (frontends_left() > kPiece) transaction_.reserve(kChunk * kBytes);
  do {
    if (queue_at_ == queue_.size()) fill_queue();
    if (growth_ || queue_.empty()) break;
    plan_queue();
  } while (queue_at_ == queue_.size() && frontends_left() > 0 &&
           transaction_.operation_count() < kChunk);
  if (!transaction_.empty()) return;
  // As wanted already, or once the commit in flight is done.
  if (!in_flight_) return acknowledge(planned_frontends_);
  in_flight_frontends_.insert(in_flight_frontends_.end(), planned_frontends_.begin(),
                              planned_frontends_.end());
  planned_frontends_.clear();
}

// Empty afterwards: nothing to do, or no room in a set. Then the set grows, once what is planned
// already is done.
void Programmer::fill_queue() {
  queue_.clear();
  queue_at_ = 0;
  while (frontends_left() > 0 && queue_.size() < kPiece) {
    const auto marked = dirty_.begin();
    const bool seen = marked != dirty_.end();
    const Frontend frontend = seen ? marked->first : unseen_.back();
    const size_t first = queue_.size();
    const std::optional<Target> wanted = services_.find(frontend);
    diff(programmed_, frontend, wanted, queue_);
    const auto operations = std::span<const Operation>(queue_).subspan(first);
    if (const auto lacking = lacks_room(operations)) {
      queue_.resize(first);
      if (!queue_.empty() || !transaction_.empty()) return;
      begin_growth(lacking->first, lacking->second);
      return plan_growth();
    }
    programmed_.apply(operations);
    if (is_loose(programmed_, frontend, wanted)) loose_.insert(frontend);
    planned_frontends_.emplace_back(frontend, seen ? marked->second : std::nullopt);
    if (seen)
      dirty_.erase(marked);
    else
      unseen_.pop_back();
  }
}

void Programmer::plan_queue() {
  // A short rest goes along.
  const size_t left = queue_.size() - queue_at_;
  const size_t room = kChunk - transaction_.operation_count();
  const size_t end = queue_at_ + (left <= room + kChunk / 4 ? left : room);
  const auto piece = std::span<const Operation>(queue_).subspan(queue_at_, end - queue_at_);
  if (unhooked_)
    put_by_set(piece);
  else
    for (const Operation& operation : piece) put(operation);
  queue_at_ = end;
}

std::optional<std::pair<SetId, uint32_t>> Programmer::lacks_room(
    std::span<const Operation> operations) const {
  std::array<uint32_t, std::size(kAllSets)> adds{};
  for (const Operation& operation : operations)
    if (operation.kind == Kind::kAdd) ++adds[static_cast<size_t>(operation.set)];
  for (const SetId id : kAllSets) {
    const uint32_t used = programmed_.state(id).used;
    const uint32_t most = used + adds[static_cast<size_t>(id)];
    if (most == used || !too_full(programmed_, id, most)) continue;
    const uint32_t peak = peak_use(programmed_, id, operations);
    if (peak > used && too_full(programmed_, id, peak)) return {{id, peak}};
  }
  return std::nullopt;
}

void Programmer::begin_growth(SetId id, uint32_t elements) {
  Growth growth;
  growth.id = id;
  growth.state = programmed_.state(id);
  ++growth.state.generation;
  growth.state.size = size_for(programmed_, id, elements);
  const Ruleset::SetState before = std::exchange(programmed_.state(id), growth.state);
  growth.larger = programmed_.set(id);
  programmed_.state(id) = before;
  log::info("set {} is filling up, growing it from {} to {} elements", base_name(id), before.size,
            growth.state.size);
  if (id == SetId::kClusterIps || id == SetId::kHairpin) {
    growth.pending = programmed_.elements(id);
  } else {
    for (const auto& [frontend, service] : programmed_.services())
      growth.frontends.push_back(frontend);
  }
  growth_ = std::move(growth);
}

void Programmer::plan_growth() {
  Growth& growth = *growth_;
  if (!std::exchange(growth.created, true)) transaction_.add(growth.larger);
  size_t room = kChunk;
  while (room > 0 && (!growth.pending.empty() || !growth.frontends.empty())) {
    if (growth.pending.empty()) {
      growth.pending = programmed_.elements(growth.id, growth.frontends.back());
      growth.frontends.pop_back();
      continue;
    }
    transaction_.add_element(growth.larger, programmed_.element(growth.pending.back()));
    growth.pending.pop_back();
    --room;
  }
  if (room > 0) finish_growth();
}

// From here on every rule names the larger set. The smaller one stays for packets on their way.
void Programmer::finish_growth() {
  outgrown_.push_back({programmed_.set(growth_->id), true, std::nullopt});
  rewrite_chains([this] { programmed_.state(growth_->id) = growth_->state; });
  sets_ = {};
  growth_.reset();
}

void Programmer::plan_parameters() {
  if (programmed_.parameters() == parameters_) return;
  rewrite_chains([this] { programmed_.set_parameters(parameters_); });
}

// One that has moved too.
bool Programmer::is_in_kernel(const nft::Chain& hook) const {
  const auto named = [&](const nft::Chain& other) { return other.name == hook.name; };
  return std::none_of(missing_hooks_.begin(), missing_hooks_.end(), named) ||
         std::any_of(moved_hooks_.begin(), moved_hooks_.end(), named);
}

void Programmer::rewrite_chains(const std::function<void()>& change) {
  std::vector<nft::Chain> chains = programmed_.chains();
  for (const nft::Chain& hook : programmed_.base_chains())
    if (is_in_kernel(hook)) chains.push_back(hook);
  std::vector<std::vector<std::string>> before;
  for (const nft::Chain& chain : chains) before.push_back(texts(programmed_.rules(chain)));
  change();
  for (size_t i = 0; i < chains.size(); ++i) {
    if (texts(programmed_.rules(chains[i])) == before[i]) continue;
    transaction_.flush(chains[i]);
    put_rules(chains[i]);
  }
}

// The other proxy's hooks end in the moment ours begin.
void Programmer::plan_hooks() {
  repairing_ = !moved_hooks_.empty();
  for (const nft::Chain& hook : std::exchange(moved_hooks_, {})) {
    transaction_.flush(hook);
    transaction_.remove(hook);
  }
  put_hooks();
  take_over_.put_unhook(transaction_);
  missing_hooks_.clear();
  unhooked_ = false;
}

void Programmer::plan_local_dns() {
  if (exempt_dns_) apply_and_put(diff_local_dns(programmed_, *exempt_dns_));
}

// One transaction each time. It comes before the frontends that have changed, which may never be
// none, but not into the midst of what is planned for them.
void Programmer::plan_cleanup() {
  if (queue_at_ != queue_.size()) return;
  cleanup_due_ = false;
  plan_outgrown();
  if (transaction_.empty()) plan_loose();
  // Until then elements of theirs go to these chains.
  if (transaction_.empty() && outgrown_.empty()) apply_and_put(long_unused_chains());
}

// A packet runs the rules that held when it entered a chain, but looks up what holds at that
// moment; and with a map its elements go, with a set they stay (nft_do_chain, nft_genmask_cur;
// nft_map_deactivate of nf_tables_api.c). Removed with its last rule, a map would be found empty by
// such a packet and the set of cluster IPs not: it would be refused. So it stays for a while.
void Programmer::plan_outgrown() {
  const MonoTime now = clock_.now();
  const auto due = [&](const Outgrown& one) { return one.seen && now - *one.seen >= kCleanup; };
  for (Outgrown& one : outgrown_) {
    if (!one.seen) one.seen = now;
    if (!due(one)) continue;
    // Removed one by one, elements tell their last count (service_counters.h).
    if (one.set.counter && one.ours) transaction_.flush(one.set);
    transaction_.remove(one.set);
  }
  std::erase_if(outgrown_, due);
}

// As many as may be in one transaction, for the kernel walks through its gotos once for each. What
// has changed meanwhile has its turn later.
void Programmer::plan_loose() {
  for (auto next = loose_.begin();
       next != loose_.end() && transaction_.operation_count() < kChunk;) {
    const auto frontend = next++;
    if (dirty_.contains(*frontend)) continue;
    std::vector<Operation> operations;
    fit(programmed_, *frontend, services_.find(*frontend), operations);
    apply_and_put(operations);
    loose_.erase(frontend);
  }
}

// A packet that is on its way through a chain when two transactions follow each other may meet what
// the second has made of it: so a chain stays until it has been found unused twice.
std::vector<Operation> Programmer::long_unused_chains() {
  std::map<Choice, uint64_t> left;
  std::vector<Operation> removals = unused_chains(programmed_);
  std::erase_if(removals, [&](const Operation& removal) {
    if (removal.kind != Kind::kRemoveChain) return false;
    const uint64_t used = programmed_.choice_chains().at(removal.choice).used;
    const auto before = left_.find(removal.choice);
    if (before != left_.end() && before->second == used) return false;
    left[removal.choice] = used;
    return true;
  });
  left_ = std::move(left);
  return removals;
}

void Programmer::put_structure() {
  transaction_.add(programmed_.table());
  for (const SetId id : programmed_.sets()) transaction_.add(programmed_.set(id));
  put_chains();
}

void Programmer::put_chains() {
  const std::vector<nft::Chain> chains = programmed_.chains();
  for (const nft::Chain& chain : chains) transaction_.add(chain);
  for (const nft::Chain& chain : chains) put_rules(chain);
}

void Programmer::put_rules(const nft::Chain& chain) {
  for (const nft::Rule& rule : programmed_.rules(chain)) transaction_.add(rule);
}

void Programmer::put_hooks() {
  for (const nft::Chain& hook : programmed_.base_chains()) {
    transaction_.add(hook);
    transaction_.flush(hook);
    put_rules(hook);
  }
}

void Programmer::apply_and_put(const std::vector<Operation>& operations) {
  for (const Operation& operation : operations) {
    programmed_.apply(operation);
    put(operation);
  }
}

// While no hook leads into the table the order is free, but for chains before the gotos to them:
// elements of one set side by side share a message.
void Programmer::put_by_set(std::span<const Operation> operations) {
  std::array<bool, std::size(kAllSets)> touched{};
  for (const Operation& operation : operations) {
    touched[static_cast<size_t>(operation.set)] = true;
    if (adds_object(operation)) put(operation);
  }
  for (const SetId id : kAllSets) {
    if (!touched[static_cast<size_t>(id)]) continue;
    auto at = operations.begin();
    const auto skip = [&] {
      while (at != operations.end() && (at->set != id || adds_object(*at))) ++at;
    };
    const auto next = [&](nft::Element& element) {
      skip();
      if (at == operations.end() || at->kind != Kind::kAdd) return false;
      Ruleset::element(*at++, element);
      return true;
    };
    for (skip(); at != operations.end() && !transaction_.error(); skip()) {
      transaction_.add_elements(set(id), next);
      if (at != operations.end() && at->kind != Kind::kAdd) put(*at++);
    }
  }
}

void Programmer::put(const Operation& operation) {
  switch (operation.kind) {
    case Kind::kAddChain: {
      const nft::Chain chain = programmed_.chain(operation.choice.name());
      transaction_.add(chain);
      return put_rules(chain);
    }
    case Kind::kRemoveChain: {
      const nft::Chain chain = programmed_.chain(operation.choice.name());
      transaction_.flush(chain);
      transaction_.remove(chain);
      return;
    }
    case Kind::kAddAffinity:
      return transaction_.add(programmed_.affinity_map(operation.choice.affinity));
    case Kind::kRemoveAffinity:
      return transaction_.remove(programmed_.affinity_map(operation.choice.affinity));
    case Kind::kAdd:
      return transaction_.add_element(set(operation.set), programmed_.element(operation));
    case Kind::kRemove:
      return transaction_.remove_element(set(operation.set), programmed_.element(operation));
    case Kind::kReplace:
      const nft::Element element = programmed_.element(operation);
      transaction_.remove_element(set(operation.set), element);
      return transaction_.add_element(set(operation.set), element);
  }
}

const nft::Set& Programmer::set(SetId id) {
  std::optional<nft::Set>& known = sets_[static_cast<size_t>(id)];
  if (!known) known = programmed_.set(id);
  return *known;
}

}  // namespace fairlead::proxy
