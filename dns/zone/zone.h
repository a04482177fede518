// SPDX-License-Identifier: Apache-2.0
// The writer's side of the cluster's names: takes Kubernetes objects, rebuilds the records of just
// the services they touch, and publishes a new snapshot by one pointer swap. Pure: no I/O, no
// clock.
//
// Threads: everything but published() and readers on one thread. Readers must be made before their
// threads start and be gone before the Zone is destroyed.
// Cost: a change costs what its own service has, never what the cluster has. Objects are not kept;
// what a service takes in memory, `scripts/bench dns` says.
// What is left out: names that are no DNS labels, endpoints that are not ready, slices of fully
// qualified names. `ready` is what counts; serving and terminating are not looked at, and
// publishNotReadyAddresses arrives as ready (KEP-1672).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "dns/zone/slice.h"
#include "dns/zone/slice_set.h"
#include "dns/zone/snapshot.h"
#include "kube/objects.h"
#include "kube/service_import.h"

namespace fairlead::dns {

// What of the objects is taken.
struct ZoneContent {
  bool pod_names = false;   // endpoints without a host name are called like their pods
  bool topology = false;    // the topology zones of endpoints
  bool namespaces = false;  // only services of namespaces that have been seen
  // How long a headless service keeps an endpoint that has gone without having been unready first:
  // when it moves to another slice, which comes as two changes, it is not missed in between. One
  // that is seen again, in whatever state, is held no longer, nor is one whose name another has
  // got.
  Duration hold = Duration::zero();
  ClientContent clients{};
  // Of what other clusters export (KEP-1645): endpoints are called LABEL.CLUSTER, and addresses
  // have no names.
  bool imports = false;
  auto operator<=>(const ZoneContent&) const = default;
};

class Zone {
 public:
  explicit Zone(ZoneContent content = {});
  ~Zone();
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  // The time it is: what has been held long enough goes. Before any change, where there is a hold.
  void set_time(MonoTime now);
  // When set_time() has something to do.
  std::optional<MonoTime> due() const;

  // Level-triggered: the newest state of one object. Nothing is visible before publish().
  void put(const kube::Service& service);
  void put(const kube::EndpointSlice& slice);
  void put(const kube::ServiceImport& import);  // where these are taken, as a service
  void put(const kube::Namespace& ns);
  // Its addresses; one that has run to its end has none.
  void put(const kube::Pod& pod);
  void remove_service(const kube::ObjectKey& key);
  void remove_slice(const kube::ObjectKey& key);
  void remove_namespace(const kube::ObjectKey& key);
  void remove_pod(const kube::ObjectKey& key);
  // Removes every object of the kind whose key is not given: after a complete list.
  void retain_services(const std::set<kube::ObjectKey>& keys);
  void retain_slices(const std::set<kube::ObjectKey>& keys);
  void retain_namespaces(const std::set<kube::ObjectKey>& keys);
  void retain_pods(const std::set<kube::ObjectKey>& keys);
  void set_synced() {
    synced_ = true;
    stale_ = false;
  }
  // A service with its ready endpoints as another Zone published it. The endpoints become slices
  // that no API server has, so retain_slices() takes them away once the true ones are complete.
  // False, and nothing is changed: none can have published it, or the service is known. The draft
  // may be filled and used again, but says nothing afterwards.
  bool restore(const kube::ObjectKey& key, ServiceDraft&& draft);
  // What was put so far is old, until set_synced().
  void set_stale() { stale_ = true; }

  // Whether publish() would change anything.
  bool changed() const;
  // Makes what was put and removed visible, all at once. `unix_time` becomes the serial of the
  // zone, which never goes back (RFC 1982 arithmetic).
  void publish(uint32_t unix_time);
  // Frees what no reader can see any more; returns how much still waits. publish() does it too.
  size_t reclaim();

  // Whether no reader answers from anything older than what was published last.
  bool seen_by_all() const { return published_.epochs.oldest() > ended_; }
  // Whether a service has no cluster IP of its own; nothing: it is not known.
  std::optional<bool> is_headless(const kube::ObjectKey& service) const;

