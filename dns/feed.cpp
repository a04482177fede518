// SPDX-License-Identifier: Apache-2.0
#include "dns/feed.h"

#include "base/log.h"
#include "kube/decode.h"
#include "kube/service_import.h"

namespace fairlead::dns {
namespace {

constexpr Duration kReclaimPeriod = std::chrono::milliseconds(100);
// A worker is done with a batch of queries in some hundred microseconds, unless it has no
// processor.
constexpr int kQuickLooks = 8;
constexpr Duration kLookPeriod = std::chrono::milliseconds(1);
// How long a version of ServiceImport that is not there is left alone, twice as long each time; and
// at last, or while one is watched.
constexpr Duration kImportsPeriod = std::chrono::milliseconds(500);
constexpr size_t kMaxImportsDoublings = 6;
constexpr const char* kImportVersions[] = {kube::Kind<kube::ServiceImport>::kApi,
                                           kube::Kind<kube::ServiceImport>::kNewApi};

void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::Service*) {
  zone.remove_service(key);
}
void remove_from(Zone& zone, const kube::ObjectKey& key, const kube::ServiceImport*) {
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
void retain_in(Zone& zone, const std::set<kube::ObjectKey>& keys, const kube::ServiceImport*) {
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
  } else if constexpr (std::is_same_v<T, kube::ServiceImport>) {
    // All: CoreDNS chooses none by `labels` either.
  } else if (filter.imports) {
    options.label_selector =
        filter.labels + (filter.labels.empty() ? "" : ",") + kube::kImportNameLabel;
  } else {
    options.label_selector = filter.labels;
  }
}

}  // namespace

template <typename T>
class ClusterFeed::Target : public kube::ReflectorTarget {
 public:
  explicit Target(ClusterFeed& feed) : feed_(feed) {}
  // Who fills it, and knows when the bytes of an event were read.
  void filled_by(const kube::Reflector& reflector) { reflector_ = &reflector; }

