// SPDX-License-Identifier: Apache-2.0
#include "proxy/diff.h"

#include <algorithm>
#include <iterator>

namespace fairlead::proxy {

namespace {

using Kind = Operation::Kind;

bool place_less(const Backend& a, const Backend& b) {
  return a.address != b.address ? a.address < b.address : a.port < b.port;
}
bool same_place(const Backend& a, const Backend& b) {
  return a.address == b.address && a.port == b.port;
}

using Pointers = std::vector<const Backend*>;

// Which wanted backend each slot already has, null for none, and the wanted ones without a slot.
struct Match {
  Pointers kept;
  Pointers fresh;
};

// `wanted` is sorted. Slots are mostly in the same order, so that the next slot is most likely the
// next wanted one.
Match match(const std::vector<Backend>& slots, const std::vector<Backend>& wanted) {
  Match result;
  result.kept.reserve(slots.size());
  std::vector<bool> taken(wanted.size());
  auto next = wanted.begin();
  for (const Backend& slot : slots) {
    if (next == wanted.end() || !same_place(*next, slot))
      next = std::lower_bound(wanted.begin(), wanted.end(), slot, place_less);
    const bool found = next != wanted.end() && same_place(*next, slot);
    result.kept.push_back(found ? &*next : nullptr);
    if (found) taken[static_cast<size_t>(next++ - wanted.begin())] = true;
  }
  for (size_t i = 0; i < wanted.size(); ++i)
    if (!taken[i]) result.fresh.push_back(&wanted[i]);
  return result;
}

// The backends on this node in both lists, sorted by place.
std::vector<Backend> local_ones(const std::vector<Backend>& a, const std::vector<Backend>& b) {
  std::vector<Backend> result;
  const auto local = [](const Backend& backend) { return backend.local; };
  std::copy_if(a.begin(), a.end(), std::back_inserter(result), local);
  std::copy_if(b.begin(), b.end(), std::back_inserter(result), local);
  std::sort(result.begin(), result.end(), place_less);
  return result;
}

// Whether `target`'s packets may go where they go now, though its own chain is another.
bool will_do(const Choice& now, const Choice& own, const Target& target) {
  Choice like_own = now;
  like_own.choices = own.choices;
  like_own.inside = own.inside;
  return like_own == own && choices_will_do(now.choices, target.backends.size()) &&
         choices_will_do(now.inside, target.inside.size());
}

// Plans one frontend, phase by phase, and appends what is to be done.
class Planner {
 public:
  Planner(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted,
          std::vector<Operation>& plan)
      : programmed_(programmed),
        frontend_(frontend),
        wanted_(wanted),
        plan_(plan),
        first_(plan.size()) {
    if (const Ruleset::Service* service = programmed.find(frontend)) {
      old_ = service->backends.list();
      old_inside_ = service->inside.list();
      old_choice_ = service->choice;
      old_learn_ = service->learn;
      old_cluster_ip_ = service->cluster_ip;
    }
    if (!wanted) return;
    choice_ = wanted->choice(frontend.node_port);
    if (wanted->affinity != 0) learn_ = choice_->learn(wanted->affinity_seconds);
  }

  // Stays with the chain it has, if that will do.
  void stay() {
    if (choice_ && old_choice_ && will_do(*old_choice_, *choice_, *wanted_)) choice_ = old_choice_;
  }

  void plan() {
    if (choice_) plan_chains(*choice_);
    if (learn_) plan_chains(*learn_);
    // Fills what will be drawn.
    const std::vector<Backend> locals = local_ones(wanted_backends(), wanted_inside());
    add_hairpins(locals);
    plan_endpoints(old_, wanted_backends(), false);
    plan_endpoints(old_inside_, wanted_inside(), true);
    remove_hairpins(locals);
    // Changes what is drawn.
    plan_service();
    plan_learning();
    std::move(after_.begin(), after_.end(), std::back_inserter(plan_));
  }

 private:
  const std::vector<Backend>& wanted_backends() const {
    return wanted_ ? wanted_->backends : kNone;
  }
  const std::vector<Backend>& wanted_inside() const { return wanted_ ? wanted_->inside : kNone; }

  void put_endpoint(std::vector<Operation>& phase, Kind kind, bool inside, size_t index,
                    const Backend& backend) {
    Operation& operation = put(phase, kind, endpoints_set(frontend_.node_port, inside));
    operation.index = static_cast<uint32_t>(index);
    operation.backend = backend;
  }