  Published& published() { return published_; }
  // The newest, for the writer's own thread and for tests.
  const Snapshot& snapshot() const { return *published_.current.load(); }
  // Nothing has been put or restored that has not gone.
  bool empty() const {
    return entries_.empty() && slices_.empty() && namespaces_.empty() && pods_.empty();
  }
  size_t services() const { return service_count_; }
  size_t endpoints() const { return endpoint_count_; }

 private:
  struct FreeRecord {
    void operator()(ServiceRecord* record) const { ServiceRecord::destroy(record); }
  };
  // A service and what belongs to it. What is known of the service itself is in its record;
  // `draft`, a record without endpoints, has what is not in that yet, or is not to be seen.
  struct Entry {
    bool is_headless() const {
      return known && (draft ? draft.get() : record)->kind() == ServiceKind::kHeadless;
    }
    std::unique_ptr<ServiceRecord, FreeRecord> draft;
    Slices slices;
    ServiceRecord* record = nullptr;
    bool known = false;     // not only slices
    bool restored = false;  // the record's endpoints are in no slice yet: see unpack_restored()
    bool dirty = false;
  };
  // By namespace, then by name.
  struct ByName {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return key_of(a) < key_of(b);
    }
  };
  using NameKey = std::pair<std::string_view, std::string_view>;
  static NameKey key_of(const ServiceName::Ptr& name) { return key_of(*name); }
  static NameKey key_of(const ServiceName& name) { return {name.ns(), name.name()}; }
  static NameKey key_of(const kube::ObjectKey& key) { return {key.ns, key.name}; }
  using EntryMap = std::map<ServiceName::Ptr, Entry, ByName>;
  using Named = EntryMap::value_type;
  // An endpoint of a headless service that is in none of its slices.
  struct Held {
    EndpointDraft endpoint;
    MonoTime until{};
  };

  Named& entry(const kube::ObjectKey& key);
  Named& owner_of(const Slice& slice) { return *entries_.find(slice.service()); }
  void put_ready(const kube::Endpoint& endpoint, const std::string& cluster, SliceContent& kept);
  void add_slice(Named& entry, std::string_view name, const SliceContent& content);
  void unpack_restored(Named& named);
  void add_restored_slices(Named& target, const std::vector<EndpointDraft>& endpoints);
  void touch(Named& named);
  void rebuild(Named& named);
  void forget(Named& named);
  void replace_record(Named& named, ServiceRecord* record);
  void set_namespace(const std::string& name, bool object, int services);
  void set_key(Trie<KeyRecord>& keys, std::string key, bool present);
  bool is_hidden(const ServiceName& name) const;
  void set_pod(const kube::ObjectKey& key, const std::map<std::string, std::string>& labels,
               std::vector<IpAddress> addresses);
  std::vector<EndpointDraft> drop_slice(const kube::ObjectKey& key);
  // What an endpoint is called: of imports, in its cluster.
  using EndpointName = std::tuple<std::string, std::string, Family>;
  EndpointName name_of(const EndpointDraft& endpoint) const;
  void keep_gone(const ServiceName& name, const kube::EndpointSlice& slice,
                 const std::string& cluster, std::vector<EndpointDraft>& before);
  void hold(const Named& named, std::vector<EndpointDraft> gone);

  const ZoneContent content_;
  EntryMap entries_;
  std::vector<Named*> dirty_;
  std::map<const ServiceName*, std::vector<Held>> held_;
  MonoTime now_{};
  std::deque<std::pair<MonoTime, kube::ObjectKey>> holding_;  // until when, which service
  SliceSet slices_;                                           // of all entries
  // Why a namespace is there: its own object, and how many services it has.
  std::map<std::string, std::pair<bool, int>> namespaces_;

  std::map<kube::ObjectKey, std::vector<IpAddress>> pods_;
  std::unordered_map<std::string, int> shared_pods_;  // keys that several pods have
  Clients clients_;

  Snapshot next_;
  Trash trash_;
  std::deque<std::pair<uint64_t, std::vector<Trash::Item>>> retired_;  // by the epoch that ended
  uint64_t ended_ = 0;         // the epoch before the last publish()
  bool next_changed_ = false;  // other than what dirty_ will change
  bool synced_ = false;
  bool stale_ = false;
  size_t service_count_ = 0;
  size_t endpoint_count_ = 0;
  Published published_;
};

}  // namespace fairlead::dns
