// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/naming.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <vector>

namespace fairlead::dns {
namespace {

// A name that a record gives to an address.
struct Naming {
  IpAddress address;
  ReverseName name;
  auto key() const { return std::tie(address, name.cluster_ip, name.label); }
  bool operator<(const Naming& other) const { return key() < other.key(); }
};

// `outside`: those that clients outside have, else those of the cluster.
template <typename Visit>
void for_each_naming(const ServiceRecord& record, bool outside, Visit&& visit) {
  for (const IpAddress& address : outside ? record.external_ips() : record.cluster_ips())
    visit(Naming{address, {&record.name(), true, {}}});
  if (outside) return;
  for (const EndpointRecord& endpoint : record.endpoints())
    visit(Naming{endpoint.address, {&record.name(), false, record.label_of(endpoint)}});
}

std::vector<Naming> namings_of(const ServiceRecord* record, bool outside) {
  std::vector<Naming> namings;
  if (record == nullptr) return namings;
  for_each_naming(*record, outside, [&](const Naming& naming) { namings.push_back(naming); });
  std::sort(namings.begin(), namings.end());
  const auto same = [](const Naming& a, const Naming& b) { return a.key() == b.key(); };
  namings.erase(std::unique(namings.begin(), namings.end(), same), namings.end());
  return namings;
}

std::vector<ReverseName> others_of(const ReverseRecord& record, const ReverseName& name) {
  std::vector<ReverseName> names;
  for (const ReverseName& other : record.names())
    if (other.service != name.service || other.cluster_ip != name.cluster_ip ||
        other.label != name.label)
      names.push_back(other);
  return names;
}

// Calls set(naming, present) for what is in one of them alone.
template <typename Set>
void for_changes(const std::vector<Naming>& before, const std::vector<Naming>& after, Set&& set) {
  std::vector<Naming> gone;
  std::vector<Naming> added;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(gone));
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(added));
  for (const Naming& naming : gone) set(naming, false);
  for (const Naming& naming : added) set(naming, true);
}

// Most addresses have one name, so that is put there without a look at what there is.
void add_name(Trie<ReverseRecord>& trie, const IpAddress& address, const ReverseName& name,
              Trash& trash) {
  ReverseRecord* const alone = ReverseRecord::make(address, {&name, 1});
  ReverseRecord* const before = trie.put(alone, AddressKey(address), trash);
  if (before == nullptr) return;
  trash.add(before, &ReverseRecord::destroy);
  std::vector<ReverseName> names = others_of(*before, name);
  const auto order = [](const ReverseName& n) {
    return std::tuple(!n.cluster_ip, n.service->ns(), n.service->name(), n.label);
  };
  names.insert(std::ranges::lower_bound(names, order(name), {}, order), name);
  trie.put(ReverseRecord::make(address, names), AddressKey(address), trash);
  ReverseRecord::destroy(alone);  // which nobody has seen
}

void remove_name(Trie<ReverseRecord>& trie, const IpAddress& address, const ReverseName& name,
                 Trash& trash) {
  const AddressKey key(address);
  const ReverseRecord* const known = trie.find(key);
  if (known == nullptr) return;
  const std::vector<ReverseName> names = others_of(*known, name);
  ReverseRecord* const before = names.empty()
                                    ? trie.remove(key, trash)
                                    : trie.put(ReverseRecord::make(address, names), key, trash);
  trash.add(before, &ReverseRecord::destroy);
}

}  // namespace

void name_addresses(Snapshot& next, const ServiceRecord* before, const ServiceRecord* after,
                    Trash& trash) {
  for (const bool outside : {false, true}) {
    Trie<ReverseRecord>& trie = outside ? next.external : next.reverse;
    const auto set = [&](const Naming& naming, bool present = true) {
      (present ? add_name : remove_name)(trie, naming.address, naming.name, trash);
    };
    if (before == nullptr && after != nullptr) {
      for_each_naming(*after, outside, set);
    } else {
      for_changes(namings_of(before, outside), namings_of(after, outside), set);
    }
  }
}

}  // namespace fairlead::dns
