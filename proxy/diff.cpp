// SPDX-License-Identifier: Apache-2.0
#include "proxy/diff.h"

#include <algorithm>
#include <iterator>
#include <numeric>

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

// One walk over both in order of place; `wanted` is sorted.
Match match(const std::vector<Backend>& slots, const std::vector<Backend>& wanted) {
  Match result{Pointers(slots.size()), {}};
  std::vector<uint32_t> order(slots.size());
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&](uint32_t a, uint32_t b) { return place_less(slots[a], slots[b]); };
  if (!std::is_sorted(order.begin(), order.end(), less))
    std::sort(order.begin(), order.end(), less);
  auto slot = order.begin();
  for (const Backend& backend : wanted) {
    while (slot != order.end() && place_less(slots[*slot], backend)) ++slot;
    const auto first = slot;
    for (; slot != order.end() && same_place(slots[*slot], backend); ++slot)
      result.kept[*slot] = &backend;
    if (slot == first) result.fresh.push_back(&backend);
  }
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

// The plan for one frontend, collected by phase; operations() puts the phases in order.
class Planner {
 public:
  Planner(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted)
      : programmed_(programmed), frontend_(frontend), wanted_(wanted) {
    if (const Ruleset::Service* service = programmed.find(frontend)) {
      old_ = service->backends.list();
      old_inside_ = service->inside.list();
      old_choice_ = service->choice;
      old_learn_ = service->learn;
      old_cluster_ip_ = service->cluster_ip;
    }
  }

  std::vector<Operation> operations() {
    plan_endpoints(old_, wanted_backends(), false);
    plan_endpoints(old_inside_, wanted_inside(), true);
    plan_hairpins();
    plan_service();
    plan_learning();
    std::vector<Operation> result = std::move(chains_);
    for (std::vector<Operation>* phase : {&before_, &service_, &after_}) {
      if (result.empty())
        result = std::move(*phase);
      else
        std::move(phase->begin(), phase->end(), std::back_inserter(result));
    }
    return result;
  }

 private:
  const std::vector<Backend>& wanted_backends() const {
    return wanted_ ? wanted_->backends : kNone;
  }
  const std::vector<Backend>& wanted_inside() const { return wanted_ ? wanted_->inside : kNone; }

