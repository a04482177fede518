// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/zone.h"

#include <algorithm>
#include <optional>

#include "dns/zone/naming.h"
#include "dns/zone/taken.h"

namespace fairlead::dns {
namespace {

PortList ports_of(const kube::EndpointSlice& slice) {
  std::vector<PortDraft> ports;
  for (const kube::EndpointPort& port : slice.ports)
    if (port.name.size() <= kMaxLabelSize)
      ports.push_back({lower(port.name), port.protocol, port.port});
  return PortList(std::move(ports));
}

// Which service it belongs to, and the cluster of an imported one: a label, else it is left out.
struct SliceOwner {
  kube::ObjectKey service;
  std::string cluster;
  bool valid = false;
};
SliceOwner owner_named_by(const kube::EndpointSlice& slice, bool imports) {
  SliceOwner owner{{slice.meta.ns, slice.service_name}, {}, false};
  if (imports) {
    const auto label = [&](const char* name) {
      const auto at = slice.meta.labels.find(name);
      return at == slice.meta.labels.end() ? std::string() : at->second;
    };
    owner.service.name = label(kube::kImportNameLabel);
    owner.cluster = lower(label(kube::kSourceClusterLabel));
  }
  owner.valid =
      !slice.fqdn && is_label(owner.service.name) && is_label(owner.service.ns) &&
      (!imports || (is_label(owner.cluster) && owner.cluster.find('.') == std::string::npos));
  return owner;
}

}  // namespace

Zone::Zone(ZoneContent content) : content_(std::move(content)), clients_(content_.clients) {
  published_.current.store(new Snapshot(next_));
}

Zone::~Zone() {
  for (auto& [epoch, items] : retired_)
    for (const Trash::Item& item : items) item.destroy(item.object);
  for (const Trash::Item& item : trash_.items) item.destroy(item.object);
  // Leaves are reachable in next_ alone: what it no longer has went to the trash.
  next_.services.for_each(
      [](const ServiceRecord& leaf) { ServiceRecord::destroy(const_cast<ServiceRecord*>(&leaf)); });
  for (auto* keys : {&next_.namespaces, &next_.pods}) {
    keys->for_each(
        [](const KeyRecord& leaf) { KeyRecord::destroy(const_cast<KeyRecord*>(&leaf)); });
    keys->destroy_nodes();
  }
  for (auto* names : {&next_.reverse, &next_.external}) {
    names->for_each([](const ReverseRecord& leaf) {
      ReverseRecord::destroy(const_cast<ReverseRecord*>(&leaf));
    });
    names->destroy_nodes();
  }
  next_.clients.for_each(
      [](const ClientRecord& leaf) { ClientRecord::destroy(const_cast<ClientRecord*>(&leaf)); });
  next_.clients.destroy_nodes();
  next_.services.destroy_nodes();
  delete published_.current.load();
}

Zone::Named& Zone::entry(const kube::ObjectKey& key) {
  const auto at = entries_.lower_bound(key);
  if (at != entries_.end() && key_of(at->first) == key_of(key)) return *at;
  return *entries_.try_emplace(at, ServiceName::make(key.name, key.ns));
}

void Zone::touch(Named& named) {
  if (std::exchange(named.second.dirty, true)) return;
  dirty_.push_back(&named);
}

void Zone::put(const kube::Service& service) {
  if (!is_label(service.meta.name) || !is_label(service.meta.ns)) return;
  Named& target = entry(service.meta.key());
  target.second.known = true;
  target.second.draft.reset(ServiceRecord::make(*target.first, draft_of(service)));
  if (target.second.draft->kind() != ServiceKind::kHeadless) held_.erase(target.first.get());
  touch(target);
}

Zone::EndpointName Zone::name_of(const EndpointDraft& endpoint) const {
  return {endpoint.label, content_.imports ? endpoint.topology : std::string(),
          endpoint.address.family()};
}

// Leaves of `before`, and of what is held, what the slice has in no state at all, neither the
// address nor the name: a pod that is made anew is ready only later.
void Zone::keep_gone(const ServiceName& name, const kube::EndpointSlice& slice,
                     const std::string& cluster, std::vector<EndpointDraft>& before) {
  const auto held = held_.find(&name);
  if (before.empty() && held == held_.end()) return;
  std::vector<IpAddress> present;
  std::set<EndpointName> followed;
  const std::string topology = content_.imports ? namespace_key(cluster) : std::string();
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    present.insert(present.end(), endpoint.addresses.begin(), endpoint.addresses.end());
    if (const std::string* label = label_of(endpoint, content_.pod_names))
      for (const IpAddress& address : endpoint.addresses)
        followed.insert(name_of({*label, topology, address, {}}));
  }
  std::ranges::sort(present);
  const auto seen = [&](const EndpointDraft& endpoint) {
    return std::ranges::binary_search(present, endpoint.address) ||
           followed.contains(name_of(endpoint));
  };
  std::erase_if(before, seen);
  if (held == held_.end()) return;
  std::erase_if(held->second, [&](const Held& each) { return seen(each.endpoint); });
  if (held->second.empty()) held_.erase(held);
}

