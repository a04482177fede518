// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_api.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "base/rfc3339.h"

namespace fairlead::test {

using orchestrator::ApiList;
using orchestrator::Bytes;
using orchestrator::DeleteOptions;
using orchestrator::ListOptions;
using orchestrator::WatchEvent;
using orchestrator::WatchEventType;
using orchestrator::WatchHandle;

struct FakeApi::Watcher {
  Resource resource;
  std::function<void(const WatchEvent&)> on_event;
  std::function<void()> on_synced;
};

// Calls that wait for their moment, in order; the earliest is armed.
struct FakeApi::Line {
  explicit Line(Clock& c) : clock(c) {}
  void add(Duration delay, std::function<void()> call) {
    const MonoTime when = clock.now() + delay;
    calls.emplace(std::pair{when, next_id++}, std::move(call));
    arm();
  }
  void arm() {
    if (calls.empty()) return;
    const Duration wait = std::max(calls.begin()->first.first - clock.now(), Duration::zero());
    alarm = clock.after(wait, [this] {
      auto node = calls.extract(calls.begin());
      arm();
      node.mapped()();
    });
  }
  Clock& clock;
  std::map<std::pair<MonoTime, uint64_t>, std::function<void()>> calls;
  uint64_t next_id = 0;
  Alarm alarm;
};

namespace {

using Json = nlohmann::json;

Bytes encode(const Json& object) {
  return std::make_shared<const std::string>(object.dump());
}

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer where(pointer);
  return object.contains(where) && object[where].is_string() ? object[where].get<std::string>()
                                                             : std::string();
}

kube::ObjectKey key_of(const Json& object) {
  return {text_at(object, "/metadata/namespace"), text_at(object, "/metadata/name")};
}

Error no_such(const orchestrator::Resource& resource, const kube::ObjectKey& key) {
  return Error(ErrorCode::kNotFound, resource.plural + " \"" + key.to_string() + "\" not found");
}

bool is_pod(const orchestrator::Resource& resource) {
  return resource.group.empty() && resource.plural == "pods";
}
bool is_namespace(const orchestrator::Resource& resource) {
  return resource.group.empty() && resource.plural == "namespaces";
}
bool drops_status_on_create(const orchestrator::Resource& resource) {
  return resource.group == "apps";
}

template <typename T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "FakeApi: %s: %s\n", what, result.error().message().c_str());
    std::abort();
  }
  return std::move(*result);
}

