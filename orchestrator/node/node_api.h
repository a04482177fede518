// SPDX-License-Identifier: Apache-2.0
// What the node runner asks of the API server, besides the watches.
//
// Threads: one Loop; callbacks run on it, never from inside the call, exactly once each unless the
// NodeApi is destroyed first. Nothing is retried here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "kube/client.h"
#include "kube/objects.h"
#include "orchestrator/node/env.h"

namespace fairlead::orchestrator {

using JsonDone = std::function<void(Result<nlohmann::json>)>;

// The narrow boundary that tests replace.
class NodeApi {
 public:
  virtual ~NodeApi() = default;
  // Replaces the members of status that `status`, a pod_status, has, but for conditions of types
  // that are not the node's; kConflict when the name is another pod's now.
  virtual void patch_pod_status(const kube::ObjectKey& pod, const std::string& uid,
                                const nlohmann::json& status, JsonDone done) = 0;
  // With grace 0 and the UID as precondition. A pod that is gone, or another, is success.
  virtual void delete_pod(const kube::ObjectKey& pod, const std::string& uid,
                          std::function<void(Result<void>)> done) = 0;
  // kNotFound where there is none.
  virtual void get_object(const std::string& ns, const ObjectRef& reference,
                          std::function<void(Result<ObjectData>)> done) = 0;
};

// Any request, answered with the object as JSON. Holds the calls under way; destroying cancels
// them.
class ApiCalls {
 public:
  explicit ApiCalls(kube::ApiClient& client) : client_(client) {}
  ApiCalls(const ApiCalls&) = delete;
  ApiCalls& operator=(const ApiCalls&) = delete;

  void send(kube::ApiRequest request, JsonDone done);
  size_t under_way() const { return calls_.size(); }

 private:
  kube::ApiClient& client_;
  std::map<uint64_t, HttpCall> calls_;
  uint64_t next_id_ = 0;
};

class HttpNodeApi : public NodeApi {
 public:
  explicit HttpNodeApi(kube::ApiClient& client) : calls_(client) {}
  void patch_pod_status(const kube::ObjectKey& pod, const std::string& uid,
                        const nlohmann::json& status, JsonDone done) override;
  void delete_pod(const kube::ObjectKey& pod, const std::string& uid,
                  std::function<void(Result<void>)> done) override;
  void get_object(const std::string& ns, const ObjectRef& reference,
                  std::function<void(Result<ObjectData>)> done) override;

 private:
  ApiCalls calls_;
};

// The data of a ConfigMap or Secret object. Pure.
Result<ObjectData> decode_object_data(bool secret, const nlohmann::json& object);
// RFC 4648 section 4, padded; nullopt for anything else.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace fairlead::orchestrator