  // Keeps every endpoint where it is, fills holes with new ones or with the last, appends the rest.
  void plan_endpoints(const std::vector<Backend>& old, const std::vector<Backend>& wanted,
                      bool inside) {
    if (old.empty()) {  // nothing to match, as in every cold load
      for (size_t i = 0; i < wanted.size(); ++i)
        put_endpoint(plan_, Kind::kAdd, inside, i, wanted[i]);
      return;
    }
    auto [slots, fresh] = match(old, wanted);
    auto next = fresh.begin();
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] != nullptr) {
        if (!(*slots[i] == old[i])) put_endpoint(plan_, Kind::kReplace, inside, i, *slots[i]);
        continue;
      }
      if (next != fresh.end()) {
        put_endpoint(plan_, Kind::kReplace, inside, i, **next++);
        continue;
      }
      while (slots.size() > i + 1 && slots.back() == nullptr) slots.pop_back();
      if (slots.size() > i + 1) put_endpoint(plan_, Kind::kReplace, inside, i, *slots.back());
      slots.pop_back();
    }
    size_t used = slots.size();
    for (; next != fresh.end(); ++next) put_endpoint(plan_, Kind::kAdd, inside, used++, **next);
    for (size_t i = old.size(); i-- > used;) put_endpoint(after_, Kind::kRemove, inside, i, old[i]);
  }

  // Local endpoints of both sets; one that is in both is counted twice by the ruleset.
  void add_hairpins(const std::vector<Backend>& locals) {
    for (size_t i = 0; i < locals.size(); ++i)
      if ((i == 0 || !same_place(locals[i - 1], locals[i])) &&
          !programmed_.has_hairpin(frontend_, locals[i]))
        put(plan_, Kind::kAdd, SetId::kHairpin).backend = locals[i];
  }

  void remove_hairpins(const std::vector<Backend>& locals) {
    const std::vector<Backend> old = local_ones(old_, old_inside_);
    for (size_t i = 0; i < old.size();) {
      const Backend& backend = old[i];
      uint32_t ours = 0;
      while (i < old.size() && same_place(old[i], backend)) ++i, ++ours;
      if (programmed_.hairpin_users(frontend_, backend) > ours ||
          std::binary_search(locals.begin(), locals.end(), backend, place_less))
        continue;
      if (programmed_.has_hairpin(frontend_, backend))
        put(after_, Kind::kRemove, SetId::kHairpin).backend = backend;
    }
  }

  void plan_service() {
    const SetId set = services_set(frontend_.node_port);
    if (!wanted_) {
      if (!old_choice_) return;
      Operation& remove = put(plan_, Kind::kRemove, set);
      remove.choice = *old_choice_;
      remove.cluster_ip = old_cluster_ip_;
      return give_up_cluster_ip();
    }
    if (old_choice_ != choice_ || old_cluster_ip_ != wanted_->cluster_ip) {
      Operation& change = put(plan_, old_choice_ ? Kind::kReplace : Kind::kAdd, set);
      change.choice = *choice_;
      change.cluster_ip = wanted_->cluster_ip;
    }
    if (!wanted_->cluster_ip) give_up_cluster_ip();
    if (wanted_->cluster_ip && !programmed_.has_cluster_ip(frontend_.address))
      put(plan_, Kind::kAdd, SetId::kClusterIps);
  }

  // With the last who has it as one.
  void give_up_cluster_ip() {
    if (old_cluster_ip_ && programmed_.cluster_ip_users(frontend_.address) == 1 &&
        programmed_.has_cluster_ip(frontend_.address))
      put(plan_, Kind::kRemove, SetId::kClusterIps);
  }

  // Learnt before anything asks, forgotten after nothing asks any more.
  void plan_learning() {
    if (learn_ == old_learn_) return;
    const Kind kind = !learn_ ? Kind::kRemove : old_learn_ ? Kind::kReplace : Kind::kAdd;
    put(learn_ ? plan_ : after_, kind, learn_set(frontend_.node_port)).choice =
        learn_ ? *learn_ : *old_learn_;
  }

  // What is gone to comes first.
  void plan_chains(const Choice& choice) {
    if (!choice.has_chain() || programmed_.choice_chains().contains(choice)) return;
    const auto planned = [&](Kind kind, const auto& same) {
      return std::any_of(plan_.begin() + static_cast<std::ptrdiff_t>(first_), plan_.end(),
                         [&](const Operation& operation) {
                           return operation.kind == kind && same(operation.choice);
                         });
    };
    if (planned(Kind::kAddChain, [&](const Choice& other) { return other == choice; })) return;
    for (const Choice& needed : choice.needs()) plan_chains(needed);
    const SetId set = services_set(choice.node_port);
    const auto same_map = [&](const Choice& other) { return other.affinity == choice.affinity; };
    if (choice.names_map() && !programmed_.affinities().contains(choice.affinity) &&
        !planned(Kind::kAddAffinity, same_map))
      put(plan_, Kind::kAddAffinity, set).choice = choice;
    Operation& add = put(plan_, Kind::kAddChain, set);
    add.choice = choice;
    if (choice.guard != 0) add.ranges = wanted_->ranges;
  }

  // Good until the next call.
  Operation& put(std::vector<Operation>& phase, Kind kind, SetId set) const {
    Operation& operation = phase.emplace_back();
    operation.kind = kind;
    operation.set = set;
    operation.frontend = frontend_;
    return operation;
  }

  inline static const std::vector<Backend> kNone;

  const Ruleset& programmed_;
  const Frontend& frontend_;
  const std::optional<Target>& wanted_;
  std::vector<Operation>& plan_;
  const size_t first_;  // of this frontend's in plan_
  std::optional<Choice> choice_;
  std::optional<Choice> learn_;
  std::vector<Backend> old_;
  std::vector<Backend> old_inside_;
  std::optional<Choice> old_choice_;
  std::optional<Choice> old_learn_;
  bool old_cluster_ip_ = false;
  std::vector<Operation> after_;  // empties what is drawn no more
};

}  // namespace

