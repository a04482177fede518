// SPDX-License-Identifier: Apache-2.0
// What is known of one kind of object: a map by key, filled by a Reflector or by a test.
//
// Threads: one. Objects are shared and immutable: a reader may keep a pointer as long as it likes.
// Subscribers see every change once, in order, after the map has it; a subscriber may read any
// store but must not change this one from its callback.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "kube/objects.h"

namespace fairlead::kube {

template <typename T>
using Ref = std::shared_ptr<const T>;

// before null: added; after null: deleted; both: changed.
template <typename T>
struct Change {
  ObjectKey key;
  Ref<T> before;
  Ref<T> after;
};

template <typename T>
class Store {
 public:
  using Subscriber = std::function<void(const Change<T>&)>;

  void subscribe(Subscriber subscriber) { subscribers_.push_back(std::move(subscriber)); }
  // Runs once, when the first complete list is in the store; at once if it already is.
  void on_synced(std::function<void()> callback) {
    if (synced_) return callback();
    synced_callbacks_.push_back(std::move(callback));
  }

  bool synced() const { return synced_; }
  size_t size() const { return objects_.size(); }
  const std::map<ObjectKey, Ref<T>>& all() const { return objects_; }
  Ref<T> find(const ObjectKey& key) const {
    const auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }

  // Adds or replaces. An object equal to the one stored is kept as a newer version without an
  // event, unless it differs in content.
  void put(Ref<T> object) {
    const ObjectKey key = object->meta.key();
    Ref<T>& slot = objects_[key];
    Change<T> change{key, slot, object};
    slot = std::move(object);
    if (!change.before || !(*change.before == *change.after)) publish(change);
  }
  void remove(const ObjectKey& key) {
    const auto it = objects_.find(key);
    if (it == objects_.end()) return;
    Change<T> change{key, it->second, nullptr};
    objects_.erase(it);
    publish(change);
  }
  // Removes every object whose key a complete list did not have.
  void retain(const std::set<ObjectKey>& keys) {
    std::vector<ObjectKey> gone;
    for (const auto& [key, object] : objects_)
      if (!keys.contains(key)) gone.push_back(key);
    for (const ObjectKey& key : gone) remove(key);
  }
  void mark_synced() {
    if (std::exchange(synced_, true)) return;
    for (auto& callback : std::exchange(synced_callbacks_, {})) callback();
  }

 private:
  void publish(const Change<T>& change) {
    for (const Subscriber& subscriber : subscribers_) subscriber(change);
  }

  std::map<ObjectKey, Ref<T>> objects_;
  std::vector<Subscriber> subscribers_;
  std::vector<std::function<void()>> synced_callbacks_;
  bool synced_ = false;
};

}  // namespace fairlead::kube
