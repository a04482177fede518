// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/in_process.h"

#include <map>

#include "orchestrator/apiserver/patch/patch.h"
#include "orchestrator/apiserver/registry/codec.h"

namespace fairlead::orchestrator::apiserver {
namespace {

Error no_kind(const Resource& resource) {
  return Error(ErrorCode::kNotFound,
               "the API has no resource " + resource.plural + "." + resource.group);
}

// A watch that lists, follows, and lists again when it fell behind; its user sees one stream.
class Informer : public WatchHandle::Pending {
 public:
  Informer(store::Store& store, Loop& loop, const Kind& kind,
           std::function<void(const WatchEvent&)> on_event, std::function<void()> on_synced)
      : store_(store),
        loop_(loop),
        prefix_(kind.prefix()),
        on_event_(std::move(on_event)),
        on_synced_(std::move(on_synced)),
        alive_(std::make_shared<bool>(true)) {
    schedule_list();
  }

 private:
  void schedule_list() {
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) list();
    });
  }

  // on_event_ may destroy this object: every step afterwards asks whether it is still there.
  void list() {
    auto range = store_.range({prefix_, "", 0, 0});
    if (!range) return;  // the newest revision is always there
    auto watch = store_.watch({prefix_, range->revision}, loop_,
                              {[this](const store::Batch& batch) { follow(batch); },
                               [this](const Error&) { schedule_list(); }});
    if (!watch) return schedule_list();  // compacted in between
    watch_ = std::move(*watch);
    const std::weak_ptr<bool> alive = alive_;
    std::map<std::string, store::Entry> now;
    for (store::Entry& entry : range->entries) now.emplace(entry.key, entry);
    std::vector<std::string> gone;
    for (const auto& [key, bytes] : known_)
      if (!now.contains(key)) gone.push_back(key);
    for (const std::string& key : gone)
      if (!alive.expired()) emit(WatchEventType::kDeleted, key, known_[key], range->revision);
    for (const auto& [key, entry] : now) {
      if (alive.expired()) return;
      const auto it = known_.find(key);
      if (it != known_.end() && *it->second == *entry.value) continue;
      emit(it == known_.end() ? WatchEventType::kAdded : WatchEventType::kModified, key,
           entry.value, entry.mod_revision);
    }
    if (alive.expired()) return;
    if (const auto synced = std::exchange(on_synced_, nullptr)) synced();
  }

  void follow(const store::Batch& batch) {
    const std::weak_ptr<bool> alive = alive_;
    for (const store::EventRef& event : batch.events) {
      if (alive.expired()) return;
      const WatchEventType type = event->type == store::Event::Type::kDelete
                                      ? WatchEventType::kDeleted
                                  : known_.contains(event->key) ? WatchEventType::kModified
                                                                : WatchEventType::kAdded;
      emit(type, event->key, event->value, event->revision);
    }
  }

  void emit(WatchEventType type, const std::string& key, Bytes object, int64_t revision) {
    const WatchEvent event{type, object_key_of(key), object, revision};
    if (type == WatchEventType::kDeleted)
      known_.erase(std::string(key));
    else
      known_[key] = std::move(object);
    const auto on_event = on_event_;
    on_event(event);
  }

  store::Store& store_;
  Loop& loop_;
  const std::string prefix_;
  const std::function<void(const WatchEvent&)> on_event_;
  std::function<void()> on_synced_;
  std::unique_ptr<store::Watch> watch_;
  std::map<std::string, Bytes> known_;
  std::shared_ptr<bool> alive_;
};

class InProcessApi : public Api {
 public:
  InProcessApi(Registry& registry, Loop& loop)
      : registry_(registry), loop_(loop), alive_(std::make_shared<bool>(true)) {}

  Result<Bytes> get(const Resource& resource, const kube::ObjectKey& key) override {
    const Kind* kind = Kinds::builtin().find(resource);
    if (kind == nullptr) return no_kind(resource);
    auto object = registry_.get(*kind, key);
    if (!object) return object.error().to_error();
    return *object;
  }

