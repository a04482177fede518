// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/object_graph.h"

#include <algorithm>

namespace fairlead::orchestrator::controllers {
namespace {

const std::set<std::string> kNone;

const std::set<std::string>& at(const std::map<std::string, std::set<std::string>>& index,
                                const std::string& name) {
  const auto it = index.find(name);
  return it == index.end() ? kNone : it->second;
}

void drop(std::map<std::string, std::set<std::string>>& index, const std::string& name,
          const std::string& uid) {
  const auto it = index.find(name);
  if (it == index.end()) return;
  it->second.erase(uid);
  if (it->second.empty()) index.erase(it);
}

bool has_finalizer(const Meta& meta, const char* finalizer) {
  return std::find(meta.finalizers.begin(), meta.finalizers.end(), finalizer) !=
         meta.finalizers.end();
}

bool waits_for_dependents(const Meta& meta) {
  return meta.deleting && has_finalizer(meta, kForegroundFinalizer);
}

std::vector<OwnerRef> without(const std::vector<OwnerRef>& owners, const std::string& uid) {
  std::vector<OwnerRef> rest = owners;
  std::erase_if(rest, [&](const OwnerRef& owner) { return owner.uid == uid; });
  return rest;
}

bool blocks(const Meta& dependent, const std::string& owner_uid) {
  return std::any_of(dependent.owners.begin(), dependent.owners.end(), [&](const OwnerRef& owner) {
    return owner.uid == owner_uid && owner.block_owner_deletion;
  });
}

// The owner is where the dependent can have one: in its namespace, or in none.
bool in_scope(const Meta& owner, const Meta& dependent) {
  return owner.ns.empty() || owner.ns == dependent.ns;
}

// An owner deleted with "orphan": its dependents forget it, then it may go.
std::vector<CollectAction> orphan_dependents(const ObjectGraph& graph, const std::string& uid) {
  std::vector<CollectAction> actions;
  for (const std::string& dependent : graph.dependents(uid))
    actions.push_back({CollectVerb::kSetOwners, dependent, "", "",
                       without(graph.find(dependent)->meta.owners, uid)});
  if (actions.empty())
    actions.push_back({CollectVerb::kRemoveFinalizer, uid, "", kOrphanFinalizer, {}});
  return actions;
}

using Exists = std::function<bool(const OwnerRef&, const std::string&)>;

// An object that is not being deleted itself: are its owners there?
std::vector<CollectAction> check_owners(const ObjectGraph& graph, const GraphNode& node,
                                        const Exists& exists) {
  std::vector<OwnerRef> solid;
  bool waiting = false;
  for (const OwnerRef& owner : node.meta.owners) {
    const GraphNode* found = graph.find(owner.uid);
    const bool visible = found && in_scope(found->meta, node.meta);
    if (visible && waits_for_dependents(found->meta))
      waiting = true;
    else if (visible || (found ? node.meta.ns.empty() : exists(owner, node.meta.ns)))
      solid.push_back(owner);
  }
  if (solid.size() == node.meta.owners.size()) return {};
  if (!solid.empty()) return {{CollectVerb::kSetOwners, node.meta.uid, "", "", std::move(solid)}};
  const bool foreground = waiting && !graph.dependents(node.meta.uid).empty();
  return {{CollectVerb::kRemove, node.meta.uid, foreground ? "Foreground" : "Background", "", {}}};
}

// An owner deleted in the foreground: its dependents go first. It waits for those that block it;
// the others begin to go with it.
std::vector<CollectAction> wait_for_dependents(const ObjectGraph& graph, const std::string& uid,
                                               const Exists& exists) {
  std::vector<CollectAction> actions;
  bool blocked = false;
  for (const std::string& dependent : graph.dependents(uid)) {
    const GraphNode& node = *graph.find(dependent);
    if (!in_scope(graph.find(uid)->meta, node.meta)) continue;
    blocked = blocked || blocks(node.meta, uid);
    if (node.meta.deleting) continue;
    for (CollectAction& action : check_owners(graph, node, exists))
      actions.push_back(std::move(action));
  }
  if (!blocked)
    actions.push_back({CollectVerb::kRemoveFinalizer, uid, "", kForegroundFinalizer, {}});
  return actions;
}

}  // namespace

void ObjectGraph::put(size_t kind, const Meta& meta) {
  remove(meta.uid);
  GraphNode node{kind, meta};
  node.meta.labels.clear();
  node.meta.annotations.clear();
  for (const OwnerRef& owner : meta.owners) dependents_[owner.uid].insert(meta.uid);
  if (!meta.ns.empty()) by_namespace_[meta.ns].insert(meta.uid);
  nodes_.insert_or_assign(meta.uid, std::move(node));
}

void ObjectGraph::remove(const std::string& uid) {
  const auto it = nodes_.find(uid);
  if (it == nodes_.end()) return;
  for (const OwnerRef& owner : it->second.meta.owners) drop(dependents_, owner.uid, uid);
  drop(by_namespace_, it->second.meta.ns, uid);
  nodes_.erase(it);
}

const GraphNode* ObjectGraph::find(const std::string& uid) const {
  const auto it = nodes_.find(uid);
  return it == nodes_.end() ? nullptr : &it->second;
}
const std::set<std::string>& ObjectGraph::dependents(const std::string& uid) const {
  return at(dependents_, uid);
}
const std::set<std::string>& ObjectGraph::in_namespace(const std::string& ns) const {
  return at(by_namespace_, ns);
}

std::vector<CollectAction> collect(const ObjectGraph& graph, const std::string& uid,
                                   const Exists& exists) {
  const GraphNode* node = graph.find(uid);
  if (!node) return {};
  if (!node->meta.deleting) return check_owners(graph, *node, exists);
  if (has_finalizer(node->meta, kOrphanFinalizer)) return orphan_dependents(graph, uid);
  if (has_finalizer(node->meta, kForegroundFinalizer))
    return wait_for_dependents(graph, uid, exists);
  return {};
}

}  // namespace fairlead::orchestrator::controllers
