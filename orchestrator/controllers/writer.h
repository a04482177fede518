// SPDX-License-Identifier: Apache-2.0
// Writes of one pass: each keeps the pass alive until it is answered, hands the answer to the
// informer, and fails the pass (which is then repeated) on error.
//
// `next` runs after a success, still inside the pass. The callbacks hold the informer by reference:
// an Api's callbacks must not outlive the informers, so the owner of both ends the writer's life
// first (`Writer::Life`).
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/informer.h"
#include "orchestrator/controllers/work_queue.h"

namespace fairlead::orchestrator::controllers {

// How a patch is guarded against changes since it was decided.
enum class Guard {
  kRevision,  // the object must be unchanged: kConflict otherwise
  kUid,       // it must be the same object
};

class Writer {
 public:
  using Pass = WorkQueue::Pass;
  using Next = std::function<void()>;
  using Made = std::function<void(const Bytes& object)>;
  using OnError = std::function<void(const Error&)>;

  explicit Writer(Api& api) : api_(api), life_(std::make_shared<int>(0)) {}

  void create(AnyInformer& informer, const std::string& ns, nlohmann::json object, Pass pass,
              Made next = {}, OnError on_error = {});
  // A merge patch; `patch` must be an object.
  void patch(AnyInformer& informer, std::string_view subresource, const Meta& meta, Guard guard,
             nlohmann::json patch, Pass pass, Next next = {});
  // By uid; an object that is gone already is a success.
  void remove(AnyInformer& informer, const Meta& meta, DeleteOptions options, Pass pass,
              Next next = {});

  Api& api() { return api_; }
  // Callbacks hold a weak copy and do nothing once the Writer is gone.
  std::weak_ptr<int> life() const { return life_; }

 private:
  Api& api_;
  std::shared_ptr<int> life_;
};

// {apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true}
nlohmann::json controller_reference(const char* api_version, const char* kind, const Meta& owner);
// The targetRef of an endpoint: {kind: Pod, namespace, name, uid}
nlohmann::json pod_reference(const std::string& ns, const Endpoint& endpoint);
// The whole metadata.ownerReferences list, since a merge patch replaces lists.
nlohmann::json owner_references(const std::vector<OwnerRef>& owners);
nlohmann::json conditions_json(const std::vector<Condition>& conditions, bool with_update_time);

}  // namespace fairlead::orchestrator::controllers
