// SPDX-License-Identifier: Apache-2.0
// The Kubernetes API without HTTP: what the HTTP front, the controllers and the scheduler all
// speak.
//
// Threads: an Api belongs to one Loop; its calls are made there and its callbacks run there, never
// from inside the call. Several Apis (one a loop) share one store.
// Completion: every callback runs exactly once unless the Api is destroyed first. Success of a
// write means the commit is on disk (or in memory, for the kinds whose schema says so). Errors: the
// codes of base/result.h; kInvalid messages name the field's path. ApiError keeps the HTTP status,
// reason and causes for the front. Objects are JSON documents as encoded bytes, shared and
// immutable.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::orchestrator {

using Bytes = std::shared_ptr<const std::string>;

// {"apps", "deployments"}; the core group is "".
struct Resource {
  std::string group;
  std::string plural;
  auto operator<=>(const Resource&) const = default;
};

struct ListOptions {
  std::string ns;              // empty: all namespaces
  std::string label_selector;  // as in a URL: "app=web,tier!=db,env in (a,b),!legacy"
  std::string field_selector;  // "spec.nodeName=n1,status.phase!=Failed"
};

struct ApiList {
  std::vector<Bytes> items;
  int64_t revision = 0;  // watch from here
};

struct DeleteOptions {
  std::string uid;                 // precondition; empty: none
  std::string resource_version;    // precondition; empty: none
  int grace_period_seconds = -1;   // -1: the kind's default
  std::string propagation_policy;  // Background, Foreground, Orphan; empty: the kind's default
};

enum class WatchEventType { kAdded, kModified, kDeleted };

struct WatchEvent {
  WatchEventType type = WatchEventType::kAdded;
  kube::ObjectKey key;
  Bytes object;  // for kDeleted: its last state, with the revision of the deletion
  int64_t revision = 0;
};

// Destroying it ends the watch; nothing runs after.
class WatchHandle {
 public:
  struct Pending {
    virtual ~Pending() = default;
  };
  WatchHandle() = default;
  explicit WatchHandle(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}

 private:
  std::unique_ptr<Pending> pending_;
};

using WriteDone = std::function<void(Result<Bytes>)>;

class Api {
 public:
  virtual ~Api() = default;

  virtual Result<Bytes> get(const Resource& resource, const kube::ObjectKey& key) = 0;
  virtual Result<ApiList> list(const Resource& resource, const ListOptions& options) = 0;

  // The object is defaulted, validated strictly and admitted as one that came over HTTP is.
  virtual void create(const Resource& resource, const std::string& ns, nlohmann::json object,
                      WriteDone done) = 0;
  // Replaces. With metadata.resourceVersion a change in between is kConflict; without, it wins.
  // `subresource`: "" or "status" (only that side of the object is taken).
  virtual void update(const Resource& resource, std::string_view subresource, nlohmann::json object,
                      WriteDone done) = 0;
  // RFC 7386 merge patch, retried internally when the object changes in between.
  virtual void merge_patch(const Resource& resource, std::string_view subresource,
                           const kube::ObjectKey& key, nlohmann::json patch, WriteDone done) = 0;
  virtual void remove(const Resource& resource, const kube::ObjectKey& key,
                      const DeleteOptions& options, WriteDone done) = 0;
  // POST pods/binding: sets spec.nodeName once; kConflict if the pod is bound already, or another
  // than the one of this uid (empty: any).
  virtual void bind(const kube::ObjectKey& pod, const std::string& uid, const std::string& node,
                    WriteDone done) = 0;

  // All objects there are, as kAdded, then on_synced once, then every change in order. An
  // in-process watch never expires.
  [[nodiscard]] virtual WatchHandle watch(const Resource& resource,
                                          std::function<void(const WatchEvent&)> on_event,
                                          std::function<void()> on_synced) = 0;
};

}  // namespace fairlead::orchestrator
