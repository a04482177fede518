// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/garbage_collector.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

constexpr int kRemovalsPerPass = 500;
// Nothing tells us when the last finalizer of what is listed only has gone: it is looked at again.
constexpr Duration kLookAgain = std::chrono::seconds(1);
constexpr const char* kNamespaceFinalizer = "kubernetes";

std::string group_of(const std::string& api_version) {
  const size_t slash = api_version.find('/');
  return slash == std::string::npos ? std::string() : api_version.substr(0, slash);
}

ListOptions everything_in(const std::string& ns) {
  ListOptions options;
  options.ns = ns;
  return options;
}

}  // namespace

GarbageCollector::GarbageCollector(Clock& clock, Caches& caches, Writer& writer)
    : clock_(clock),
      caches_(caches),
      writer_(writer),
      objects_(clock, {.name = "garbage collector"},
               [this](const ObjectKey& key, Pass pass) { collect_one(key.name, pass); }),
      namespaces_(clock, {.name = "namespace"},
                  [this](const ObjectKey& key, Pass pass) { empty_namespace(key.name, pass); }) {
  for (size_t kind = 0; kind < caches_.kinds().size(); ++kind)
    if (AnyInformer* informer = caches_.informer(kind))
      informer->subscribe_meta(
          [this, kind](const Meta* before, const Meta* after) { on_change(kind, before, after); });
  caches_.namespaces.subscribe([this](const auto&, const auto& after) {
    if (after && after->meta.deleting) namespaces_.add(after->meta.key());
  });
}

void GarbageCollector::start() {
  started_ = true;
  objects_.start();
  namespaces_.start();
}

void GarbageCollector::on_change(size_t kind, const Meta* before, const Meta* after) {
  const bool same = before && after && before->uid == after->uid;
  if (before && !same) {
    // Whoever depends on it looks again, and so do the owners that waited for its end.
    for (const std::string& uid : graph_.dependents(before->uid)) objects_.add({"", uid});
    for (const OwnerRef& owner : before->owners) objects_.add({"", owner.uid});
    graph_.remove(before->uid);
    if (caches_.terminating(before->ns)) namespaces_.add({"", before->ns});
  }
  if (!after) return;
  graph_.put(kind, *after);
  const bool news = !same || before->owners != after->owners ||
                    before->deleting != after->deleting || before->finalizers != after->finalizers;
  if (!news) return;
  if (!after->owners.empty() || after->deleting) objects_.add({"", after->uid});
  if (same && before->owners != after->owners)
    for (const OwnerRef& owner : before->owners) objects_.add({"", owner.uid});
  if (!same && caches_.terminating(after->ns)) namespaces_.add({"", after->ns});
}

// An owner of a kind we do not watch counts as there, and so does one in a namespace of an object
// in none, which nobody can look up: better an object too many than one too few.
bool GarbageCollector::owner_exists(const OwnerRef& owner, const std::string& ns) const {
  for (const KindInfo& kind : caches_.kinds()) {
    if (kind.kind != owner.kind || kind.resource.group != group_of(owner.api_version)) continue;
    if (kind.namespaced && ns.empty()) return true;
    const auto live = writer_.api().get(kind.resource, {kind.namespaced ? ns : "", owner.name});
    if (!live) return !live.error().is_not_found();
    const Result<AnyObject> object = decode_any(*live);
    return !object || object->meta.uid == owner.uid;
  }
  return true;
}

void GarbageCollector::collect_one(const std::string& uid, const Pass& pass) {
  const auto exists = [this](const OwnerRef& owner, const std::string& ns) {
    return owner_exists(owner, ns);
  };
  for (const CollectAction& action : collect(graph_, uid, exists)) apply(action, pass);
}

void GarbageCollector::apply(const CollectAction& action, const Pass& pass) {
  const GraphNode* node = graph_.find(action.uid);
  if (!node) return;
  AnyInformer& informer = *caches_.informer(node->kind);
  switch (action.verb) {
    case CollectVerb::kRemove:
      return writer_.remove(informer, node->meta,
                            {.uid = "",
                             .resource_version = std::to_string(node->meta.revision),
                             .grace_period_seconds = -1,
                             .propagation_policy = action.policy},
                            pass);
    case CollectVerb::kSetOwners: {
      Json patch = {{"metadata", {{"ownerReferences", owner_references(action.owners)}}}};
      return writer_.patch(informer, "", node->meta, Guard::kRevision, std::move(patch), pass);
    }
    case CollectVerb::kRemoveFinalizer: {
      std::vector<std::string> rest = node->meta.finalizers;
      std::erase(rest, action.finalizer);
      Json patch = {{"metadata", {{"finalizers", rest}}}};
      // With its last finalizer the object goes: the answer is its end, not its state.
      const bool ends = rest.empty();
      if (!ends)
        return writer_.patch(informer, "", node->meta, Guard::kRevision, std::move(patch), pass);
      patch["metadata"]["uid"] = node->meta.uid;
      patch["metadata"]["resourceVersion"] = std::to_string(node->meta.revision);
      return writer_.api().merge_patch(informer.resource(), "", node->meta.key(), std::move(patch),
                                       [pass](const Result<Bytes>& result) {
                                         if (!result && !result.error().is_not_found())
                                           pass.fail(result.error());
                                       });
    }
  }
}

