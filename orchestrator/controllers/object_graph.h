// SPDX-License-Identifier: Apache-2.0
// Every object by uid, with its owners and dependents, and what the garbage collector does with one
// of them. Pure.
//
// Semantics: Kubernetes' garbage collector (pkg/controller/garbagecollector) as its API shows them:
// an object goes when all its owners are gone; "foregroundDeletion" holds an owner until the
// dependents that block it are gone; "orphan" holds it until no dependent names it. An object of no
// namespace cannot have an owner in one: such a reference is kept, and nothing follows from it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

inline constexpr const char* kForegroundFinalizer = "foregroundDeletion";
inline constexpr const char* kOrphanFinalizer = "orphan";

struct GraphNode {
  size_t kind = 0;  // index into the kinds
  Meta meta;        // without labels and annotations
};

class ObjectGraph {
 public:
  void put(size_t kind, const Meta& meta);
  void remove(const std::string& uid);
  const GraphNode* find(const std::string& uid) const;
  // Uids that name `uid` as an owner, whether it exists or not.
  const std::set<std::string>& dependents(const std::string& uid) const;
  // Uids of the objects in a namespace.
  const std::set<std::string>& in_namespace(const std::string& ns) const;

 private:
  std::map<std::string, GraphNode> nodes_;
  std::map<std::string, std::set<std::string>> dependents_;
  std::map<std::string, std::set<std::string>> by_namespace_;
};

enum class CollectVerb {
  kRemove,           // delete the object; `policy` says how
  kSetOwners,        // replace its owner references by `owners`
  kRemoveFinalizer,  // take `finalizer` off
};

struct CollectAction {
  CollectVerb verb = CollectVerb::kRemove;
  std::string uid;
  std::string policy;
  std::string finalizer;
  std::vector<OwnerRef> owners;
};

// What to do about the object `uid` and, when it holds on for them, its dependents. `exists` tells
// whether an owner that the graph does not have is there (seen from a dependent's namespace).
std::vector<CollectAction> collect(
    const ObjectGraph& graph, const std::string& uid,
    const std::function<bool(const OwnerRef& owner, const std::string& ns)>& exists);

}  // namespace fairlead::orchestrator::controllers
