// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/replicaset_controller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

Json number_or_null(int64_t value) {
  return value == 0 ? Json() : Json(value);
}

Result<Json> pod_json(const ReplicaSet& set) {
  Result<Json> document = parse_object(set.raw);
  if (!document) return document.error();
  const Json& pod_template = json::member(json::member(*document, "spec"), "template");
  Json meta = {
      {"generateName", set.meta.name + "-"},
      {"namespace", set.meta.ns},
      {"ownerReferences", Json::array({controller_reference("apps/v1", "ReplicaSet", set.meta)})}};
  for (const char* copied : {"labels", "annotations", "finalizers"})
    if (const Json& value = json::member(json::member(pod_template, "metadata"), copied);
        !value.is_null())
      meta[copied] = value;
  return Json{{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", std::move(meta)},
              {"spec", json::member(pod_template, "spec")}};
}

}  // namespace

ReplicaSetController::ReplicaSetController(Clock& clock, Caches& caches, Writer& writer,
                                           Recorder& recorder)
    : clock_(clock),
      caches_(caches),
      writer_(writer),
      recorder_(recorder),
      queue_(clock, {.name = "replicaset"},
             [this](const ObjectKey& key, Pass pass) { work(key, pass); }) {
  caches_.replica_sets.subscribe([this](const auto& before, const auto& after) {
    queue_.add((after ? after : before)->meta.key());
    if (!after) create_errors_.erase(before->meta.uid);
  });
  caches_.pods.subscribe([this](const auto& before, const auto& after) {
    if (before) on_pod(*before);
    if (after) on_pod(*after);
  });
}

void ReplicaSetController::on_pod(const Pod& pod) {
  if (const OwnerRef* owner = pod.meta.controller()) {
    if (owner->kind == "ReplicaSet") queue_.add({pod.meta.ns, owner->name});
    return;
  }
  for (const auto& set : caches_.replica_sets.in_namespace(pod.meta.ns))
    if (!set->selector.empty() && matches(set->selector, pod.meta.labels))
      queue_.add(set->meta.key());
}

void ReplicaSetController::work(const ObjectKey& key, const Pass& pass) {
  const auto set = caches_.replica_sets.find(key);
  if (!set || set->selector.empty()) return;
  ReplicaSetState state{*set,
                        caches_.pods.owned_by(set->meta.uid),
                        caches_.pods.orphans_in(key.ns),
                        related_pods(*set),
                        std::nullopt,
                        clock_.wall_now()};
  if (const auto it = create_errors_.find(set->meta.uid); it != create_errors_.end())
    state.create_error = it->second;
  const ReplicaSetPlan todo = plan(state);
  adopt_or_release(*set, todo, pass);
  if (todo.create > 0 && !caches_.terminating(key.ns)) {
    Result<Json> pod = pod_json(*set);
    if (!pod) return pass.fail(pod.error());
    create_pods(set, std::make_shared<const Json>(std::move(*pod)), todo.create, 1, pass);
  } else if (create_errors_.erase(set->meta.uid) > 0) {
    queue_.add(key);  // to take the condition back
  }
  for (const PodRef& pod : todo.remove) remove_pod(*set, *pod, pass);
  if (todo.status) write_status(*set, *todo.status, pass);
  if (todo.recheck) queue_.add_after(key, *todo.recheck);
}

// Pods of all sets of one Deployment: spreading looks at them together.
std::vector<PodRef> ReplicaSetController::related_pods(const ReplicaSet& set) const {
  const OwnerRef* owner = set.meta.controller();
  if (!owner) return caches_.pods.owned_by(set.meta.uid);
  std::vector<PodRef> result;
  for (const auto& sibling : caches_.replica_sets.owned_by(owner->uid))
    for (const PodRef& pod : caches_.pods.owned_by(sibling->meta.uid)) result.push_back(pod);
  return result;
}

void ReplicaSetController::adopt_or_release(const ReplicaSet& set, const ReplicaSetPlan& plan,
                                            const Pass& pass) {
  if (!plan.adopt.empty()) {
    // A set that is gone must not take pods with it: ask for the truth, not for the cache.
    const auto live = writer_.api().get(caches_.replica_sets.resource(), set.meta.key());
    const auto decoded = live ? decode_replica_set(*live) : Result<ReplicaSet>(live.error());
    if (!decoded || decoded->meta.uid != set.meta.uid || decoded->meta.deleting) return;
  }
  for (const PodRef& pod : plan.adopt) {
    Json owners = owner_references(pod->meta.owners);
    owners.push_back(controller_reference("apps/v1", "ReplicaSet", set.meta));
    writer_.patch(caches_.pods, "", pod->meta, Guard::kRevision,
                  {{"metadata", {{"ownerReferences", std::move(owners)}}}}, pass);
  }
  for (const PodRef& pod : plan.release) {
    std::vector<OwnerRef> owners = pod->meta.owners;
    std::erase_if(owners, [&](const OwnerRef& owner) { return owner.uid == set.meta.uid; });
    writer_.patch(caches_.pods, "", pod->meta, Guard::kRevision,
                  {{"metadata", {{"ownerReferences", owner_references(owners)}}}}, pass);
  }
}

void ReplicaSetController::create_pods(const std::shared_ptr<const ReplicaSet>& set,
                                       const std::shared_ptr<const Json>& pod, int left, int batch,
                                       const Pass& pass) {
  batch = std::min(batch, left);
  if (batch == 0) return;
  auto waiting = std::make_shared<int>(batch);
  const EventSubject about = subject("apps/v1", "ReplicaSet", set->meta);
  for (int i = 0; i < batch; ++i) {
    writer_.create(
        caches_.pods, set->meta.ns, *pod, pass,
        [this, set, about, pod, left, batch, pass, waiting](const Bytes& made) {
          create_errors_.erase(set->meta.uid);
          if (const Result<Pod> created = decode_pod(made))
            recorder_.record(about, false, "SuccessfulCreate",
                             "Created pod: " + created->meta.name);
          if (--*waiting == 0) create_pods(set, pod, left - batch, batch * 2, pass);
        },
        [this, set, about](const Error& error) {
          create_errors_[set->meta.uid] = error.message();
          recorder_.record(about, true, "FailedCreate", "Error creating: " + error.message());
        });
  }
}

void ReplicaSetController::remove_pod(const ReplicaSet& set, const Pod& pod, const Pass& pass) {
  writer_.remove(caches_.pods, pod.meta, {}, pass,
                 [this, about = subject("apps/v1", "ReplicaSet", set.meta), name = pod.meta.name] {
                   recorder_.record(about, false, "SuccessfulDelete", "Deleted pod: " + name);
                 });
}

void ReplicaSetController::write_status(const ReplicaSet& set, const ReplicaSetStatus& status,
                                        const Pass& pass) {
  Json json = {{"replicas", status.replicas},
               {"fullyLabeledReplicas", number_or_null(status.fully_labeled)},
               {"readyReplicas", number_or_null(status.ready)},
               {"availableReplicas", number_or_null(status.available)},
               {"observedGeneration", status.observed_generation}};
  if (status.terminating) json["terminatingReplicas"] = *status.terminating;
  json["conditions"] = status.conditions.empty()
                           ? Json()
                           : conditions_json(status.conditions, /*with_update_time=*/false);
  writer_.patch(caches_.replica_sets, "status", set.meta, Guard::kUid,
                {{"status", std::move(json)}}, pass);
}

}  // namespace fairlead::orchestrator::controllers