  // Keeps every endpoint where it is, fills holes with new ones or with the last, appends the rest.
  void plan_endpoints(const std::vector<Backend>& old, const std::vector<Backend>& wanted,
                      bool inside) {
    const auto endpoint = [&](std::vector<Operation>& phase, Kind kind, size_t index,
                              const Backend& backend) {
      Operation& operation =
          phase.emplace_back(make(kind, endpoints_set(frontend_.node_port, inside)));
      operation.index = static_cast<uint32_t>(index);
      operation.backend = backend;
    };
    auto [slots, fresh] = match(old, wanted);
    auto next = fresh.begin();
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] != nullptr) {
        if (!(*slots[i] == old[i])) endpoint(before_, Kind::kReplace, i, *slots[i]);
        continue;
      }
      if (next != fresh.end()) {
        endpoint(before_, Kind::kReplace, i, **next++);
        continue;
      }
      while (slots.size() > i + 1 && slots.back() == nullptr) slots.pop_back();
      if (slots.size() > i + 1) endpoint(before_, Kind::kReplace, i, *slots.back());
      slots.pop_back();
    }
    size_t used = slots.size();
    before_.reserve(before_.size() + static_cast<size_t>(fresh.end() - next) + 2);
    for (; next != fresh.end(); ++next) endpoint(before_, Kind::kAdd, used++, **next);
    for (size_t i = old.size(); i-- > used;) endpoint(after_, Kind::kRemove, i, old[i]);
  }

  // Local endpoints of both sets; one that is in both is counted twice by the ruleset.
  void plan_hairpins() {
    const std::vector<Backend> all = local_ones(wanted_backends(), wanted_inside());
    const std::vector<Backend> old = local_ones(old_, old_inside_);
    const auto hairpin = [&](Kind kind, const Backend& backend) {
      Operation operation = make(kind, SetId::kHairpin);
      operation.backend = backend;
      return operation;
    };
    std::vector<Operation> adds;
    for (size_t i = 0; i < all.size(); ++i)
      if ((i == 0 || !same_place(all[i - 1], all[i])) &&
          !programmed_.has_hairpin(frontend_, all[i]))
        adds.push_back(hairpin(Kind::kAdd, all[i]));
    before_.insert(before_.begin(), adds.begin(), adds.end());
    for (size_t i = 0; i < old.size();) {
      const Backend& backend = old[i];
      uint32_t ours = 0;
      while (i < old.size() && same_place(old[i], backend)) ++i, ++ours;
      if (programmed_.hairpin_users(frontend_, backend) > ours ||
          std::binary_search(all.begin(), all.end(), backend, place_less))
        continue;
      if (programmed_.has_hairpin(frontend_, backend))
        after_.push_back(hairpin(Kind::kRemove, backend));
    }
  }

  void plan_service() {
    const SetId set = services_set(frontend_.node_port);
    if (!wanted_) {
      if (!old_choice_) return;
      Operation remove = make(Kind::kRemove, set);
      remove.choice = *old_choice_;
      remove.cluster_ip = old_cluster_ip_;
      service_.push_back(std::move(remove));
      if (old_cluster_ip_ && programmed_.cluster_ip_users(frontend_.address) == 1 &&
          programmed_.has_cluster_ip(frontend_.address))
        service_.push_back(make(Kind::kRemove, SetId::kClusterIps));
      return;
    }
    const Choice choice = wanted_->choice(frontend_.node_port);
    if (!old_choice_ || *old_choice_ != choice || old_cluster_ip_ != wanted_->cluster_ip) {
      Operation put = make(old_choice_ ? Kind::kReplace : Kind::kAdd, set);
      put.choice = choice;
      put.cluster_ip = wanted_->cluster_ip;
      service_.push_back(std::move(put));
    }
    if (wanted_->cluster_ip && !programmed_.has_cluster_ip(frontend_.address))
      service_.push_back(make(Kind::kAdd, SetId::kClusterIps));
    plan_chains(choice);
  }

  // Learnt before anything asks, forgotten after nothing asks any more.
  void plan_learning() {
    std::optional<Choice> learn;
    if (wanted_ && wanted_->affinity != 0)
      learn = wanted_->choice(frontend_.node_port).learn(wanted_->affinity_seconds);
    if (learn == old_learn_) return;
    const Kind kind = !learn ? Kind::kRemove : old_learn_ ? Kind::kReplace : Kind::kAdd;
    Operation put = make(kind, learn_set(frontend_.node_port));
    put.choice = learn ? *learn : *old_learn_;
    (learn ? service_ : after_).push_back(std::move(put));
    if (learn) plan_chains(*learn);
  }

  // What is gone to comes first.
  void plan_chains(const Choice& choice) {
    if (!choice.has_chain() || programmed_.choice_chains().contains(choice)) return;
    const auto planned = [&](Kind kind, const auto& same) {
      return std::any_of(chains_.begin(), chains_.end(), [&](const Operation& operation) {
        return operation.kind == kind && same(operation.choice);
      });
    };
    if (planned(Kind::kAddChain, [&](const Choice& other) { return other == choice; })) return;
    for (const Choice& needed : choice.needs()) plan_chains(needed);
    Operation add = make(Kind::kAddAffinity, services_set(choice.node_port));
    add.choice = choice;
    const auto same_map = [&](const Choice& other) { return other.affinity == choice.affinity; };
    if (choice.names_map() && !programmed_.affinities().contains(choice.affinity) &&
        !planned(Kind::kAddAffinity, same_map))
      chains_.push_back(add);
    add.kind = Kind::kAddChain;
    if (choice.guard != 0) add.ranges = wanted_->ranges;
    chains_.push_back(std::move(add));
  }

  Operation make(Kind kind, SetId set) const {
    Operation operation;
    operation.kind = kind;
    operation.set = set;
    operation.frontend = frontend_;
    return operation;
  }

  inline static const std::vector<Backend> kNone;

  const Ruleset& programmed_;
  const Frontend frontend_;
  const std::optional<Target>& wanted_;
  std::vector<Backend> old_;
  std::vector<Backend> old_inside_;
  std::optional<Choice> old_choice_;
  std::optional<Choice> old_learn_;
  bool old_cluster_ip_ = false;
  std::vector<Operation> chains_;   // and affinity maps that are missing
  std::vector<Operation> before_;   // fills what will be drawn
  std::vector<Operation> service_;  // changes what is drawn
  std::vector<Operation> after_;    // empties what is drawn no more
};

}  // namespace

std::vector<Operation> diff(const Ruleset& programmed, const Frontend& frontend,
                            const std::optional<Target>& wanted) {
  return Planner(programmed, frontend, wanted).operations();
}

std::vector<Operation> unused_chains(const Ruleset& programmed) {
  std::vector<Operation> result;
  for (const auto& [choice, state] : programmed.choice_chains()) {
    if (state.users != 0) continue;
    Operation remove;
    remove.kind = Kind::kRemoveChain;
    remove.choice = choice;
    result.push_back(std::move(remove));
  }
  for (const auto& [number, users] : programmed.affinities()) {
    if (users != 0) continue;
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

uint32_t peak_use(const Ruleset& programmed, SetId set, const std::vector<Operation>& operations) {
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
