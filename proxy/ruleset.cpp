// SPDX-License-Identifier: Apache-2.0
#include "proxy/ruleset.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "proxy/rules.h"

namespace fairlead::proxy {

namespace {

struct SetFacts {
  const char* name;
  uint32_t smallest;  // size without knowing better
};

SetFacts facts(SetId id) {
  switch (id) {
    case SetId::kServices:
      return {"svc", 1024};
    case SetId::kEndpoints:
      return {"ep", 4096};
    case SetId::kInsideEndpoints:
      return {"inside_ep", 256};
    case SetId::kNodeServices:
      return {"node_svc", 256};
    case SetId::kNodeEndpoints:
      return {"node_ep", 1024};
    case SetId::kNodeInsideEndpoints:
      return {"node_inside_ep", 256};
    case SetId::kClusterIps:
      return {"vips", 1024};
    case SetId::kHairpin:
      return {"hairpin", 512};
    case SetId::kLocalDns:
      return {"local_dns", 16};
    case SetId::kLearn:
      return {"learn", 64};
    case SetId::kNodeLearn:
      return {"node_learn", 64};
  }
  return {"", 0};
}

}  // namespace

const char* base_name(SetId id) {
  return facts(id).name;
}

bool holds_services(SetId id) {
  return id == SetId::kServices || id == SetId::kNodeServices;
}
bool is_inside(SetId id) {
  return id == SetId::kInsideEndpoints || id == SetId::kNodeInsideEndpoints;
}
bool holds_endpoints(SetId id) {
  return id == SetId::kEndpoints || id == SetId::kNodeEndpoints || is_inside(id);
}
bool holds_learning(SetId id) {
  return id == SetId::kLearn || id == SetId::kNodeLearn;
}
SetId learn_set(bool node_port) {
  return node_port ? SetId::kNodeLearn : SetId::kLearn;
}
bool of_node_ports(SetId id) {
  return id == SetId::kNodeLearn || id == SetId::kNodeServices || id == SetId::kNodeEndpoints ||
         id == SetId::kNodeInsideEndpoints;
}
SetId services_set(bool node_port) {
  return node_port ? SetId::kNodeServices : SetId::kServices;
}
SetId endpoints_set(bool node_port, bool inside) {
  if (node_port) return inside ? SetId::kNodeInsideEndpoints : SetId::kNodeEndpoints;
  return inside ? SetId::kInsideEndpoints : SetId::kEndpoints;
}

Ruleset::Ruleset(Config config, Parameters parameters)
    : config_(std::move(config)), parameters_(std::move(parameters)), sets_(std::size(kAllSets)) {
  for (const SetId id : kAllSets) state(id).size = facts(id).smallest;
}

bool Ruleset::is_stray(const IpAddress& address) const {
  const std::vector<Cidr>& cidrs = parameters_.service_cidrs;
  return std::none_of(cidrs.begin(), cidrs.end(),
                      [&](const Cidr& cidr) { return cidr.contains(address); });
}

void Ruleset::set_parameters(Parameters parameters) {
  const bool same = parameters.service_cidrs == parameters_.service_cidrs;
  parameters_ = std::move(parameters);
  if (same) return;
  stray_vips_ = static_cast<size_t>(
      std::count_if(cluster_ips_.begin(), cluster_ips_.end(),
                    [&](const auto& one) { return one.second.programmed && is_stray(one.first); }));
}

const Ruleset::Service* Ruleset::find(const Frontend& frontend) const {
  const auto found = services_.find(frontend);
  return found == services_.end() ? nullptr : &found->second;
}

bool Ruleset::has_cluster_ip(const IpAddress& address) const {
  const auto found = cluster_ips_.find(address);
  return found != cluster_ips_.end() && found->second.programmed;
}

uint32_t Ruleset::cluster_ip_users(const IpAddress& address) const {
  const auto found = cluster_ips_.find(address);
  return found == cluster_ips_.end() ? 0 : found->second.users;
}

bool Ruleset::has_hairpin(const Frontend& protocol_of, const Backend& backend) const {
  const auto found = hairpins_.find(hairpin_key(protocol_of, backend));
  return found != hairpins_.end() && found->second.programmed;
}

uint32_t Ruleset::hairpin_users(const Frontend& protocol_of, const Backend& backend) const {
  const auto found = hairpins_.find(hairpin_key(protocol_of, backend));
  return found == hairpins_.end() ? 0 : found->second.users;
}

bool Ruleset::has_local_dns(const Frontend& frontend) const {
  return local_dns_.contains(frontend);
}

void Ruleset::apply(std::span<const Operation> operations) {
  if (operations.empty()) return;
  const Frontend& frontend = operations.front().frontend;
  const auto [place, added] = services_.try_emplace(frontend);
  Service& service = place->second;
  if (added) service.backends = service.inside = Backends(frontend.family());
  while (!operations.empty()) {
    assert(operations.front().frontend == place->first);
    size_t done = append_endpoints(operations, service);
    if (done == 0) apply(operations.front(), service), done = 1;
    operations = operations.subspan(done);
  }
  if (service.unused()) services_.erase(place);
}

// Those the list begins with that come behind the last of their set, as all do in a cold load, at
// once. Returns how many there are.
size_t Ruleset::append_endpoints(std::span<const Operation> operations, Service& service) {
  const SetId set = operations.front().set;
  if (!holds_endpoints(set)) return 0;
  Backends& backends = is_inside(set) ? service.inside : service.backends;
  const size_t first = backends.size();
  size_t count = 0;
  while (count < operations.size() && operations[count].kind == Operation::Kind::kAdd &&
         operations[count].set == set && operations[count].index == first + count)
    ++count;
  backends.extend(count);
  for (size_t i = 0; i < count; ++i) {
    backends.set(first + i, operations[i].backend);
    count_hairpin(operations[i].frontend, operations[i].backend, 1);
  }
  state(set).used += static_cast<uint32_t>(count);
  return count;
}

void Ruleset::apply(const Operation& operation, Service& service) {
  using Kind = Operation::Kind;
  switch (operation.kind) {
    case Kind::kAddChain:
    case Kind::kRemoveChain:
      return apply_chain(operation);
    case Kind::kAddAffinity:
      return count_affinity(operation.choice.affinity, 0);
    case Kind::kRemoveAffinity:
      affinities_.erase(operation.choice.affinity);
      unused_affinities_.erase(operation.choice.affinity);
      return;
    case Kind::kAdd:
      ++state(operation.set).used;
      break;
    case Kind::kRemove:
      --state(operation.set).used;
      break;
    case Kind::kReplace:
      break;
  }
  const bool present = operation.kind != Kind::kRemove;
  switch (operation.set) {
    case SetId::kServices:
    case SetId::kNodeServices:
      return apply_service(operation, service);
    case SetId::kEndpoints:
    case SetId::kInsideEndpoints:
    case SetId::kNodeEndpoints:
    case SetId::kNodeInsideEndpoints:
      return apply_endpoint(operation, service);
    case SetId::kClusterIps: {
      const auto place = cluster_ips_.try_emplace(operation.frontend.address).first;
      if (std::exchange(place->second.programmed, present) != present &&
          is_stray(operation.frontend.address))
        stray_vips_ += present ? 1 : -1;
      if (!present && place->second.users == 0) cluster_ips_.erase(place);
      return;
    }
    case SetId::kHairpin: {
      const Frontend key = hairpin_key(operation.frontend, operation.backend);
      const auto place = hairpins_.try_emplace(key).first;
      place->second.programmed = present;
      if (!present && place->second.users == 0) hairpins_.erase(place);
      return;
    }
    case SetId::kLearn:
    case SetId::kNodeLearn:
      return apply_learning(operation, service);
    case SetId::kLocalDns:
      if (present)
        local_dns_.insert(operation.frontend);
      else
        local_dns_.erase(operation.frontend);
      return;
  }
}

// A chain names the map of its affinity, except one that only goes on to another.
void Ruleset::apply_chain(const Operation& operation) {
  const Choice& choice = operation.choice;
  const bool add = operation.kind == Operation::Kind::kAddChain;
  if (add && !choice_chains_.try_emplace(choice, ChainState{.ranges = operation.ranges}).second)
    return;
  if (add) {
    unused_choices_.insert(choice);
  } else {
    choice_chains_.erase(choice);
    unused_choices_.erase(choice);
  }
  const int delta = add ? 1 : -1;
  for (const Choice& needed : choice.needs()) count_choice(needed, delta);
  if (choice.names_map()) count_affinity(choice.affinity, delta);
}

void Ruleset::apply_learning(const Operation& operation, Service& service) {
  if (service.learn) count_choice(*service.learn, -1);
  service.learn.reset();
  if (operation.kind != Operation::Kind::kRemove) {
    service.learn = operation.choice;
    count_choice(operation.choice, 1);
  }
}

void Ruleset::apply_service(const Operation& operation, Service& service) {
  const Frontend& frontend = operation.frontend;
  if (service.choice) count_choice(*service.choice, -1);
  if (service.cluster_ip) {
    const auto vip = cluster_ips_.find(frontend.address);
    if (--vip->second.users == 0 && !vip->second.programmed) cluster_ips_.erase(vip);
  }
  if (operation.kind == Operation::Kind::kRemove) {
    service.choice.reset();
    service.cluster_ip = false;
    return;
  }
  service.choice = operation.choice;
  service.cluster_ip = operation.cluster_ip;
  count_choice(operation.choice, 1);
  if (service.cluster_ip) ++cluster_ips_[frontend.address].users;
}

void Ruleset::apply_endpoint(const Operation& operation, Service& service) {
  const Frontend& frontend = operation.frontend;
  Backends& backends = is_inside(operation.set) ? service.inside : service.backends;
  assert(operation.index < backends.size() && "none is added but behind the last");
  count_hairpin(frontend, backends.at(operation.index), -1);
  if (operation.kind == Operation::Kind::kRemove) {
    assert(operation.index + 1 == backends.size());
    backends.pop_back();
    return;
  }
  backends.set(operation.index, operation.backend);
  count_hairpin(frontend, operation.backend, 1);
}

void Ruleset::count_hairpin(const Frontend& frontend, const Backend& backend, int delta) {
  if (!backend.local) return;
  const auto place = hairpins_.try_emplace(hairpin_key(frontend, backend)).first;
  place->second.users += static_cast<uint32_t>(delta);
  if (place->second.users == 0 && !place->second.programmed) hairpins_.erase(place);
}

void Ruleset::count_choice(const Choice& choice, int delta) {
  if (!choice.has_chain()) return;
  ChainState& state = choice_chains_[choice];
  state.users += static_cast<uint32_t>(delta);
  if (delta > 0) ++state.used;
  if (state.users == 0)
    unused_choices_.insert(choice);
  else
    unused_choices_.erase(choice);
}

void Ruleset::count_affinity(uint64_t number, int delta) {
  uint32_t& users = affinities_[number];
  users += static_cast<uint32_t>(delta);
  if (users == 0)
    unused_affinities_.insert(number);
  else
    unused_affinities_.erase(number);
}

nft::Table Ruleset::table() const {
  nft::Table table;
  table.family = nft::table_family(config_.family);
  table.name = kTableName;
  return table;
}

std::vector<SetId> Ruleset::sets() const {
  std::vector<SetId> result(std::begin(kAllSets), std::end(kAllSets));
  if (config_.local_dns.empty()) std::erase(result, SetId::kLocalDns);
  return result;
}

nft::Set Ruleset::set(SetId id) const {
  const Family family = config_.family;
  const nft::Field address = nft::ip_daddr(family);
  const nft::Field protocol = nft::meta_l4proto();
  const nft::Field port = nft::th_dport();
  const nft::Field index = nft::numgen_random(2);  // the 2 only names the type

  nft::Set set;
  set.family = nft::table_family(family);
  set.table = kTableName;
  set.name = facts(id).name;
  if (state(id).generation > 0) set.name += "_" + std::to_string(state(id).generation);
  set.size = state(id).size;
  set.counter = holds_services(id);
  // A verdict has no source to name, and a map names the sources of both sides or of none.
  switch (id) {
    case SetId::kServices:
    case SetId::kLearn:
      set.key = {nft::address_type(family), nft::DataType::kInetProto, nft::DataType::kInetService};
      set.data = {nft::DataType::kVerdict};
      break;
    case SetId::kEndpoints:
    case SetId::kInsideEndpoints:
      set.key = {address, protocol, port, index};
      set.data = {address, port};
      break;
    case SetId::kNodeServices:
    case SetId::kNodeLearn:
      set.key = {nft::DataType::kInetProto, nft::DataType::kInetService};
      set.data = {nft::DataType::kVerdict};
      break;
    case SetId::kNodeEndpoints:
    case SetId::kNodeInsideEndpoints:
      set.key = {protocol, port, index};
      set.data = {address, port};
      break;
    case SetId::kClusterIps:
      set.key = {address};
      break;
    case SetId::kHairpin:
      set.key = {nft::ip_saddr(family), address, protocol, port};
      break;
    case SetId::kLocalDns:
      set.key = {address, protocol, port};
      break;
  }
  return set;
}

nft::Set Ruleset::affinity_map(uint64_t number) const {
  nft::Set set;
  set.family = nft::table_family(config_.family);
  set.table = kTableName;
  set.name = affinity_map_name(number);
  // The protocol is always the same; with it nft knows that the data's port is one.
  set.key = {nft::ip_saddr(config_.family), nft::meta_l4proto()};
  set.data = {nft::ip_daddr(config_.family), nft::th_dport()};
  set.size = kAffinitySize;
  set.dynamic = true;
  set.has_timeout = true;
  return set;
}

nft::Chain Ruleset::chain(const std::string& name) const {
  nft::Chain chain;
  chain.family = nft::table_family(config_.family);
  chain.table = kTableName;
  chain.name = name;
  return chain;
}

std::vector<nft::Chain> Ruleset::chains() const {
  std::vector<nft::Chain> result;
  for (const std::string& name : rules::fixed_chains()) result.push_back(chain(name));
  for (const auto& [choice, state] : choice_chains_) result.push_back(chain(choice.name()));
  return result;
}

std::vector<nft::Chain> Ruleset::base_chains() const {
  std::vector<nft::Chain> result;
  for (const auto& [name, base] : rules::hooks(*this)) {
    result.push_back(chain(name));
    result.back().base = base;
  }
  return result;
}

std::vector<nft::Rule> Ruleset::rules(const nft::Chain& chain) const {
  if (const auto choice = parse_choice(chain.name)) return rules::of_choice(*this, *choice);
  return rules::of_fixed(*this, chain.name);
}

nft::Element Ruleset::element(const Operation& operation) const {
  nft::Element result;
  element(operation, result);
  return result;
}

void Ruleset::element(const Operation& operation, nft::Element& element) {
  const Frontend& frontend = operation.frontend;
  const uint8_t protocol = protocol_number(frontend.protocol);
  nft::Value& key = element.key;
  key.clear();
  if (!holds_endpoints(operation.set)) element.data = std::monostate();
  switch (operation.set) {
    case SetId::kServices:
    case SetId::kNodeServices:
    case SetId::kLearn:
    case SetId::kNodeLearn:
      if (!frontend.node_port) key.concat(frontend.address);
      key.concat_u8(protocol).concat_be16(frontend.port);
      element.data = operation.choice.treatment == Treatment::kDrop
                         ? nft::Verdict::drop()
                         : nft::Verdict::go_to(operation.choice.name());
      break;
    case SetId::kEndpoints:
    case SetId::kInsideEndpoints:
    case SetId::kNodeEndpoints:
    case SetId::kNodeInsideEndpoints:
      if (!frontend.node_port) key.concat(frontend.address);
      key.concat_u8(protocol).concat_be16(frontend.port).concat_host32(operation.index);
      if (!std::holds_alternative<nft::Value>(element.data)) element.data.emplace<nft::Value>();
      std::get<nft::Value>(element.data).clear();
      std::get<nft::Value>(element.data)
          .concat(operation.backend.address)
          .concat_be16(operation.backend.port);
      break;
    case SetId::kClusterIps:
      key = nft::Value::of(frontend.address);
      break;
    case SetId::kHairpin:
      key.concat(operation.backend.address).concat(operation.backend.address);
      key.concat_u8(protocol).concat_be16(operation.backend.port);
      break;
    case SetId::kLocalDns:
      key.concat(frontend.address).concat_u8(protocol).concat_be16(frontend.port);
      break;
  }
}

namespace {

Operation added(SetId set, const Frontend& frontend) {
  Operation operation;
  operation.set = set;
  operation.frontend = frontend;
  return operation;
}

}  // namespace

std::vector<Operation> Ruleset::elements(SetId id, const Frontend& frontend) const {
  const auto found = services_.find(frontend);
  if (found == services_.end() || frontend.node_port != of_node_ports(id)) return {};
  const Service& service = found->second;
  std::vector<Operation> result;
  if (holds_services(id) && service.choice) {
    result.push_back(added(id, frontend));
    result.back().choice = *service.choice;
    result.back().cluster_ip = service.cluster_ip;
  }
  if (holds_learning(id) && service.learn) {
    result.push_back(added(id, frontend));
    result.back().choice = *service.learn;
  }
  if (!holds_endpoints(id)) return result;
  const Backends& backends = is_inside(id) ? service.inside : service.backends;
  for (uint32_t i = 0; i < backends.size(); ++i) {
    result.push_back(added(id, frontend));
    result.back().index = i;
    result.back().backend = backends.at(i);
  }
  return result;
}

std::vector<Operation> Ruleset::elements(SetId id) const {
  std::vector<Operation> result;
  if (holds_services(id) || holds_endpoints(id) || holds_learning(id)) {
    for (const auto& [frontend, service] : services_) {
      const std::vector<Operation> of_frontend = elements(id, frontend);
      result.insert(result.end(), of_frontend.begin(), of_frontend.end());
    }
  } else if (id == SetId::kClusterIps) {
    for (const auto& [address, vip] : cluster_ips_)
      if (vip.programmed) result.push_back(added(id, Frontend::vip(address, Protocol::kTcp, 0)));
  } else if (id == SetId::kHairpin) {
    for (const auto& [key, hairpin] : hairpins_) {
      if (!hairpin.programmed) continue;
      result.push_back(added(id, key));
      result.back().backend = {key.address, key.port, true};
    }
  } else {
    for (const Frontend& frontend : local_dns_) result.push_back(added(id, frontend));
  }
  return result;
}

nft::TableContent Ruleset::content() const {
  nft::TableContent content;
  content.table = table();
  for (const SetId id : sets()) {
    content.sets.push_back(set(id));
    std::vector<nft::Element>& list = content.elements.emplace_back();
    for (const Operation& operation : elements(id)) list.push_back(element(operation));
    std::sort(list.begin(), list.end(),
              [](const nft::Element& a, const nft::Element& b) { return a.key < b.key; });
    if (!holds_services(id)) continue;
    for (nft::Element& one : list) one.counter = nft::Counter{};
  }
  for (const auto& [number, users] : affinities_) {
    content.sets.push_back(affinity_map(number));
    content.elements.emplace_back();
  }
  content.chains = chains();
  for (nft::Chain& base : base_chains()) content.chains.push_back(std::move(base));
  for (const nft::Chain& chain : content.chains)
    for (nft::Rule& rule : rules(chain)) content.rules.push_back(std::move(rule));
  return content;
}

}  // namespace fairlead::proxy