std::vector<Operation> diff(const Ruleset& programmed, const Frontend& frontend,
                            const std::optional<Target>& wanted) {
  std::vector<Operation> plan;
  diff(programmed, frontend, wanted, plan);
  return plan;
}

void diff(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted,
          std::vector<Operation>& plan) {
  Planner planner(programmed, frontend, wanted, plan);
  planner.stay();
  planner.plan();
}

void fit(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted,
         std::vector<Operation>& plan) {
  Planner(programmed, frontend, wanted, plan).plan();
}

bool is_loose(const Ruleset& programmed, const Frontend& frontend,
              const std::optional<Target>& wanted) {
  const Ruleset::Service* service = programmed.find(frontend);
  return service != nullptr && service->choice && wanted &&
         *service->choice != wanted->choice(frontend.node_port);
}

std::vector<Operation> unused_chains(const Ruleset& programmed) {
  std::vector<Operation> result;
  for (const Choice& choice : programmed.unused_choices()) {
    Operation remove;
    remove.kind = Kind::kRemoveChain;
    remove.choice = choice;
    result.push_back(std::move(remove));
  }
  for (const uint64_t number : programmed.unused_affinities()) {
    Operation remove;
    remove.kind = Kind::kRemoveAffinity;
    remove.choice.affinity = number;
    result.push_back(std::move(remove));
  }
  return result;
}

std::vector<Operation> diff_local_dns(const Ruleset& programmed, bool exempt) {
  std::vector<Operation> result;
  for (const IpAddress& address : programmed.config().local_dns) {
    for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp}) {
      Operation operation;
      operation.kind = exempt ? Kind::kAdd : Kind::kRemove;
      operation.set = SetId::kLocalDns;
      operation.frontend = Frontend::vip(address, protocol, 53);
      if (programmed.has_local_dns(operation.frontend) != exempt) result.push_back(operation);
    }
  }
  return result;
}

uint32_t peak_use(const Ruleset& programmed, SetId set, std::span<const Operation> operations) {
  uint32_t use = programmed.state(set).used;
  uint32_t peak = use;
  for (const Operation& operation : operations) {
    if (operation.set != set) continue;
    if (operation.kind == Kind::kAdd) peak = std::max(peak, ++use);
    if (operation.kind == Kind::kRemove) --use;
  }
  return peak;
}

bool too_full(const Ruleset& programmed, SetId set, uint32_t use) {
  const uint64_t size = programmed.state(set).size;
  return set != SetId::kLocalDns && uint64_t{use} * 4 > size * 3;
}

uint32_t size_for(const Ruleset& programmed, SetId set, size_t elements) {
  uint64_t size = programmed.state(set).size;
  while (uint64_t{elements} * 4 > size * 3) size *= 2;
  return static_cast<uint32_t>(std::min<uint64_t>(size, 1u << 28));
}

}  // namespace fairlead::proxy