void Zone::put(const kube::ServiceImport& import) {
  kube::Service service;
  service.meta = import.meta;
  service.headless = import.headless;
  if (!import.headless) service.cluster_ips = import.ips;
  service.ports = import.ports;
  put(service);
}

// `cluster`: of an imported one.
void Zone::put_ready(const kube::Endpoint& endpoint, const std::string& cluster,
                     SliceContent& kept) {
  const std::string topology = content_.imports    ? namespace_key(cluster)
                               : content_.topology ? topology_labels(endpoint.zone)
                                                   : std::string();
  if ((content_.topology || content_.imports) &&
      (kept.topologies.empty() || kept.topologies.back().second != topology))
    kept.topologies.emplace_back(static_cast<uint32_t>(kept.addresses.size()), topology);
  for (const IpAddress& address : endpoint.addresses) {
    const auto index = static_cast<uint32_t>(kept.addresses.size());
    char dashed[64];
    if (const std::string* label = label_of(endpoint, content_.pod_names))
      kept.labels.emplace_back(index, *label);
    else if (content_.imports)  // two clusters may have the same address
      kept.labels.emplace_back(index, std::string(dashed, write_dashed(address, dashed)));
    kept.addresses.push_back(address);
  }
}

void Zone::put(const kube::EndpointSlice& slice) {
  const kube::ObjectKey key = slice.meta.key();
  const SliceOwner owner = owner_named_by(slice, content_.imports);
  const Slice* const old = slices_.find(key.ns, key.name);
  const Named* const from = old != nullptr ? &owner_of(*old) : nullptr;
  std::vector<EndpointDraft> before = drop_slice(key);
  if (!owner.valid) return;
  Named& target = entry(owner.service);
  SliceContent kept;
  kept.ports = ports_of(slice);
  unpack_restored(target);
  keep_gone(*target.first, slice, owner.cluster, before);
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    if (!endpoint.ready && content_.hold > Duration::zero())
      kept.unready.insert(kept.unready.end(), endpoint.addresses.begin(), endpoint.addresses.end());
    if (endpoint.ready) put_ready(endpoint, owner.cluster, kept);
  }
  add_slice(target, key.name, kept);
  if (from == &target) hold(target, std::move(before));
  touch(target);
}

void Zone::add_slice(Named& named, std::string_view name, const SliceContent& content) {
  Slice::Ptr slice = Slice::make(*named.first, name, content);
  slices_.insert(*slice);
  named.second.slices.add(std::move(slice));
}

bool Zone::restore(const kube::ObjectKey& key, ServiceDraft&& draft) {
  const auto is_wrong = [](const EndpointDraft& e) {
    return !e.label.empty() && !is_label(e.label);
  };
  if (!is_label(key.name) || !is_label(key.ns) ||
      std::any_of(draft.endpoints.begin(), draft.endpoints.end(), is_wrong))
    return false;
  // Files are in order, so the end is where it belongs.
  const auto at = entries_.empty() || key_of(entries_.rbegin()->first) < key_of(key)
                      ? entries_.try_emplace(entries_.end(), ServiceName::make(key.name, key.ns))
                      : entries_.find(entry(key).first);
  Named& target = *at;
  if (target.second.known) return false;
  target.second.known = true;
  if (draft.kind == ServiceKind::kExternalName) draft.endpoints = {};
  if (!is_hidden(*target.first)) {
    target.second.restored = next_changed_ = true;
    replace_record(target, ServiceRecord::make(*target.first, std::move(draft)));
    if (!target.second.slices.empty()) touch(target);
    return true;
  }
  add_restored_slices(target, draft.endpoints);
  draft.endpoints = {};
  target.second.draft.reset(ServiceRecord::make(*target.first, std::move(draft)));
  touch(target);
  return true;
}

