// SPDX-License-Identifier: Apache-2.0
// What is known of one resource: trimmed objects by key, kept current by Api::watch and by the
// answers to our own writes.
//
// Writes are seen at once: observe() takes the answer of a write before its watch event comes, so a
// controller never acts twice on one observation (what Kubernetes' controllers need "expectations"
// for). The watch wins: an answer not newer than what the watch has delivered is ignored, so an
// object deleted in between never comes back.
//
// Threads: one, the Api's. Inert until start(). Objects are shared and immutable. Subscribers run
// after the change is in the map; they may read every informer and must not write to this one.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

template <typename T>
using Ref = std::shared_ptr<const T>;

// The side of an informer that does not depend on the kind.
class AnyInformer {
 public:
  // One of them null: added or deleted.
  using MetaSubscriber = std::function<void(const Meta* before, const Meta* after)>;

  explicit AnyInformer(Resource resource) : resource_(std::move(resource)) {}
  virtual ~AnyInformer() = default;
  AnyInformer(const AnyInformer&) = delete;
  AnyInformer& operator=(const AnyInformer&) = delete;

  virtual void start(Api& api, std::function<void()> on_synced) = 0;
  // The answer to a write of ours.
  virtual void observe(const Bytes& object) = 0;
  // The answer to a delete of ours: the object with its deletionTimestamp, or its last state.
  virtual void observe_removal(const ObjectKey& key, const std::string& uid,
                               const Bytes& object) = 0;
  virtual bool synced() const = 0;
  const Resource& resource() const { return resource_; }
  void subscribe_meta(MetaSubscriber subscriber) {
    meta_subscribers_.push_back(std::move(subscriber));
  }

 protected:
  const Resource resource_;
  std::vector<MetaSubscriber> meta_subscribers_;
};

template <typename T>
class Informer : public AnyInformer {
 public:
  using Decode = Result<T> (*)(const Bytes&);
  // before null: added; after null: deleted.
  using Subscriber = std::function<void(const Ref<T>& before, const Ref<T>& after)>;
  using Map = std::map<ObjectKey, Ref<T>>;

  Informer(Resource resource, Decode decoder)
      : AnyInformer(std::move(resource)), decode_(decoder) {}

  void start(Api& api, std::function<void()> on_synced) override {
    watch_ = api.watch(
        resource_, [this](const WatchEvent& event) { on_event(event); },
        [this, on_synced = std::move(on_synced)] {
          synced_ = true;
          on_synced();
        });
  }
  bool synced() const override { return synced_; }
  void subscribe(Subscriber subscriber) { subscribers_.push_back(std::move(subscriber)); }

  size_t size() const { return objects_.size(); }
  const Map& all() const { return objects_; }
  Ref<T> find(const ObjectKey& key) const {
    const auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }
  std::vector<Ref<T>> in_namespace(const std::string& ns) const {
    std::vector<Ref<T>> result;
    for (auto it = objects_.lower_bound({ns, ""}); it != objects_.end() && it->first.ns == ns; ++it)
      result.push_back(it->second);
    return result;
  }
  std::vector<Ref<T>> owned_by(const std::string& uid) const { return at(by_owner_, uid); }
  // Objects of the namespace that no controller owns: candidates for adoption.
  std::vector<Ref<T>> orphans_in(const std::string& ns) const { return at(orphans_, ns); }

  void observe(const Bytes& bytes) override {
    Result<T> object = decode(bytes);
    if (object && object->meta.revision > watch_revision_) put(std::move(*object));
  }
  void observe_removal(const ObjectKey& key, const std::string& uid, const Bytes& bytes) override {
    const Ref<T> cached = find(key);
    if (!cached || cached->meta.uid != uid) return;
    if (bytes) {
      Result<T> object = decode_(bytes);
      if (object && object->meta.deleting) {
        if (object->meta.revision > watch_revision_) put(std::move(*object));
        return;
      }
    }
    erase(key);
  }

 private:
  using Index = std::map<std::string, std::set<ObjectKey>>;

  Result<T> decode(const Bytes& bytes) const {
    Result<T> object = decode_(bytes);
    if (!object)
      log::warn("controllers: an object of {} is not usable: {}", resource_.plural,
                object.error().message());
    return object;
  }
  void on_event(const WatchEvent& event) {
    watch_revision_ = std::max(watch_revision_, event.revision);
    if (event.type == WatchEventType::kDeleted) {
      const Ref<T> cached = find(event.key);
      if (cached && cached->meta.revision <= event.revision) erase(event.key);
      return;
    }
    Result<T> object = decode(event.object);
    if (!object) return erase(event.key);
    put(std::move(*object));
  }
  void put(T object) {
    const ObjectKey key = object.meta.key();
    const Ref<T> before = find(key);
    if (before && before->meta.revision >= object.meta.revision) return;
    const Ref<T> after = std::make_shared<const T>(std::move(object));
    if (before) unindex(*before);
    objects_[key] = after;
    index(*after);
    publish(before, after);
  }
  void erase(const ObjectKey& key) {
    const Ref<T> before = find(key);
    if (!before) return;
    unindex(*before);
    objects_.erase(key);
    publish(before, nullptr);
  }
  void publish(const Ref<T>& before, const Ref<T>& after) {
    for (const Subscriber& subscriber : subscribers_) subscriber(before, after);
    for (const MetaSubscriber& subscriber : meta_subscribers_)
      subscriber(before ? &before->meta : nullptr, after ? &after->meta : nullptr);
  }
  static std::pair<bool, const std::string&> owner_slot(const T& object) {
    const OwnerRef* owner = object.meta.controller();
    return {owner != nullptr, owner ? owner->uid : object.meta.ns};
  }
  void index(const T& object) {
    const auto [owned, name] = owner_slot(object);
    (owned ? by_owner_ : orphans_)[name].insert(object.meta.key());
  }
  void unindex(const T& object) {
    const auto [owned, name] = owner_slot(object);
    Index& index = owned ? by_owner_ : orphans_;
    const auto it = index.find(name);
    if (it == index.end()) return;
    it->second.erase(object.meta.key());
    if (it->second.empty()) index.erase(it);
  }
  std::vector<Ref<T>> at(const Index& index, const std::string& name) const {
    std::vector<Ref<T>> result;
    const auto it = index.find(name);
    if (it == index.end()) return result;
    for (const ObjectKey& key : it->second) result.push_back(objects_.at(key));
    return result;
  }

  const Decode decode_;
  Map objects_;
  Index by_owner_;  // controller's uid
  Index orphans_;   // namespace
  std::vector<Subscriber> subscribers_;
  int64_t watch_revision_ = 0;
  bool synced_ = false;
  WatchHandle watch_;  // last: ends first
};

}  // namespace fairlead::orchestrator::controllers
