// SPDX-License-Identifier: Apache-2.0
#include "proxy/adopt.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <set>

#include "proxy/element_reader.h"

namespace fairlead::proxy {

namespace {

std::optional<uint32_t> number_after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

bool same_shape(const nft::Set& a, const nft::Set& b) {
  return a.key == b.key && a.data == b.data && a.interval == b.interval && a.dynamic == b.dynamic &&
         a.has_timeout == b.has_timeout && a.counter == b.counter && a.size != 0;
}

template <typename T>
bool contains_name(const std::vector<T>& objects, const std::string& name) {
  return std::any_of(objects.begin(), objects.end(), [&](const T& o) { return o.name == name; });
}

// The same hook, as another version of this program had it, at another priority.
bool is_moved(const nft::Chain& ours, const nft::Chain& found) {
  if (!found.base) return false;
  nft::BaseChain there = *ours.base;
  there.priority = found.base->priority;
  return found.base == there;
}

}  // namespace

bool Repairs::empty() const {
  return !rebuild && wrong_elements.empty() && missing_sets.empty() && missing_chains.empty() &&
         changed_chains.empty() && missing_hooks.empty() && foreign_chains.empty() &&
         foreign_sets.empty() && leftovers.empty();
}

Adopter::Adopter(Config config, Parameters parameters, const ServiceMap& services,
                 nft::TableContent skeleton)
    : skeleton_(std::move(skeleton)), ruleset_(std::move(config), std::move(parameters)) {
  adopt_node_addresses();
  adopt_sets();
  adopt_choices(services);
  adopt_chains();
}

// As a process before this one knew them (rules.cpp), beside those found at an earlier reading: a
// restart while the Node cannot be asked for takes no node port away.
void Adopter::adopt_node_addresses() {
  Parameters parameters = ruleset_.parameters();
  if (parameters.node_known) return;
  const std::string after = "daddr ", before = " goto node_ports";
  for (const nft::Rule& rule : skeleton_.rules) {
    if (rule.chain != "prerouting") continue;
    const std::string text = nft::to_nft(rule);
    const size_t begin = text.find(after), end = text.find(before);
    if (begin == std::string::npos || end == std::string::npos) continue;
    const size_t from = begin + after.size();
    if (const auto address = IpAddress::parse(text.substr(from, end - from)); address.ok())
      parameters.node_addresses.push_back(*address);
  }
  std::vector<IpAddress>& all = parameters.node_addresses;
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  ruleset_.set_parameters(std::move(parameters));
}

void Adopter::adopt_sets() {
  const std::vector<SetId> ours = ruleset_.sets();
  ids_.assign(skeleton_.sets.size(), -1);
  for (const SetId id : ours) {
    // An interrupted growth leaves two generations: the one in use is the one rules name.
    int chosen = -1;
    uint32_t generation = 0;
    for (size_t i = 0; i < skeleton_.sets.size(); ++i) {
      const std::string& name = skeleton_.sets[i].name;
      const auto grown = number_after(name, std::string(base_name(id)) + "_");
      if (name != base_name(id) && !grown) continue;
      if (chosen >= 0 && !mentioned_in_rules(name)) continue;
      chosen = static_cast<int>(i);
      generation = grown.value_or(0);
    }
    if (chosen < 0) {
      repairs_.missing_sets.push_back(id);
      continue;
    }
    const nft::Set& found = skeleton_.sets[static_cast<size_t>(chosen)];
    if (!same_shape(found, ruleset_.set(id))) repairs_.rebuild = true;
    ids_[static_cast<size_t>(chosen)] = static_cast<int>(id);
    ruleset_.state(id).generation = generation;
    ruleset_.state(id).size = found.size;
  }
  for (size_t i = 0; i < ids_.size(); ++i) {
    const nft::Set& set = skeleton_.sets[i];
    const auto affinity = parse_affinity_map(set.name);
    if (affinity && same_shape(set, ruleset_.affinity_map(*affinity))) {
      Operation add;
      add.kind = Operation::Kind::kAddAffinity;
      add.choice.affinity = *affinity;
      ruleset_.apply(add);
    } else if (ids_[i] < 0) {
      (is_outgrown(set) ? repairs_.outgrown_sets : repairs_.foreign_sets).push_back(set);
    }
  }
}

// One that was to become the larger one, and never did, has a later number: it is nobody's.
bool Adopter::is_outgrown(const nft::Set& set) const {
  for (const SetId id : ruleset_.sets()) {
    const std::string base(base_name(id));
    const auto number =
        set.name == base ? std::optional<uint32_t>(0) : number_after(set.name, base + "_");
    if (number && *number < ruleset_.state(id).generation && !mentioned_in_rules(set.name))
      return true;
  }
  return false;
}

bool Adopter::mentioned_in_rules(const std::string& set) const {
  for (const nft::Rule& rule : skeleton_.rules)
    for (const nft::Expression& expression : rule.expressions)
      if (const auto* lookup = std::get_if<nft::Lookup>(&expression))
        if (lookup->set == set) return true;
  return false;
}

// The ranges of a guard that no service wants any more are not known; it will be removed once
// nothing goes there.
void Adopter::adopt_choices(const ServiceMap& services) {
  std::vector<Choice> choices;
  for (const nft::Chain& chain : skeleton_.chains)
    if (const auto choice = parse_choice(chain.name); choice && !chain.base)
      choices.push_back(*choice);
  // What is gone to before what goes.
  const auto depth = [](const Choice& choice) {
    return choice.guard != 0 ? 2 : choice.needs().empty() ? 0 : 1;
  };
  std::sort(choices.begin(), choices.end(),
            [&](const Choice& a, const Choice& b) { return depth(a) < depth(b); });
  for (const Choice& choice : choices) {
    Operation add;
    add.kind = Operation::Kind::kAddChain;
    add.choice = choice;
    add.ranges = services.ranges(choice.guard);
    ruleset_.apply(add);
  }
}

void Adopter::adopt_chains() {
  const std::vector<nft::Chain> hooks = ruleset_.base_chains();
  const std::vector<nft::Chain> chains = ruleset_.chains();
  for (const nft::Chain& chain : skeleton_.chains) {
    const auto hook = std::find_if(hooks.begin(), hooks.end(),
                                   [&](const nft::Chain& h) { return h.name == chain.name; });
    const bool known = hook != hooks.end() ? hook->base == chain.base
                                           : contains_name(chains, chain.name) && !chain.base;
    const bool named = hook != hooks.end() || contains_name(chains, chain.name);
    if (!named) {
      repairs_.foreign_chains.push_back(chain);
    } else if (!known && hook != hooks.end() && is_moved(*hook, chain)) {
      repairs_.moved_hooks.push_back(chain);
      repairs_.missing_hooks.push_back(*hook);
    } else if (!known) {
      repairs_.rebuild = true;
    }
  }
  for (const nft::Chain& chain : chains)
    if (!contains_name(skeleton_.chains, chain.name)) repairs_.missing_chains.push_back(chain);
  for (const nft::Chain& hook : hooks)
    if (!contains_name(skeleton_.chains, hook.name)) repairs_.missing_hooks.push_back(hook);
  if (!repairs_.moved_hooks.empty() && repairs_.missing_hooks.size() > repairs_.moved_hooks.size())
    repairs_.rebuild = true;
}

void Adopter::element(size_t set, const nft::Element& element) {
  if (ids_[set] < 0) return;
  if (!read_element(static_cast<SetId>(ids_[set]), element))
    repairs_.wrong_elements.emplace_back(skeleton_.sets[set], element);
}

// False: no element of ours looks like this.
bool Adopter::read_element(SetId id, const nft::Element& element) {
  switch (id) {
    case SetId::kServices:
    case SetId::kNodeServices:
      return read_service(id, element);
    case SetId::kEndpoints:
    case SetId::kInsideEndpoints:
    case SetId::kNodeEndpoints:
    case SetId::kNodeInsideEndpoints:
      return read_endpoint(id, element);
    case SetId::kClusterIps:
      return read_cluster_ip(element);
    case SetId::kHairpin:
      return read_hairpin(element);
    case SetId::kLocalDns:
      return read_local_dns(element);
    case SetId::kLearn:
    case SetId::kNodeLearn:
      return read_service(id, element);
  }
  return false;
}

bool Adopter::read_cluster_ip(const nft::Element& element) {
  ElementReader key(element.key);
  Operation add;
  add.set = SetId::kClusterIps;
  add.frontend = Frontend::vip(key.address(ruleset_.config().family), Protocol::kTcp, 0);
  if (!key.done()) return false;
  ruleset_.apply(add);
  return true;
}

bool Adopter::read_service(SetId id, const nft::Element& element) {
  const bool node_port = of_node_ports(id);
  ElementReader key(element.key);
  Frontend frontend = Frontend::vip(IpAddress::any(ruleset_.config().family), Protocol::kTcp, 0);
  frontend.node_port = node_port;
  if (!node_port) frontend.address = key.address(frontend.family());
  const auto protocol = key.protocol();
  frontend.port = key.port();
  const auto* verdict = std::get_if<nft::Verdict>(&element.data);
  if (!key.done() || !protocol || verdict == nullptr) return false;
  frontend.protocol = *protocol;
  Choice choice;
  if (verdict->kind == nft::Verdict::Kind::kDrop) {
    choice.treatment = Treatment::kDrop;
  } else if (verdict->kind != nft::Verdict::Kind::kGoto) {
    return false;
  } else if (verdict->chain != choice.name()) {
    const auto parsed = parse_choice(verdict->chain);
    const bool learns = parsed && (parsed->treatment == Treatment::kLearn ||
                                   parsed->treatment == Treatment::kSplit);
    if (!parsed || learns != holds_learning(id) || (!learns && parsed->node_port != node_port) ||
        !ruleset_.choice_chains().contains(*parsed))
      return false;
    choice = *parsed;
  }
  Operation add;
  add.set = id;
  add.frontend = frontend;
  add.choice = choice;
  services_.push_back(std::move(add));
  return true;
}

bool Adopter::read_endpoint(SetId id, const nft::Element& element) {
  const bool node_port = of_node_ports(id);
  const Family family = ruleset_.config().family;
  ElementReader key(element.key);
  Slot slot;
  slot.set = id;
  slot.frontend = Frontend::vip(IpAddress::any(family), Protocol::kTcp, 0);
  slot.frontend.node_port = node_port;
  if (!node_port) slot.frontend.address = key.address(family);
  const auto protocol = key.protocol();
  slot.frontend.port = key.port();
  slot.index = key.index();
  const auto* data = std::get_if<nft::Value>(&element.data);
  if (!key.done() || !protocol || data == nullptr) return false;
  slot.frontend.protocol = *protocol;
  ElementReader value(*data);
  slot.backend.address = value.address(family);
  slot.backend.port = value.port();
  if (!value.done()) return false;
  slots_.push_back(slot);
  return true;
}

bool Adopter::read_hairpin(const nft::Element& element) {
  const Family family = ruleset_.config().family;
  ElementReader key(element.key);
  const IpAddress source = key.address(family);
  Operation add;
  add.set = SetId::kHairpin;
  add.backend.address = key.address(family);
  const auto protocol = key.protocol();
  add.backend.port = key.port();
  add.backend.local = true;
  if (!key.done() || !protocol || source != add.backend.address) return false;
  add.frontend = Frontend::vip(source, *protocol, add.backend.port);
  ruleset_.apply(add);
  return true;
}

bool Adopter::read_local_dns(const nft::Element& element) {
  ElementReader key(element.key);
  const IpAddress address = key.address(ruleset_.config().family);
  const auto protocol = key.protocol();
  const uint16_t port = key.port();
  const std::vector<IpAddress>& ours = ruleset_.config().local_dns;
  if (!key.done() || !protocol || port != 53 || *protocol == Protocol::kSctp) return false;
  if (std::find(ours.begin(), ours.end(), address) == ours.end()) return false;
  Operation add;
  add.set = SetId::kLocalDns;
  add.frontend = Frontend::vip(address, *protocol, port);
  ruleset_.apply(add);
  return true;
}

std::pair<Ruleset, Repairs> Adopter::finish() {
  finish_endpoints();
  finish_services();
  Parameters parameters = ruleset_.parameters();
  parameters.stray_vips = ruleset_.has_stray_vips();
  ruleset_.set_parameters(std::move(parameters));
  compare_rules();
  return {std::move(ruleset_), std::move(repairs_)};
}

// Indexes count from 0 without gaps; what stands behind a gap is no use to anyone.
void Adopter::finish_endpoints() {
  std::sort(slots_.begin(), slots_.end());
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    Operation add;
    add.set = slot.set;
    add.frontend = slot.frontend;
    add.index = slot.index;
    add.backend = slot.backend;
    const Ruleset::Service* service = ruleset_.find(slot.frontend);
    const size_t next = service == nullptr    ? 0
                        : is_inside(slot.set) ? service->inside.size()
                                              : service->backends.size();
    if (slot.index != next) {
      repairs_.wrong_elements.emplace_back(ruleset_.set(add.set), ruleset_.element(add));
      continue;
    }
    add.backend.local = ruleset_.has_hairpin(slot.frontend, slot.backend);
    ruleset_.apply(add);
  }
  slots_.clear();
  slots_.shrink_to_fit();
}