  Result<kube::ObjectVersion> put(std::string_view json) override {
    const Result<T> object = kube::decode<T>(json);
    if (!object.ok()) return object.error();
    if (feed_.wants(*object)) {
      feed_.zone_.set_time(feed_.loop_.clock().now());
      feed_.zone_.put(*object);
      note_event();
      if constexpr (std::is_same_v<T, kube::EndpointSlice>)
        if (is_event()) feed_.latency_.slice(*object);
      feed_.changed();
    }
    return kube::ObjectVersion{object->meta.key(), object->meta.resource_version, false};
  }
  void remove(const kube::ObjectKey& key) override {
    feed_.zone_.set_time(feed_.loop_.clock().now());
    remove_from(feed_.zone_, key, static_cast<const T*>(nullptr));
    note_event();
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
  bool empty() const override { return feed_.zone_.empty(); }

 private:
  // Not a part of a list, which tells nothing about when something happened.
  bool is_event() const { return reflector_->status().watching; }
  void note_event() {
    if (is_event()) feed_.latency_.event(reflector_->status().last_contact);
  }

  ClusterFeed& feed_;
  const kube::Reflector* reflector_ = nullptr;
  bool synced_ = false;
};

ClusterFeed::ClusterFeed(Loop& loop, kube::ApiClient& client, Zone& zone, FeedFilter filter,
                         ChangeHistograms& histograms, std::function<void()> on_synced)
    : loop_(loop),
      client_(client),
      zone_(zone),
      filter_(std::move(filter)),
      on_synced_(std::move(on_synced)),
      publish_timer_(loop),
      reclaim_timer_(loop),
      hold_timer_(loop),
      latency_(zone, histograms),
      readers_timer_(loop),
      imports_timer_(loop) {
  add<kube::Namespace>(kube::Kind<kube::Namespace>::kApi);
  if (filter_.imports)
    add<kube::ServiceImport>(kImportVersions[imports_version_]);
  else
    add<kube::Service>(kube::Kind<kube::Service>::kApi);
  if (filter_.endpoints || filter_.imports)
    add<kube::EndpointSlice>(kube::Kind<kube::EndpointSlice>::kApi);
  if (filter_.pods && !filter_.imports) add<kube::Pod>(kube::Kind<kube::Pod>::kApi);
  unsynced_ = reflectors_.size();
}

template <typename T>
void ClusterFeed::add(const char* api) {
  auto target = std::make_unique<Target<T>>(*this);
  Target<T>& filled = *target;
  targets_.push_back(std::move(target));
  reflectors_.push_back(reflector_of<T>(api, *targets_.back()));
  filled.filled_by(*reflectors_.back());
}

template <typename T>
std::unique_ptr<kube::Reflector> ClusterFeed::reflector_of(const char* api,
                                                           kube::ReflectorTarget& target) {
  kube::ReflectorOptions options;
  options.kind = kube::Kind<T>::kName;
  options.path = kube::resource_path(api, kube::Kind<T>::kResource);
  select<T>(options, filter_);
  return std::make_unique<kube::Reflector>(loop_.clock(), client_, target, std::move(options));
}

ClusterFeed::~ClusterFeed() = default;

template <typename T>
bool ClusterFeed::wants(const T& object) const {
  const std::string& ns = std::is_same_v<T, kube::Namespace> ? object.meta.name : object.meta.ns;
  // Who may ask is no matter of what is answered.
  if (std::is_same_v<T, kube::Pod> && filter_.content.clients.any) return true;
  return filter_.namespaces.empty() || filter_.namespaces.contains(ns);
}

void ClusterFeed::start() {
  for (const auto& reflector : reflectors_) reflector->start();
  if (filter_.imports) imports_timer_.start_once(kImportsPeriod, [this] { look_for_imports(); });
}

// Where the API server does not know the version that is watched the other one is. A watch that is
// open goes on, whatever else is served.
void ClusterFeed::look_for_imports() {
  std::unique_ptr<kube::Reflector>& reflector = reflectors_[kImports];
  const kube::ReflectorStatus& status = reflector->status();
  const bool failed = std::exchange(imports_failures_, status.failures) != status.failures;
  if (status.watching) {
    imports_refusals_ = 0;
    lacks_imports_ = false;
  } else if (failed && status.last_error->is_not_found()) {
    imports_version_ = (imports_version_ + 1) % std::size(kImportVersions);
    if (++imports_refusals_ == std::size(kImportVersions)) {
      lacks_imports_ = true;
      log::warn(
          "the API server has no ServiceImport (multicluster.x-k8s.io/v1alpha1 or v1beta1): until "
          "its CustomResourceDefinition is there {}",
          zone_.snapshot().synced ? "multicluster zones are answered with what was known"
                                  : "names of multicluster zones are SERVFAIL");
      if (on_lacking_) on_lacking_();
    }
    auto& target = dynamic_cast<Target<kube::ServiceImport>&>(*targets_[kImports]);
    reflector = reflector_of<kube::ServiceImport>(kImportVersions[imports_version_], target);
    target.filled_by(*reflector);
    imports_failures_ = 0;
    reflector->start();
  }
  const size_t doublings = reflector->status().watching ? kMaxImportsDoublings
                           : imports_refusals_ < 2
                               ? 0
                               : std::min(imports_refusals_ - 2, kMaxImportsDoublings);
  imports_timer_.start_once(kImportsPeriod * (1 << doublings), [this] { look_for_imports(); });
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

// Whether every worker answers with what was published. None is asked: it notes what it answers
// from anyhow.
void ClusterFeed::look_for_readers() {
  if (!latency_.waits_for_readers()) return;
  if (zone_.seen_by_all()) return latency_.served(loop_.clock().now());
  readers_timer_.start_once(looks_++ < kQuickLooks ? Duration::zero() : kLookPeriod,
                            [this] { look_for_readers(); });
}

void ClusterFeed::publish() {
  const WallTime wall = loop_.clock().wall_now();
  const auto now = wall.time_since_epoch();
  const bool was_synced = zone_.snapshot().synced;
  const bool changes = zone_.changed();
  zone_.publish(
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  latency_.published(wall, changes);
  looks_ = 0;
  look_for_readers();
  if (zone_.reclaim() > 0 && !reclaim_timer_.active()) {
    reclaim_timer_.start_every(kReclaimPeriod, [this] {
      if (zone_.reclaim() == 0) reclaim_timer_.stop();
    });
  }
  release_held();
  if (!zone_.snapshot().synced) return;
  if (on_published_) on_published_();
  if (was_synced) return;
  log::info("{} {}services with {} ready endpoints known", zone_.services(),
            filter_.imports ? "imported " : "", zone_.endpoints());
  on_synced_();
}

}  // namespace fairlead::dns