// Before something happens to a restored service: until then its record is all there is of it.
void Zone::unpack_restored(Named& named) {
  if (std::exchange(named.second.restored, false))
    add_restored_slices(named, named.second.record->endpoint_drafts());
}

// One for each list of ports.
void Zone::add_restored_slices(Named& target, const std::vector<EndpointDraft>& endpoints) {
  std::map<PortList, SliceContent, PortList::ByIdentity> slices;
  for (const EndpointDraft& endpoint : endpoints) {
    SliceContent& slice = slices[endpoint.ports];
    const auto index = static_cast<uint32_t>(slice.addresses.size());
    if (content_.topology &&
        (slice.topologies.empty() || slice.topologies.back().second != endpoint.topology))
      slice.topologies.emplace_back(index, endpoint.topology);
    if (!endpoint.label.empty()) slice.labels.emplace_back(index, endpoint.label);
    slice.addresses.push_back(endpoint.address);
  }
  // No name of Kubernetes has a slash.
  const std::string prefix = "/" + std::string(target.first->name()) + "/";
  size_t number = 0;
  for (auto& [ports, slice] : slices) {
    slice.ports = ports;
    add_slice(target, prefix + std::to_string(number++), slice);
  }
}

void Zone::put(const kube::Namespace& ns) {
  if (!is_label(ns.meta.name)) return;
  set_namespace(ns.meta.name, true, 0);
}

void Zone::put(const kube::Pod& pod) {
  if (!is_label(pod.meta.ns)) return;
  const bool ended = pod.phase == "Succeeded" || pod.phase == "Failed";
  set_pod(pod.meta.key(), pod.meta.labels, ended ? std::vector<IpAddress>() : pod.pod_ips);
}

void Zone::remove_service(const kube::ObjectKey& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end() || !at->second.known) return;
  at->second.known = false;
  at->second.draft.reset();
  held_.erase(at->first.get());
  touch(*at);
}

// Returns what it had, where such things are held.
std::vector<EndpointDraft> Zone::drop_slice(const kube::ObjectKey& key) {
  std::vector<EndpointDraft> had;
  Slice* const found = slices_.find(key.ns, key.name);
  if (found == nullptr) return had;
  Named& owner = owner_of(*found);
  slices_.erase(*found);
  const Slice::Ptr slice = owner.second.slices.remove(*found);
  if (content_.hold > Duration::zero() && owner.second.is_headless()) slice->content().add_to(had);
  touch(owner);
  return had;
}

void Zone::remove_slice(const kube::ObjectKey& key) {
  const Slice* const found = slices_.find(key.ns, key.name);
  if (found == nullptr) return;
  const Named& owner = owner_of(*found);
  // What a restored one had went while nobody looked.
  const bool restored = key.name.starts_with('/');
  std::vector<EndpointDraft> gone = drop_slice(key);
  if (!restored) hold(owner, std::move(gone));
}

// What another slice has, too, has not gone.
void Zone::hold(const Named& named, std::vector<EndpointDraft> gone) {
  if (gone.empty()) return;
  std::set<IpAddress> elsewhere;
  // Names that other pods have got are theirs; of imports, those of the same cluster.
  std::set<EndpointName> followed;
  named.second.slices.for_each([&](const Slice& slice) {
    const SliceContent content = slice.content();
    std::vector<EndpointDraft> endpoints;
    content.add_to(endpoints);
    elsewhere.insert(content.unready.begin(), content.unready.end());
    for (const EndpointDraft& endpoint : endpoints) {
      elsewhere.insert(endpoint.address);
      if (!endpoint.label.empty()) followed.insert(name_of(endpoint));
    }
  });
  for (EndpointDraft& endpoint : gone) {
    if (elsewhere.contains(endpoint.address) || followed.contains(name_of(endpoint))) continue;
    const MonoTime until = now_ + content_.hold;
    held_[named.first.get()].push_back({std::move(endpoint), until});
    const kube::ObjectKey key{std::string(named.first->ns()), std::string(named.first->name())};
    if (holding_.empty() || holding_.back() != std::pair(until, key))
      holding_.emplace_back(until, key);
  }
}

void Zone::set_time(MonoTime now) {
  now_ = now;
  while (!holding_.empty() && holding_.front().first <= now) {
    const auto at = entries_.find(holding_.front().second);
    holding_.pop_front();
    if (at == entries_.end()) continue;
    const auto held = held_.find(at->first.get());
    if (held == held_.end()) continue;
    if (std::erase_if(held->second, [&](const Held& each) { return each.until <= now; }) > 0)
      touch(*at);
    if (held->second.empty()) held_.erase(held);
  }
}

