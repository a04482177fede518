// SPDX-License-Identifier: Apache-2.0
#include "dns/feed.h"

#include "base/log.h"
#include "kube/decode.h"

namespace fairlead::dns {
namespace {

constexpr Duration kReclaimPeriod = std::chrono::milliseconds(100);

void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::Service*) {
  zone.remove_service(key);
}
void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::EndpointSlice*) {
  zone.remove_slice(key);
}
void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::Namespace*) {
  zone.remove_namespace(key);
}
void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::Pod*) {
  zone.remove_pod(key);
}
void retain_in(Zone& zone, const std::set<kube::ObjectKey>& keys, const kube::Service*) {
  zone.retain_services(keys);
}
void retain_in(Zone& zone, const std::set<kube::ObjectKey>& keys, const kube::EndpointSlice*) {
  zone.retain_slices(keys);
}
void retain_in(Zone& zone, const std::set<kube::ObjectKey>& keys, const kube::Namespace*) {
  zone.retain_namespaces(keys);
}
void retain_in(Zone& zone, const std::set<kube::ObjectKey>& keys, const kube::Pod*) {
  zone.retain_pods(keys);
}

// What the server chooses of a kind.
template <typename T>
void select(kube::ReflectorOptions& options, const FeedFilter& filter) {
  if constexpr (std::is_same_v<T, kube::Namespace>) {
    options.label_selector = filter.namespace_labels;
  } else if constexpr (std::is_same_v<T, kube::Pod>) {
    // One that has ended is gone from such a watch, and its address with it.
    options.field_selector = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown";
  } else {
    options.label_selector = filter.labels;
  }
}

}  // namespace

template <typename T>
class ClusterFeed::Target : public kube::ReflectorTarget {
 public:
  explicit Target(ClusterFeed& feed) : feed_(feed) {}

  Result<kube::ObjectVersion> put(std::string_view json) override {
    const Result<T> object = kube::decode<T>(json);
    if (!object.ok()) return object.error();
    if (feed_.wants(*object)) {
      feed_.zone_.set_time(feed_.loop_.clock().now());
      feed_.zone_.put(*object);
      feed_.changed();
    }
    return kube::ObjectVersion{object->meta.key(), object->meta.resource_version, false};
  }
  void remove(const kube::ObjectKey& key) override {
    feed_.zone_.set_time(feed_.loop_.clock().now());
    remove_from(feed_.zone_, key, static_cast<const T*>(nullptr));
    feed_.changed();
  }
  void retain(const std::set<kube::ObjectKey>& keys) override {
    feed_.zone_.set_time(feed_.loop_.clock().now());
    retain_in(feed_.zone_, keys, static_cast<const T*>(nullptr));
    feed_.changed();
  }
  void mark_synced() override {
    if (!std::exchange(synced_, true)) feed_.synced_one();
  }

 private:
  ClusterFeed& feed_;
  bool synced_ = false;
};

ClusterFeed::ClusterFeed(Loop& loop, kube::ApiClient& client, Zone& zone, FeedFilter filter,
                         std::function<void()> on_synced)
    : loop_(loop),
      zone_(zone),
      filter_(std::move(filter)),
      on_synced_(std::move(on_synced)),
      publish_timer_(loop),
      reclaim_timer_(loop),
      hold_timer_(loop) {
  const auto add = [&]<typename T>(const T*) {
    targets_.push_back(std::make_unique<Target<T>>(*this));
    kube::ReflectorOptions options;
    options.kind = kube::Kind<T>::kName;
    options.path = kube::resource_path(kube::Kind<T>::kApi, kube::Kind<T>::kResource);
    select<T>(options, filter_);
    reflectors_.push_back(std::make_unique<kube::Reflector>(loop.clock(), client, *targets_.back(),
                                                            std::move(options)));
  };
  add(static_cast<const kube::Namespace*>(nullptr));
  add(static_cast<const kube::Service*>(nullptr));
  if (filter_.endpoints) add(static_cast<const kube::EndpointSlice*>(nullptr));
  if (filter_.pods) add(static_cast<const kube::Pod*>(nullptr));
  unsynced_ = reflectors_.size();
}

ClusterFeed::~ClusterFeed() = default;

template <typename T>
bool ClusterFeed::wants(const T& object) const {
  const std::string& ns = std::is_same_v<T, kube::Namespace> ? object.meta.name : object.meta.ns;
  return filter_.namespaces.empty() || filter_.namespaces.contains(ns);
}

void ClusterFeed::start() {
  for (const auto& reflector : reflectors_) reflector->start();
}

// Events that arrived together are published together, before the loop waits again.
void ClusterFeed::changed() {
  if (!publish_timer_.active()) publish_timer_.start_once(Duration::zero(), [this] { publish(); });
}

void ClusterFeed::synced_one() {
  if (--unsynced_ > 0) return;
  zone_.set_synced();
  changed();
}

// What the zone holds goes in time, whether or not something else happens.
void ClusterFeed::release_held() {
  const std::optional<MonoTime> due = zone_.due();
  if (!due || hold_timer_.active()) return;
  hold_timer_.start_once(std::max<Duration>(*due - loop_.clock().now(), Duration::zero()), [this] {
    zone_.set_time(loop_.clock().now());
    if (zone_.changed()) return changed();
    release_held();
  });
}

void ClusterFeed::publish() {
  const auto now = loop_.clock().wall_now().time_since_epoch();
  const bool was_synced = zone_.snapshot().synced;
  zone_.publish(
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  if (zone_.reclaim() > 0 && !reclaim_timer_.active()) {
    reclaim_timer_.start_every(kReclaimPeriod, [this] {
      if (zone_.reclaim() == 0) reclaim_timer_.stop();
    });
  }
  release_held();
  if (!zone_.snapshot().synced) return;
  if (on_published_) on_published_();
  if (was_synced) return;
  log::info("{} services with {} ready endpoints known", zone_.services(), zone_.endpoints());
  on_synced_();
}

}  // namespace fairlead::dns
