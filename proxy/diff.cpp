// SPDX-License-Identifier: Apache-2.0
#include "proxy/diff.h"

#include <algorithm>

namespace fairlead::proxy {

namespace {

using Kind = Operation::Kind;

bool place_less(const Backend& a, const Backend& b) {
  return a.address != b.address ? a.address < b.address : a.port < b.port;
}
bool same_place(const Backend& a, const Backend& b) {
  return a.address == b.address && a.port == b.port;
}

// The plan for one frontend, collected by phase; operations() puts the phases in order.
class Planner {
 public:
  Planner(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted)
      : programmed_(programmed), frontend_(frontend), wanted_(wanted) {
    if (const Ruleset::Service* service = programmed.find(frontend)) {
      old_ = service->backends.list();
      old_choices_ = service->choices;
      old_cluster_ip_ = service->cluster_ip;
    }
  }

  std::vector<Operation> operations() {
    static const std::vector<Backend> kNone;
    const std::vector<Backend>& backends = wanted_ ? wanted_->backends : kNone;
    plan_endpoints(backends);
    plan_hairpins(backends);
    plan_service(backends.size());
    std::vector<Operation> result;
    for (const auto* phase : {&before_, &service_, &after_})
      result.insert(result.end(), phase->begin(), phase->end());
    return result;
  }

 private:
  // Keeps every endpoint where it is, fills holes with new ones or with the last, appends the rest.
  void plan_endpoints(const std::vector<Backend>& wanted) {
    const auto find_wanted = [&](const Backend& backend) -> const Backend* {
      const auto it = std::lower_bound(wanted.begin(), wanted.end(), backend, place_less);
      return it != wanted.end() && same_place(*it, backend) ? &*it : nullptr;
    };
    std::vector<Backend> slots = old_;
    std::vector<Backend> sorted = old_;
    std::sort(sorted.begin(), sorted.end(), place_less);
    std::vector<Backend> fresh;
    std::set_difference(wanted.begin(), wanted.end(), sorted.begin(), sorted.end(),
                        std::back_inserter(fresh), place_less);
    auto next = fresh.begin();
    for (size_t i = 0; i < slots.size(); ++i) {
      if (const Backend* same = find_wanted(slots[i])) {
        if (!(*same == slots[i])) endpoint(before_, Kind::kReplace, i, *same);
        continue;
      }
      if (next != fresh.end()) {
        endpoint(before_, Kind::kReplace, i, *next++);
        continue;
      }
      while (slots.size() > i + 1 && find_wanted(slots.back()) == nullptr) slots.pop_back();
      if (slots.size() > i + 1) endpoint(before_, Kind::kReplace, i, *find_wanted(slots.back()));
      slots.pop_back();
    }
    for (; next != fresh.end(); ++next) {
      endpoint(before_, Kind::kAdd, slots.size(), *next);
      slots.push_back(*next);
    }
    for (size_t i = old_.size(); i-- > slots.size();) endpoint(after_, Kind::kRemove, i, old_[i]);
  }

  void plan_hairpins(const std::vector<Backend>& wanted) {
    std::vector<Operation> adds;
    for (const Backend& backend : wanted)
      if (backend.local && !programmed_.has_hairpin(frontend_, backend))
        adds.push_back(make(Kind::kAdd, SetId::kHairpin, 0, backend));
    before_.insert(before_.begin(), adds.begin(), adds.end());
    for (const Backend& backend : old_) {
      if (!backend.local || programmed_.hairpin_users(frontend_, backend) > 1) continue;
      const auto it = std::lower_bound(wanted.begin(), wanted.end(), backend, place_less);
      if (it != wanted.end() && same_place(*it, backend) && it->local) continue;
      if (programmed_.has_hairpin(frontend_, backend))
        after_.push_back(make(Kind::kRemove, SetId::kHairpin, 0, backend));
    }
  }

  void plan_service(size_t endpoints) {
    const SetId set = frontend_.node_port ? SetId::kNodeServices : SetId::kServices;
    if (!wanted_) {
      if (!old_choices_) return;
      Operation remove = make(Kind::kRemove, set, *old_choices_, {});
      remove.cluster_ip = old_cluster_ip_;
      service_.push_back(remove);
      if (old_cluster_ip_ && programmed_.cluster_ip_users(frontend_.address) == 1 &&
          programmed_.has_cluster_ip(frontend_.address))
        service_.push_back(make(Kind::kRemove, SetId::kClusterIps, 0, {}));
      return;
    }
    const uint32_t choices = choices_for(endpoints);
    if (choices != 0 && !programmed_.choice_chains().contains({frontend_.node_port, choices}))
      before_.insert(before_.begin(), make(Kind::kAddChain, set, choices, {}));
    if (!old_choices_ || *old_choices_ != choices || old_cluster_ip_ != wanted_->cluster_ip) {
      Operation put = make(old_choices_ ? Kind::kReplace : Kind::kAdd, set, choices, {});
      put.cluster_ip = wanted_->cluster_ip;
      service_.push_back(put);
    }
    if (wanted_->cluster_ip && !programmed_.has_cluster_ip(frontend_.address))
      service_.push_back(make(Kind::kAdd, SetId::kClusterIps, 0, {}));
  }

  void endpoint(std::vector<Operation>& phase, Kind kind, size_t index, const Backend& backend) {
    phase.push_back(make(kind, frontend_.node_port ? SetId::kNodeEndpoints : SetId::kEndpoints,
                         static_cast<uint32_t>(index), backend));
  }
  Operation make(Kind kind, SetId set, uint32_t number, const Backend& backend) const {
    return {kind, set, frontend_, number, false, backend};
  }

  const Ruleset& programmed_;
  const Frontend frontend_;
  const std::optional<Target>& wanted_;
  std::vector<Backend> old_;
  std::optional<uint32_t> old_choices_;
  bool old_cluster_ip_ = false;
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
  for (const auto& [choice, users] : programmed.choice_chains()) {
    if (users != 0) continue;
    Operation remove;
    remove.kind = Kind::kRemoveChain;
    remove.frontend =
        choice.first ? Frontend::node(programmed.config().family, Protocol::kTcp, 0) : Frontend();
    remove.number = choice.second;
    result.push_back(remove);
  }
  return result;
}

std::vector<Operation> diff_local_dns(const Ruleset& programmed, bool exempt) {
  std::vector<Operation> result;
  for (const IpAddress& address : programmed.config().local_dns) {
    for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp}) {
      const Frontend frontend = Frontend::vip(address, protocol, 53);
      if (programmed.has_local_dns(frontend) == exempt) continue;
      result.push_back(
          {exempt ? Kind::kAdd : Kind::kRemove, SetId::kLocalDns, frontend, 0, false, {}});
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