std::optional<MonoTime> Zone::due() const {
  return holding_.empty() ? std::nullopt : std::optional(holding_.front().first);
}

void Zone::remove_namespace(const kube::ObjectKey& key) {
  const auto at = namespaces_.find(key.name);
  if (at != namespaces_.end() && at->second.first) set_namespace(key.name, false, 0);
}

void Zone::remove_pod(const kube::ObjectKey& key) {
  set_pod(key, {}, {});
}

void Zone::retain_pods(const std::set<kube::ObjectKey>& keys) {
  std::vector<kube::ObjectKey> gone;
  for (const auto& [key, addresses] : pods_)
    if (!keys.contains(key)) gone.push_back(key);
  for (const auto& key : gone) remove_pod(key);
}

void Zone::retain_services(const std::set<kube::ObjectKey>& keys) {
  for (const auto& [name, entry] : entries_) {
    if (!entry.known) continue;
    const kube::ObjectKey key{std::string(name->ns()), std::string(name->name())};
    if (!keys.contains(key)) remove_service(key);
  }
}

void Zone::retain_slices(const std::set<kube::ObjectKey>& keys) {
  std::vector<kube::ObjectKey> gone;
  for (const Slice* slice : slices_.all()) {
    kube::ObjectKey key{std::string(slice->service().ns()), std::string(slice->name())};
    if (!keys.contains(key)) gone.push_back(std::move(key));
  }
  for (const auto& key : gone) remove_slice(key);
  for (Named& named : entries_)
    if (std::exchange(named.second.restored, false)) touch(named);
}

void Zone::retain_namespaces(const std::set<kube::ObjectKey>& keys) {
  std::vector<std::string> gone;
  for (const auto& [name, why] : namespaces_)
    if (!keys.contains(kube::ObjectKey{"", name})) gone.push_back(name);
  for (const std::string& name : gone) remove_namespace({"", name});
}

// `object` is the state of the namespace's own object, or what it is when `services` changes.
void Zone::set_namespace(const std::string& name, bool object, int services) {
  const auto at = namespaces_.try_emplace(name, false, 0).first;
  auto& [has_object, count] = at->second;
  const bool was = has_object || (count > 0 && !content_.namespaces);
  const bool had_object = std::exchange(has_object, object);
  count += services;
  const bool is = has_object || (count > 0 && !content_.namespaces);
  if (!has_object && count == 0) namespaces_.erase(at);
  if (content_.namespaces && had_object != object)
    for (auto e = entries_.lower_bound(kube::ObjectKey{name, ""});
         e != entries_.end() && e->first->ns() == name; ++e)
      touch(*e);
  if (was != is) set_key(next_.namespaces, namespace_key(name), is);
}

void Zone::set_key(Trie<KeyRecord>& keys, std::string key, bool present) {
  next_changed_ = true;
  auto* const record = new KeyRecord(std::move(key));
  if (present) {
    keys.put(record, LabelKey(record->key()), trash_);
    return;
  }
  trash_.add(keys.remove(LabelKey(record->key()), trash_), &KeyRecord::destroy);
  delete record;
}

void Zone::set_pod(const kube::ObjectKey& key, const std::map<std::string, std::string>& labels,
                   std::vector<IpAddress> addresses) {
  const std::string label = namespace_key(key.ns);
  const auto change = [&](const std::vector<IpAddress>& of, int delta) {
    for (const IpAddress& address : of) {
      const PodKey pod({reinterpret_cast<const uint8_t*>(label.data()), label.size()}, address);
      std::string bytes(pod.bytes().begin(), pod.bytes().end());
      int& more = shared_pods_[bytes];  // than the first, which the trie has
      const bool known = next_.pods.find(LabelKey(pod.bytes())) != nullptr;
      if (delta > 0 ? known : more > 0) {
        more += delta;
      } else {
        set_key(next_.pods, bytes, delta > 0);
      }
      if (more == 0) shared_pods_.erase(bytes);
    }
  };
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const auto known = pods_.find(key);
  if (content_.clients.any) {
    const auto set_of = [](const std::vector<IpAddress>& all) {
      return std::set<IpAddress>(all.begin(), all.end());
    };
    const auto had = known != pods_.end() ? set_of(known->second) : std::set<IpAddress>();
    if (clients_.put(next_.clients, key, labels, had, set_of(addresses), trash_))
      next_changed_ = true;
  }
  if (known != pods_.end() && known->second == addresses) return;
  change(addresses, 1);
  if (known != pods_.end()) change(known->second, -1);
  if (addresses.empty()) {
    pods_.erase(key);
  } else {
    addresses.shrink_to_fit();
    pods_[key] = std::move(addresses);
  }
}