bool label_matches(const Json& object, const std::string& selector) {
  size_t begin = 0;
  while (begin < selector.size()) {
    size_t end = selector.find(',', begin);
    if (end == std::string::npos) end = selector.size();
    const std::string term = selector.substr(begin, end - begin);
    const size_t equals = term.find('=');
    assert(equals != std::string::npos && "the fake knows only key=value label selectors");
    const Json& labels = object.value(Json::json_pointer("/metadata/labels"), Json::object());
    if (labels.value(term.substr(0, equals), "") != term.substr(equals + 1)) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

FakeApi::FakeApi(Clock& clock)
    : clock_(clock),
      watchers_(std::make_shared<std::vector<std::weak_ptr<Watcher>>>()),
      line_(std::make_shared<Line>(clock)) {}
FakeApi::~FakeApi() = default;

Result<Bytes> FakeApi::get(const Resource& resource, const ObjectKey& key) {
  const auto object = find(resource, key);
  if (!object) return no_such(resource, key);
  return encode(*object);
}

Result<ApiList> FakeApi::list(const Resource& resource, const ListOptions& options) {
  assert(options.field_selector.empty() && "the fake knows no field selectors");
  ApiList result;
  result.revision = revision_;
  for (const Json& object : all(resource, options.ns))
    if (label_matches(object, options.label_selector)) result.items.push_back(encode(object));
  return result;
}

void FakeApi::submit(Write write, WriteDone done, std::function<Result<Json>()> apply) {
  line_->add(write_delay, [this, write = std::move(write), done = std::move(done),
                           apply = std::move(apply), life = life_] {
    if (crashed_ || life != life_) return;
    if (intercept)
      if (auto error = intercept(write)) return done(*error);
    Result<Json> result = apply();
    if (result) writes_.push_back(write);
    if (result && crash_after_ > 0 && --crash_after_ == 0) {
      crashed_ = true;
      return;
    }
    if (!result) return done(result.error());
    done(encode(*result));
  });
}

void FakeApi::create(const Resource& resource, const std::string& ns, Json object, WriteDone done) {
  Write write{"create", resource, "", {ns, text_at(object, "/metadata/name")}};
  submit(write, std::move(done), [this, resource, ns, object = std::move(object)] {
    return do_create(resource, ns, object);
  });
}

void FakeApi::update(const Resource& resource, std::string_view subresource, Json object,
                     WriteDone done) {
  Write write{"update", resource, std::string(subresource), key_of(object)};
  submit(write, std::move(done),
         [this, resource, sub = std::string(subresource), object = std::move(object)] {
           return do_update(resource, sub, object);
         });
}

void FakeApi::merge_patch(const Resource& resource, std::string_view subresource,
                          const ObjectKey& key, Json patch, WriteDone done) {
  Write write{"patch", resource, std::string(subresource), key};
  submit(write, std::move(done),
         [this, resource, sub = std::string(subresource), key, patch = std::move(patch)] {
           return do_patch(resource, sub, key, patch);
         });
}

void FakeApi::remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options,
                     WriteDone done) {
  submit({"delete", resource, "", key}, std::move(done),
         [this, resource, key, options] { return do_remove(resource, key, options); });
}

void FakeApi::bind(const ObjectKey& pod, const std::string& uid, const std::string& node,
                   WriteDone done) {
  submit({"bind", {"", "pods"}, "binding", pod}, std::move(done),
         [this, pod, uid, node] { return do_bind(pod, uid, node); });
}

WatchHandle FakeApi::watch(const Resource& resource,
                           std::function<void(const WatchEvent&)> on_event,
                           std::function<void()> on_synced) {
  struct Pending : WatchHandle::Pending {
    std::shared_ptr<Watcher> watcher;
  };
  auto pending = std::make_unique<Pending>();
  pending->watcher =
      std::make_shared<Watcher>(Watcher{resource, std::move(on_event), std::move(on_synced)});
  std::weak_ptr<Watcher> weak = pending->watcher;
  // The snapshot and the start of the events are one moment: now.
  std::vector<WatchEvent> snapshot;
  for (const Json& object : all(resource))
    snapshot.push_back({WatchEventType::kAdded, key_of(object), encode(object),
                        std::stoll(text_at(object, "/metadata/resourceVersion"))});
  watchers_->push_back(weak);
  line_->add(watch_delay, [this, weak, life = life_, snapshot = std::move(snapshot)] {
    for (const WatchEvent& event : snapshot) {
      const auto watcher = weak.lock();
      if (!watcher || crashed_ || life != life_) return;
      watcher->on_event(event);
    }
    if (const auto watcher = weak.lock()) watcher->on_synced();
  });
  return WatchHandle(std::move(pending));
}

void FakeApi::publish(const Resource& resource, const Json& object, WatchEventType type) {
  const WatchEvent event{type, key_of(object), encode(object), revision_};
  std::erase_if(*watchers_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : *watchers_) {
    const auto watcher = weak.lock();
    if (!(watcher->resource == resource)) continue;
    line_->add(watch_delay, [this, weak, event, life = life_] {
      const auto alive = weak.lock();
      if (alive && !crashed_ && life == life_) alive->on_event(event);
    });
  }
  if (on_change) on_change();
}

void FakeApi::revive() {
  crashed_ = false;
  crash_after_ = -1;
  ++life_;
}

std::string FakeApi::name_suffix() {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) {
    name_state_ = name_state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    suffix += kAlphabet[(name_state_ >> 33) % kAlphabet.size()];
  }
  return suffix;
}

Result<Json> FakeApi::do_create(const Resource& resource, const std::string& ns, Json object) {
  Json& meta = object["metadata"];
  if (!meta.contains("name")) {
    if (text_at(object, "/metadata/generateName").empty())
      return Error(ErrorCode::kInvalid, "metadata.name: Required value");
    meta["name"] = meta["generateName"].get<std::string>() + name_suffix();
  }
  if (!ns.empty()) {
    meta["namespace"] = ns;
    const auto space = find({"", "namespaces"}, {"", ns});
    if (space && space->contains(Json::json_pointer("/metadata/deletionTimestamp")))
      return Error(ErrorCode::kPermission, "namespace " + ns + " is being terminated");
  }
  const ObjectKey key = key_of(object);
  if (find(resource, key))
    return Error(ErrorCode::kAlreadyExists,
                 resource.plural + " \"" + key.name + "\" already exists");
  meta["uid"] = "uid-" + std::to_string(++next_uid_);
  meta["creationTimestamp"] = to_rfc3339(clock_.wall_now());
  meta["generation"] = 1;
  meta.erase("deletionTimestamp");
  if (drops_status_on_create(resource)) object.erase("status");
  if (is_pod(resource)) {
    object["status"] = {{"phase", "Pending"}};
    Json& spec = object["spec"];
    if (!spec.contains("terminationGracePeriodSeconds")) spec["terminationGracePeriodSeconds"] = 30;
    if (!spec.contains("schedulerName")) spec["schedulerName"] = "default-scheduler";
  }
  if (is_namespace(resource)) {
    object["spec"]["finalizers"] = {"kubernetes"};
    object["status"] = {{"phase", "Active"}};
  }
  return commit(resource, std::move(object), WatchEventType::kAdded);
}