  Result<ApiList> list(const Resource& resource, const ListOptions& options) override {
    const Kind* kind = Kinds::builtin().find(resource);
    if (kind == nullptr) return no_kind(resource);
    auto filter = Filter::make(*kind, options.label_selector, options.field_selector);
    if (!filter) return filter.error().to_error();
    auto page = registry_.list(*kind, *filter, {options.ns, 0, "", 0, false});
    if (!page) return page.error().to_error();
    return ApiList{std::move(page->items), page->revision};
  }

  void create(const Resource& resource, const std::string& ns, Json object,
              WriteDone done) override {
    const Kind* kind = Kinds::builtin().find(resource);
    if (kind == nullptr) return refuse(no_kind(resource), std::move(done));
    std::vector<std::string> warnings;
    auto admitted =
        admit_document(*kind, std::move(object), {FieldValidation::kStrict, {}}, warnings);
    if (!admitted) return refuse(admitted.error().to_error(), std::move(done));
    registry_.create(*kind, ns, std::move(*admitted), {}, loop_, guard(std::move(done)));
  }

  void update(const Resource& resource, std::string_view subresource, Json object,
              WriteDone done) override {
    const kube::ObjectKey key{string_at(object, "metadata.namespace"),
                              string_at(object, "metadata.name")};
    change(resource, subresource, key, std::move(done),
           [object = std::move(object)](const Kind&, const Json&) { return object; });
  }

  void merge_patch(const Resource& resource, std::string_view subresource,
                   const kube::ObjectKey& key, Json patch, WriteDone done) override {
    change(resource, subresource, key, std::move(done),
           [patch = std::move(patch)](const Kind& kind, const Json& current) {
             return apply_merge_patch(to_served(kind, current), patch);
           });
  }

  void remove(const Resource& resource, const kube::ObjectKey& key, const DeleteOptions& options,
              WriteDone done) override {
    const Kind* kind = Kinds::builtin().find(resource);
    if (kind == nullptr) return refuse(no_kind(resource), std::move(done));
    registry_.remove(*kind, key, options, {}, loop_, guard(std::move(done)));
  }

  void bind(const kube::ObjectKey& pod, const std::string& uid, const std::string& node,
            WriteDone done) override {
    Json binding = {{"metadata", {{"uid", uid}}}, {"target", {{"name", node}}}};
    registry_.bind(pod, std::move(binding), {}, loop_, guard(std::move(done)));
  }

  WatchHandle watch(const Resource& resource, std::function<void(const WatchEvent&)> on_event,
                    std::function<void()> on_synced) override {
    const Kind* kind = Kinds::builtin().find(resource);
    assert(kind != nullptr && "watch of a resource the API does not have");
    return WatchHandle(std::make_unique<Informer>(registry_.store(), loop_, *kind,
                                                  std::move(on_event), std::move(on_synced)));
  }

 private:
  using DocumentChange = std::function<Json(const Kind& kind, const Json& current)>;

  void change(const Resource& resource, std::string_view subresource, const kube::ObjectKey& key,
              WriteDone done, DocumentChange next) {
    const Kind* kind = Kinds::builtin().find(resource);
    if (kind == nullptr) return refuse(no_kind(resource), std::move(done));
    Change admitted = [kind, next = std::move(next)](const Json& current) {
      std::vector<std::string> warnings;
      return admit_document(*kind, next(*kind, current), {FieldValidation::kStrict, {}}, warnings);
    };
    registry_.update(*kind, std::string(subresource), key, std::move(admitted), {}, loop_,
                     guard(std::move(done)));
  }

  // Nothing runs once the Api is gone.
  WrittenDone guard(WriteDone done) {
    return [done = std::move(done),
            alive = std::weak_ptr<bool>(alive_)](const Outcome<Written>& outcome) {
      if (alive.expired()) return;
      if (outcome)
        done(outcome->object);
      else
        done(outcome.error().to_error());
    };
  }

  void refuse(Error error, WriteDone done) {
    loop_.post(
        [done = std::move(done), error = std::move(error), alive = std::weak_ptr<bool>(alive_)] {
          if (!alive.expired()) done(error);
        });
  }

  Registry& registry_;
  Loop& loop_;
  std::shared_ptr<bool> alive_;
};

}  // namespace

std::unique_ptr<Api> make_in_process_api(Registry& registry, Loop& loop) {
  return std::make_unique<InProcessApi>(registry, loop);
}

}  // namespace fairlead::orchestrator::apiserver
