// SPDX-License-Identifier: Apache-2.0
// The planning half of Programmer: which transaction comes next.
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <iterator>

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
constexpr size_t kBytes = 96;

using Pointers = std::vector<const Operation*>;

// While no hook leads into the table the order is free, but for chains before the gotos to them:
// elements of one set side by side share a message.
Pointers grouped_by_set(const Operation* first, const Operation* last) {
  Pointers objects;
  std::array<Pointers, std::size(kAllSets)> of_sets;
  for (const Operation* operation = first; operation != last; ++operation) {
    const bool object = operation->kind == Kind::kAddChain || operation->kind == Kind::kAddAffinity;
    (object ? objects : of_sets[static_cast<size_t>(operation->set)]).push_back(operation);
  }
  for (const Pointers& of_set : of_sets)
    objects.insert(objects.end(), of_set.begin(), of_set.end());
  return objects;
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
    if (!node_port) at_least(SetId::kClusterIps, counts.frontends);
  }
  at_least(SetId::kHairpin, services_.count_local_endpoints(config_.family));
  programmed_.reserve(totals.addresses.frontends, totals.node_ports.frontends);
}

void Programmer::plan_table() {
  programmed_ = Ruleset(config_, parameters_);
  size_sets();
  put_structure();
  table_exists_ = true;
  hooks_missing_ = true;
  unhooked_ = true;
}

// One transaction, however long it holds the commit lock: between the old table and the new one no
// packet may find none.
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
    std::vector<Operation> some = diff(programmed_, frontend, services_.find(frontend));
    programmed_.apply(some);
    std::move(some.begin(), some.end(), std::back_inserter(operations));
  }
  for (const Operation* operation :
       grouped_by_set(operations.data(), operations.data() + operations.size()))
    put(*operation);
  put_hooks();
  take_over();
  plan_local_dns();
  for (const auto& [frontend, since] : std::exchange(dirty_, {}))
    in_flight_frontends_.emplace_back(frontend, since);
  table_exists_ = true;
  hooks_missing_ = false;
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

void Programmer::plan_frontends() {
  if (queue_at_ == queue_.size()) {
    queue_.clear();
    queue_at_ = 0;
    while (!dirty_.empty() && queue_.size() < kChunk) {
      const auto next = dirty_.begin();
      std::vector<Operation> operations =
          diff(programmed_, next->first, services_.find(next->first));
      if (const auto lacking = lacks_room(operations)) {
        if (!queue_.empty()) break;
        begin_growth(lacking->first, lacking->second);
        return plan_growth();
      }
      programmed_.apply(operations);
      std::move(operations.begin(), operations.end(), std::back_inserter(queue_));
      in_flight_frontends_.emplace_back(next->first, next->second);
      dirty_.erase(next);
    }
  }
  plan_queue();
  if (transaction_.empty() && !in_flight_frontends_.empty()) {
    const Acknowledged done = std::exchange(in_flight_frontends_, {});
    if (on_acknowledged_) on_acknowledged_(done);
  }
}

void Programmer::plan_queue() {
  // A short rest goes along.
  const size_t left = queue_.size() - queue_at_;
  const size_t end = queue_at_ + (left <= kChunk * 5 / 4 ? left : kChunk);
  transaction_.reserve((end - queue_at_) * kBytes);
  const Operation* first = queue_.data() + queue_at_;
  const Operation* last = queue_.data() + end;
  if (unhooked_)
    for (const Operation* operation : grouped_by_set(first, last)) put(*operation);
  else
    std::for_each(first, last, [this](const Operation& operation) { put(operation); });
  queue_at_ = end;
  if (queue_at_ == queue_.size() && queue_.capacity() > kChunk) {
    queue_ = {};
    queue_at_ = 0;
  }
}

std::optional<std::pair<SetId, uint32_t>> Programmer::lacks_room(
    const std::vector<Operation>& operations) const {
  std::array<bool, std::size(kAllSets)> touched{};
  for (const Operation& operation : operations) touched[static_cast<size_t>(operation.set)] = true;
  for (const SetId id : kAllSets) {
    if (!touched[static_cast<size_t>(id)]) continue;
    const uint32_t peak = peak_use(programmed_, id, operations);
    if (peak > programmed_.state(id).used && too_full(programmed_, id, peak)) return {{id, peak}};
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

// From here on every rule names the larger set.
void Programmer::finish_growth() {
  const nft::Set smaller = programmed_.set(growth_->id);
  rewrite_chains([this] { programmed_.state(growth_->id) = growth_->state; });
  // Removed one by one, elements tell their last count (service_counters.h).
  if (smaller.counter) transaction_.flush(smaller);
  transaction_.remove(smaller);
  sets_.clear();
  growth_.reset();
}

void Programmer::plan_parameters() {
  if (programmed_.parameters() == parameters_) return;
  rewrite_chains([this] { programmed_.set_parameters(parameters_); });
}

void Programmer::rewrite_chains(const std::function<void()>& change) {
  std::vector<nft::Chain> chains = programmed_.chains();
  for (const nft::Chain& hook : programmed_.base_chains())
    if (!hooks_missing_) chains.push_back(hook);
  std::vector<std::vector<std::string>> before;
  for (const nft::Chain& chain : chains) before.push_back(texts(programmed_.rules(chain)));
  change();
  for (size_t i = 0; i < chains.size(); ++i) {
    if (texts(programmed_.rules(chains[i])) == before[i]) continue;
    transaction_.flush(chains[i]);
    put_rules(chains[i]);
  }
}

void Programmer::plan_hooks() {
  put_hooks();
  take_over();
  hooks_missing_ = false;
  unhooked_ = false;
}

// The other proxy's hooks end in the moment ours begin.
void Programmer::take_over() {
  take_over_due_ = false;
  for (const std::string& name : config_.take_over_from) {
    nft::Table table = programmed_.table();
    table.name = name;
    table.comment.clear();
    transaction_.destroy(table);
  }
}

void Programmer::plan_local_dns() {
  if (exempt_dns_) apply_and_put(diff_local_dns(programmed_, *exempt_dns_));
}

void Programmer::plan_cleanup() {
  cleanup_due_ = false;
  apply_and_put(unused_chains(programmed_));
}

void Programmer::put_structure() {
  transaction_.add(programmed_.table());
  for (const SetId id : programmed_.sets()) transaction_.add(programmed_.set(id));
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
  const auto found = sets_.find(id);
  return found != sets_.end() ? found->second
                              : sets_.emplace(id, programmed_.set(id)).first->second;
}

Result<void> remove_tables(netlink::Connection& connection, Duration limit) {
  nft::Transaction transaction;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    Config config;
    config.family = family;
    transaction.destroy(Ruleset(config).table());
  }
  return nft::commit_sync(connection, std::move(transaction), limit);
}

}  // namespace fairlead::proxy