void GarbageCollector::empty_namespace(const std::string& name, const Pass& pass) {
  const auto space = caches_.namespaces.find({"", name});
  if (!space || !space->meta.deleting) return;
  const auto& finalizers = space->spec_finalizers;
  if (std::find(finalizers.begin(), finalizers.end(), kNamespaceFinalizer) == finalizers.end())
    return;
  NamespaceRemains remains;
  const int removed = remove_cached(name, remains, pass) + remove_listed(name, remains, pass);
  // What is being deleted gracefully tells us when it is gone; then the namespace is looked at
  // again.
  if (removed > 0) return;
  if (!remains.empty()) return tell(*space, remains, pass);
  if (truly_empty(name, pass)) finalize(name, pass);
}

void GarbageCollector::tell(const Namespace& space, const NamespaceRemains& remains,
                            const Pass& pass) {
  const auto conditions = namespace_conditions(space.conditions, remains, clock_.wall_now());
  if (!conditions) return;
  Json list = conditions_json(*conditions, /*with_update_time=*/false);
  writer_.patch(caches_.namespaces, "status", space.meta, Guard::kRevision,
                {{"status", {{"conditions", std::move(list)}}}}, pass);
}

int GarbageCollector::remove_cached(const std::string& ns, NamespaceRemains& remains,
                                    const Pass& pass) {
  DeleteOptions background;
  background.propagation_policy = "Background";
  int removed = 0;
  for (const std::string& uid : graph_.in_namespace(ns)) {
    const GraphNode& node = *graph_.find(uid);
    if (node.meta.deleting) {
      remains.add(caches_.kinds()[node.kind].resource, node.meta);
      continue;
    }
    if (removed++ >= kRemovalsPerPass) {
      namespaces_.add({"", ns});
      break;
    }
    writer_.remove(*caches_.informer(node.kind), node.meta, background, pass);
  }
  return removed;
}

int GarbageCollector::remove_listed(const std::string& ns, NamespaceRemains& remains,
                                    const Pass& pass) {
  int removed = 0;
  int waiting = 0;  // for finalizers
  for (const KindInfo& kind : caches_.kinds()) {
    if (!kind.listed_only) continue;
    const auto list = writer_.api().list(kind.resource, everything_in(ns));
    if (!list) {
      pass.fail(list.error());
      continue;
    }
    for (const Bytes& bytes : list->items) {
      const Result<AnyObject> object = decode_any(bytes);
      if (!object || removed >= kRemovalsPerPass) break;
      (object->meta.deleting ? waiting : removed)++;
      if (object->meta.deleting) {
        remains.add(kind.resource, object->meta);
        continue;
      }
      writer_.api().remove(kind.resource, object->meta.key(), {},
                           [pass](const Result<Bytes>& result) {
                             if (!result && !result.error().is_not_found())
                               pass.fail(result.error());
                           });
    }
  }
  // Nothing tells us that they are gone.
  if (removed > 0)
    namespaces_.add({"", ns});
  else if (waiting > 0)
    namespaces_.add_after({"", ns}, kLookAgain);
  return removed;
}

// The truth, not the caches: a namespace must not go while an object in it is on its way to us.
bool GarbageCollector::truly_empty(const std::string& ns, const Pass& pass) {
  for (const KindInfo& kind : caches_.kinds()) {
    if (!kind.namespaced) continue;
    const auto list = writer_.api().list(kind.resource, everything_in(ns));
    if (!list) {
      pass.fail(list.error());
      return false;
    }
    if (!list->items.empty()) return false;
  }
  return true;
}

void GarbageCollector::finalize(const std::string& name, const Pass& pass) {
  const auto live = writer_.api().get(caches_.namespaces.resource(), {"", name});
  if (!live) {
    if (!live.error().is_not_found()) pass.fail(live.error());
    return;
  }
  Result<Json> space = parse_object(*live);
  if (!space) return pass.fail(space.error());
  Json rest = Json::array();
  for (const Json& finalizer : json::items(json::member(*space, "spec"), "finalizers"))
    if (finalizer != kNamespaceFinalizer) rest.push_back(finalizer);
  (*space)["spec"]["finalizers"] = std::move(rest);
  writer_.api().update(caches_.namespaces.resource(), "finalize", std::move(*space),
                       [pass](const Result<Bytes>& result) {
                         if (!result && !result.error().is_not_found()) pass.fail(result.error());
                       });
}

}  // namespace fairlead::orchestrator::controllers