bool Zone::changed() const {
  return !dirty_.empty() || next_changed_ || synced_ != next_.synced || stale_ != next_.stale;
}

void Zone::publish(uint32_t unix_time) {
  if (!changed()) {
    reclaim();
    return;
  }
  for (Named* named : std::exchange(dirty_, {})) rebuild(*named);
  next_changed_ = false;
  next_.synced = synced_;
  next_.stale = stale_;
  if (static_cast<int32_t>(unix_time - next_.serial) > 0 || next_.serial == 0)
    next_.serial = unix_time;
  const Snapshot* const before = published_.current.exchange(new Snapshot(next_));
  trash_.add(const_cast<Snapshot*>(before), [](void* old) { delete static_cast<Snapshot*>(old); });
  ended_ = published_.epochs.advance();
  retired_.emplace_back(ended_, std::move(trash_.items));
  trash_.items.clear();
  ++trash_.generation;
  reclaim();
}

std::optional<bool> Zone::is_headless(const kube::ObjectKey& service) const {
  const auto at = entries_.find(service);
  if (at == entries_.end() || !at->second.known) return {};
  return at->second.is_headless();
}

size_t Zone::reclaim() {
  const uint64_t oldest = published_.epochs.oldest();
  while (!retired_.empty() && retired_.front().first < oldest) {
    for (const Trash::Item& item : retired_.front().second) item.destroy(item.object);
    retired_.pop_front();
  }
  size_t waiting = 0;
  for (const auto& [epoch, items] : retired_) waiting += items.size();
  return waiting;
}

bool Zone::is_hidden(const ServiceName& name) const {
  if (!content_.namespaces) return false;
  const auto at = namespaces_.find(std::string(name.ns()));
  return at == namespaces_.end() || !at->second.first;
}

void Zone::rebuild(Named& named) {
  auto& [name, entry] = named;
  entry.dirty = false;
  unpack_restored(named);
  if (entry.known && !entry.draft)
    entry.draft.reset(ServiceRecord::make(*name, entry.record->draft()));
  if (!entry.known || is_hidden(*name)) {
    replace_record(named, nullptr);
    if (!entry.known && entry.slices.empty()) forget(named);
    return;
  }
  ServiceDraft draft = entry.draft->draft();
  draft.by_cluster = content_.imports;
  entry.draft.reset();
  if (draft.kind != ServiceKind::kExternalName) {
    entry.slices.for_each([&](const Slice& slice) { slice.content().add_to(draft.endpoints); });
    const auto held = held_.find(name.get());
    if (held != held_.end())
      for (const Held& each : held->second) draft.endpoints.push_back(each.endpoint);
  }
  replace_record(named, ServiceRecord::make(*name, std::move(draft)));
}

// Readers may still see its name.
void Zone::forget(Named& named) {
  held_.erase(named.first.get());
  auto node = entries_.extract(entries_.find(named.first));
  trash_.add(node.key().release(), &ServiceName::destroy);
}

void Zone::replace_record(Named& named, ServiceRecord* record) {
  ServiceRecord* const before = std::exchange(named.second.record, record);
  if (before == nullptr && record == nullptr) return;
  const LabelKey key(named.first->key());
  if (record != nullptr) {
    next_.services.put(record, key, trash_);
    endpoint_count_ += record->endpoints().size();
  } else {
    next_.services.remove(key, trash_);
  }
  if ((before == nullptr) != (record == nullptr)) {
    const int delta = record != nullptr ? 1 : -1;
    service_count_ += static_cast<size_t>(delta);
    const std::string ns(named.first->ns());
    const auto known = namespaces_.find(ns);
    set_namespace(ns, known != namespaces_.end() && known->second.first, delta);
  }
  // Of what is imported its own cluster names the addresses.
  if (!content_.imports) name_addresses(next_, before, record, trash_);
  if (before == nullptr) return;
  endpoint_count_ -= before->endpoints().size();
  trash_.add(before, &ServiceRecord::destroy);
}

}  // namespace fairlead::dns
