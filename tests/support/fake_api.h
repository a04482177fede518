// SPDX-License-Identifier: Apache-2.0
// An Api in memory with the API server's semantics, for tests of controllers, scheduler and node:
// one revision counter, conflicts, generations, status apart from spec, finalizers, graceful
// deletion, name generation, watches in order.
//
// Deterministic: a write takes effect `write_delay` after the call, its callback runs then, and its
// watch event comes `watch_delay` after that (zero: later in the same moment of the clock). Nothing
// runs unless the clock is turned. No schema: defaults are only those named in fake_api.cpp.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "orchestrator/apiserver/api.h"

namespace fairlead::test {

class FakeApi : public orchestrator::Api {
 public:
  using Json = nlohmann::json;
  using Resource = orchestrator::Resource;
  using ObjectKey = kube::ObjectKey;
  using WriteDone = orchestrator::WriteDone;

  struct Write {
    std::string verb;  // create, update, patch, delete, bind
    Resource resource;
    std::string subresource;
    ObjectKey key;  // no name yet for a create with generateName
  };

  explicit FakeApi(Clock& clock);
  ~FakeApi() override;

  Result<orchestrator::Bytes> get(const Resource& resource, const ObjectKey& key) override;
  Result<orchestrator::ApiList> list(const Resource& resource,
                                     const orchestrator::ListOptions& options) override;
  void create(const Resource& resource, const std::string& ns, Json object,
              WriteDone done) override;
  void update(const Resource& resource, std::string_view subresource, Json object,
              WriteDone done) override;
  void merge_patch(const Resource& resource, std::string_view subresource, const ObjectKey& key,
                   Json patch, WriteDone done) override;
  void remove(const Resource& resource, const ObjectKey& key,
              const orchestrator::DeleteOptions& options, WriteDone done) override;
  void bind(const ObjectKey& pod, const std::string& uid, const std::string& node,
            WriteDone done) override;
  orchestrator::WatchHandle watch(const Resource& resource,
                                  std::function<void(const orchestrator::WatchEvent&)> on_event,
                                  std::function<void()> on_synced) override;

  // Faults.
  Duration write_delay = std::chrono::milliseconds(1);
  Duration watch_delay = Duration::zero();
  // Asked before a write takes effect; an Error is the answer instead.
  std::function<std::optional<Error>(const Write&)> intercept;
  // After `writes` more writes took effect the caller is dead: the answer of the last one is lost,
  // later writes do nothing, watches are silent. revive() ends it; pending calls stay lost.
  void crash_after(int writes) { crash_after_ = writes; }
  bool crashed() const { return crashed_; }
  void revive();

  // What a test does itself, at once and without faults; asserts success.
  Json put(const Resource& resource, Json object);  // creates, or replaces spec and status
  Json merge(const Resource& resource, const ObjectKey& key, const Json& patch,
             std::string_view subresource = "");
  void erase(const Resource& resource, const ObjectKey& key,
             const orchestrator::DeleteOptions& options = {});
  std::optional<Json> find(const Resource& resource, const ObjectKey& key) const;
  std::vector<Json> all(const Resource& resource, const std::string& ns = "") const;
  // Every write that took effect, in order, tests' own left out.
  const std::vector<Write>& writes() const { return writes_; }
  // Runs after every change, with the new state visible.
  std::function<void()> on_change;

 private:
  struct Watcher;
  struct Line;
  using Objects = std::map<ObjectKey, Json>;

  void submit(Write write, WriteDone done, std::function<Result<Json>()> apply);
  Result<Json> do_create(const Resource& resource, const std::string& ns, Json object);
  Result<Json> do_update(const Resource& resource, std::string_view subresource, Json object);
  Result<Json> do_patch(const Resource& resource, std::string_view subresource,
                        const ObjectKey& key, const Json& patch);
  Result<Json> do_remove(const Resource& resource, const ObjectKey& key,
                         const orchestrator::DeleteOptions& options);
  Result<Json> do_bind(const ObjectKey& pod, const std::string& uid, const std::string& node);
  Result<Json> replace(const Resource& resource, std::string_view subresource, Json object);
  Json commit(const Resource& resource, Json object, orchestrator::WatchEventType type);
  Json drop(const Resource& resource, const ObjectKey& key);
  bool finished(const Resource& resource, const Json& object) const;
  void publish(const Resource& resource, const Json& object, orchestrator::WatchEventType type);
  std::string name_suffix();

  Clock& clock_;
  std::map<Resource, Objects> objects_;
  int64_t revision_ = 0;
  int64_t next_uid_ = 0;
  uint64_t name_state_ = 1;
  int crash_after_ = -1;
  bool crashed_ = false;
  uint64_t life_ = 0;  // counts revivals; calls of an earlier life stay unanswered
  std::vector<Write> writes_;
  std::shared_ptr<std::vector<std::weak_ptr<Watcher>>> watchers_;
  std::shared_ptr<Line> line_;
};

}  // namespace fairlead::test