void Adopter::finish_services() {
  for (Operation& add : services_) {
    add.cluster_ip = add.set == SetId::kServices && ruleset_.has_cluster_ip(add.frontend.address);
    ruleset_.apply(add);
  }
  services_.clear();
  for (Operation& operation : ruleset_.elements(SetId::kClusterIps)) {
    if (ruleset_.cluster_ip_users(operation.frontend.address) > 0) continue;
    operation.kind = Operation::Kind::kRemove;
    repairs_.leftovers.push_back(operation);
  }
  for (Operation& operation : ruleset_.elements(SetId::kHairpin)) {
    if (ruleset_.hairpin_users(operation.frontend, operation.backend) > 0) continue;
    operation.kind = Operation::Kind::kRemove;
    repairs_.leftovers.push_back(operation);
  }
}

void Adopter::compare_rules() {
  std::map<std::string, std::vector<std::string>> found;
  for (const nft::Rule& rule : skeleton_.rules) found[rule.chain].push_back(nft::to_nft(rule));
  std::vector<nft::Chain> chains = ruleset_.chains();
  for (const nft::Chain& hook : ruleset_.base_chains()) chains.push_back(hook);
  for (const nft::Chain& chain : chains) {
    if (!contains_name(skeleton_.chains, chain.name)) continue;
    if (const auto choice = parse_choice(chain.name))
      if (choice->guard != 0 && !ruleset_.choice_chains().at(*choice).ranges) continue;
    std::vector<std::string> wanted;
    for (const nft::Rule& rule : ruleset_.rules(chain)) wanted.push_back(nft::to_nft(rule));
    if (wanted != found[chain.name]) repairs_.changed_chains.push_back(chain);
  }
}

}  // namespace fairlead::proxy