// The common end of updates and patches: `object` is the whole new state.
Result<Json> FakeApi::replace(const Resource& resource, std::string_view subresource, Json object) {
  const ObjectKey key = key_of(object);
  const Json old = objects_[resource].at(key);
  if (text_at(object, "/metadata/uid") != text_at(old, "/metadata/uid"))
    return Error(ErrorCode::kConflict, resource.plural + " \"" + key.name + "\": the UID differs");
  Json& meta = object["metadata"];
  for (const char* kept : {"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                           "generation", "resourceVersion"}) {
    meta.erase(kept);
    if (old["metadata"].contains(kept)) meta[kept] = old["metadata"][kept];
  }
  if (subresource == "status") {
    Json status = object.value("status", Json::object());
    object = old;
    object["status"] = std::move(status);
  } else if (!subresource.empty()) {
    assert(subresource == "finalize" && is_namespace(resource));
    Json finalizers = object["spec"]["finalizers"];
    object = old;
    object["spec"]["finalizers"] = std::move(finalizers);
  } else {
    object.erase("status");
    if (old.contains("status")) object["status"] = old["status"];
    if (object.value("spec", Json()) != old.value("spec", Json()))
      object["metadata"]["generation"] = old["metadata"]["generation"].get<int64_t>() + 1;
  }
  if (object == old) return old;
  if (finished(resource, object)) {
    objects_[resource][key] = std::move(object);
    return drop(resource, key);
  }
  return commit(resource, std::move(object), WatchEventType::kModified);
}

Result<Json> FakeApi::do_update(const Resource& resource, std::string_view subresource,
                                Json object) {
  const ObjectKey key = key_of(object);
  const auto old = find(resource, key);
  if (!old) return no_such(resource, key);
  const std::string revision = text_at(object, "/metadata/resourceVersion");
  if (!revision.empty() && revision != text_at(*old, "/metadata/resourceVersion"))
    return Error(ErrorCode::kConflict,
                 resource.plural + " \"" + key.name + "\": the object has been modified");
  if (text_at(object, "/metadata/uid").empty())
    object["metadata"]["uid"] = (*old)["metadata"]["uid"];
  return replace(resource, subresource, std::move(object));
}

Result<Json> FakeApi::do_patch(const Resource& resource, std::string_view subresource,
                               const ObjectKey& key, const Json& patch) {
  const auto old = find(resource, key);
  if (!old) return no_such(resource, key);
  const std::string revision = text_at(patch, "/metadata/resourceVersion");
  if (!revision.empty() && revision != text_at(*old, "/metadata/resourceVersion"))
    return Error(ErrorCode::kConflict,
                 resource.plural + " \"" + key.name + "\": the object has been modified");
  Json object = *old;
  object.merge_patch(patch);
  return replace(resource, subresource, std::move(object));
}

bool FakeApi::finished(const Resource& resource, const Json& object) const {
  const Json& meta = object["metadata"];
  if (!meta.contains("deletionTimestamp")) return false;
  if (meta.contains("finalizers") && !meta["finalizers"].empty()) return false;
  if (is_namespace(resource)) return object["spec"].value("finalizers", Json::array()).empty();
  return meta.value("deletionGracePeriodSeconds", 0) == 0;
}

Result<Json> FakeApi::do_remove(const Resource& resource, const ObjectKey& key,
                                const DeleteOptions& options) {
  const auto old = find(resource, key);
  if (!old) return no_such(resource, key);
  if (!options.uid.empty() && options.uid != text_at(*old, "/metadata/uid"))
    return Error(ErrorCode::kConflict, "the UID in the precondition differs");
  if (!options.resource_version.empty() &&
      options.resource_version != text_at(*old, "/metadata/resourceVersion"))
    return Error(ErrorCode::kConflict, "the resourceVersion in the precondition differs");
  Json object = *old;
  Json& meta = object["metadata"];
  int grace = 0;
  if (is_pod(resource)) {
    const std::string phase = text_at(object, "/status/phase");
    grace = options.grace_period_seconds;
    if (grace < 0) grace = object["spec"]["terminationGracePeriodSeconds"].get<int>();
    if (text_at(object, "/spec/nodeName").empty() || phase == "Succeeded" || phase == "Failed")
      grace = 0;
  }
  const std::string finalizer = options.propagation_policy == "Foreground" ? "foregroundDeletion"
                                : options.propagation_policy == "Orphan"   ? "orphan"
                                                                           : "";
  if (!finalizer.empty()) {
    Json list = meta.value("finalizers", Json::array());
    if (std::find(list.begin(), list.end(), finalizer) == list.end()) list.push_back(finalizer);
    meta["finalizers"] = list;
  }
  if (!meta.contains("deletionTimestamp")) {
    meta["deletionTimestamp"] = to_rfc3339(clock_.wall_now() + std::chrono::seconds(grace));
    meta["deletionGracePeriodSeconds"] = grace;
  } else {
    meta["deletionGracePeriodSeconds"] =
        std::min(grace, meta["deletionGracePeriodSeconds"].get<int>());
  }
  if (is_namespace(resource)) object["status"]["phase"] = "Terminating";
  if (finished(resource, object)) return drop(resource, key);
  if (object == *old) return object;
  return commit(resource, std::move(object), WatchEventType::kModified);
}

Result<Json> FakeApi::do_bind(const ObjectKey& pod, const std::string& uid,
                              const std::string& node) {
  const Resource pods{"", "pods"};
  auto object = find(pods, pod);
  if (!object) return no_such(pods, pod);
  if (!uid.empty() && text_at(*object, "/metadata/uid") != uid)
    return Error(ErrorCode::kConflict, "pod " + pod.to_string() + " is another one by now");
  if (!text_at(*object, "/spec/nodeName").empty())
    return Error(ErrorCode::kConflict, "pod " + pod.to_string() + " is already assigned to a node");
  if (object->contains(Json::json_pointer("/metadata/deletionTimestamp")))
    return Error(ErrorCode::kConflict, "pod " + pod.to_string() + " is being deleted");
  (*object)["spec"]["nodeName"] = node;
  Json conditions = Json::array();
  for (const Json& condition :
       object->value(Json::json_pointer("/status/conditions"), Json::array()))
    if (condition["type"] != "PodScheduled") conditions.push_back(condition);
  conditions.push_back({{"type", "PodScheduled"}, {"status", "True"}});
  (*object)["status"]["conditions"] = conditions;
  return commit(pods, std::move(*object), WatchEventType::kModified);
}

Json FakeApi::commit(const Resource& resource, Json object, WatchEventType type) {
  object["metadata"]["resourceVersion"] = std::to_string(++revision_);
  objects_[resource][key_of(object)] = object;
  publish(resource, object, type);
  return object;
}

Json FakeApi::drop(const Resource& resource, const ObjectKey& key) {
  Json object = std::move(objects_[resource].extract(key).mapped());
  object["metadata"]["resourceVersion"] = std::to_string(++revision_);
  publish(resource, object, WatchEventType::kDeleted);
  return object;
}

Json FakeApi::put(const Resource& resource, Json object) {
  const ObjectKey key = key_of(object);
  if (!find(resource, key)) {
    const Json status = object.value("status", Json());
    Json created = must(do_create(resource, key.ns, std::move(object)), "put");
    if (status.is_null()) return created;
    return merge(resource, key, {{"status", status}}, "status");
  }
  const Json status = object.value("status", Json());
  object["metadata"].erase("resourceVersion");
  Json updated = must(do_update(resource, "", std::move(object)), "put");
  if (status.is_null()) return updated;
  updated["status"] = status;
  return must(do_update(resource, "status", std::move(updated)), "put status");
}

Json FakeApi::merge(const Resource& resource, const ObjectKey& key, const Json& patch,
                    std::string_view subresource) {
  return must(do_patch(resource, subresource, key, patch), "merge");
}

void FakeApi::erase(const Resource& resource, const ObjectKey& key, const DeleteOptions& options) {
  must(do_remove(resource, key, options), "erase");
}

std::optional<Json> FakeApi::find(const Resource& resource, const ObjectKey& key) const {
  const auto kind = objects_.find(resource);
  if (kind == objects_.end()) return std::nullopt;
  const auto it = kind->second.find(key);
  if (it == kind->second.end()) return std::nullopt;
  return it->second;
}

std::vector<Json> FakeApi::all(const Resource& resource, const std::string& ns) const {
  std::vector<Json> result;
  const auto kind = objects_.find(resource);
  if (kind == objects_.end()) return result;
  for (const auto& [key, object] : kind->second)
    if (ns.empty() || key.ns == ns) result.push_back(object);
  return result;
}

}  // namespace fairlead::test
