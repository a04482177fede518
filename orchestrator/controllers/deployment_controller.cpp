// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/deployment_controller.h"

#include <nlohmann/json.hpp>

#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

// Numbers that are zero are left out, as Kubernetes does.
Json number_or_null(int64_t value) {
  return value == 0 ? Json() : Json(value);
}

// A ReplicaSet with the Deployment's template and selector, both narrowed by the template's hash.
Result<Json> replica_set_json(const Deployment& deployment, const CreateReplicaSet& create) {
  Result<Json> document = parse_object(deployment.raw);
  if (!document) return document.error();
  const Json& spec = json::member(*document, "spec");
  Json pod_template = json::member(spec, "template");
  pod_template["metadata"]["labels"][kTemplateHashLabel] = create.hash;
  pod_template["metadata"].erase("creationTimestamp");
  Json selector = json::member(spec, "selector");
  selector["matchLabels"][kTemplateHashLabel] = create.hash;
  Json set = {{"apiVersion", "apps/v1"},
              {"kind", "ReplicaSet"},
              {"metadata",
               {{"name", create.name},
                {"namespace", deployment.meta.ns},
                {"labels", pod_template["metadata"]["labels"]},
                {"annotations", create.annotations},
                {"ownerReferences",
                 Json::array({controller_reference("apps/v1", "Deployment", deployment.meta)})}}},
              {"spec",
               {{"replicas", create.replicas},
                {"selector", std::move(selector)},
                {"template", std::move(pod_template)}}}};
  if (deployment.min_ready_seconds > 0)
    set["spec"]["minReadySeconds"] = deployment.min_ready_seconds;
  return set;
}

}  // namespace

DeploymentController::DeploymentController(Clock& clock, Caches& caches, Writer& writer,
                                           Recorder& recorder)
    : clock_(clock),
      caches_(caches),
      writer_(writer),
      recorder_(recorder),
      queue_(clock, {.name = "deployment"},
             [this](const ObjectKey& key, Pass pass) { work(key, pass); }) {
  caches_.deployments.subscribe([this](const auto& before, const auto& after) {
    queue_.add((after ? after : before)->meta.key());
  });
  caches_.replica_sets.subscribe_meta([this](const Meta* before, const Meta* after) {
    if (before) on_replica_set(*before);
    if (after) on_replica_set(*after);
  });
  caches_.pods.subscribe([this](const auto& before, const auto& after) {
    if (before && (!after || after->terminal())) on_pod(*before);
  });
}

void DeploymentController::on_replica_set(const Meta& set) {
  if (const OwnerRef* owner = set.controller()) {
    if (owner->kind == "Deployment") queue_.add({set.ns, owner->name});
    return;
  }
  for (const auto& deployment : caches_.deployments.in_namespace(set.ns))
    if (matches(deployment->selector, set.labels)) queue_.add(deployment->meta.key());
}

// A Recreate rollout waits for the end of old pods.
void DeploymentController::on_pod(const Pod& pod) {
  const OwnerRef* owner = pod.meta.controller();
  if (!owner || owner->kind != "ReplicaSet") return;
  const auto set = caches_.replica_sets.find({pod.meta.ns, owner->name});
  const OwnerRef* root = set ? set->meta.controller() : nullptr;
  if (!root || root->kind != "Deployment") return;
  const auto deployment = caches_.deployments.find({pod.meta.ns, root->name});
  if (deployment && deployment->recreate) queue_.add(deployment->meta.key());
}

void DeploymentController::work(const ObjectKey& key, const Pass& pass) {
  const auto deployment = caches_.deployments.find(key);
  if (!deployment) return;
  DeploymentState state{*deployment,
                        caches_.replica_sets.owned_by(deployment->meta.uid),
                        caches_.replica_sets.orphans_in(key.ns),
                        [&](const std::string& name) {
                          return caches_.replica_sets.find({key.ns, name}) != nullptr;
                        },
                        [&](const ReplicaSet& set) {
                          int live = 0;
                          for (const auto& pod : caches_.pods.owned_by(set.meta.uid))
                            live += pod->terminal() ? 0 : 1;
                          return live;
                        },
                        clock_.wall_now()};
  apply(*deployment, plan(state), pass);
}

void DeploymentController::apply(const Deployment& deployment, const DeploymentPlan& plan,
                                 const Pass& pass) {
  record(subject("apps/v1", "Deployment", deployment.meta), plan.events);
  if (plan.create) create(deployment, *plan.create, pass);
  for (const PatchReplicaSet& item : plan.patches) patch(deployment, item, pass);
  for (const ReplicaSetRef& set : plan.removals)
    writer_.remove(caches_.replica_sets, set->meta,
                   {.uid = "",
                    .resource_version = std::to_string(set->meta.revision),
                    .grace_period_seconds = -1,
                    .propagation_policy = "Background"},
                   pass);
  if (plan.revision)
    writer_.patch(caches_.deployments, "", deployment.meta, Guard::kUid,
                  {{"metadata", {{"annotations", {{kRevisionAnnotation, *plan.revision}}}}}}, pass);
  if (plan.status) write_status(deployment, *plan.status, pass);
  if (plan.recheck)
    queue_.add_after(deployment.meta.key(), *plan.recheck + std::chrono::seconds(1));
}

void DeploymentController::create(const Deployment& deployment, const CreateReplicaSet& create,
                                  const Pass& pass) {
  Result<Json> set = replica_set_json(deployment, create);
  if (!set) return pass.fail(set.error());
  const EventSubject about = subject("apps/v1", "Deployment", deployment.meta);
  writer_.create(
      caches_.replica_sets, deployment.meta.ns, std::move(*set), pass,
      [this, about, events = create.events](const Bytes&) { record(about, events); },
      [this, about, name = create.name](const Error& error) {
        if (error.is_already_exists()) return;
        recorder_.record(about, true, "ReplicaSetCreateError",
                         "Failed to create new replica set \"" + name + "\": " + error.message());
      });
}

void DeploymentController::patch(const Deployment& deployment, const PatchReplicaSet& item,
                                 const Pass& pass) {
  const ReplicaSet& set = *item.set;
  Json patch = Json::object();
  for (const auto& [name, value] : item.annotations) patch["metadata"]["annotations"][name] = value;
  if (item.replicas) patch["spec"]["replicas"] = *item.replicas;
  if (item.min_ready_seconds) patch["spec"]["minReadySeconds"] = *item.min_ready_seconds;
  if (item.adopt) {
    Json owners = owner_references(set.meta.owners);
    owners.push_back(controller_reference("apps/v1", "Deployment", deployment.meta));
    patch["metadata"]["ownerReferences"] = std::move(owners);
  }
  if (item.release) {
    std::vector<OwnerRef> owners = set.meta.owners;
    std::erase_if(owners, [&](const OwnerRef& owner) { return owner.uid == deployment.meta.uid; });
    patch["metadata"]["ownerReferences"] = owner_references(owners);
  }
  writer_.patch(caches_.replica_sets, "", set.meta, Guard::kRevision, std::move(patch), pass,
                [this, about = subject("apps/v1", "Deployment", deployment.meta),
                 events = item.events] { record(about, events); });
}

void DeploymentController::record(const EventSubject& about,
                                  const std::vector<PlannedEvent>& events) {
  for (const PlannedEvent& event : events)
    recorder_.record(about, event.warning, event.reason, event.message);
}

void DeploymentController::write_status(const Deployment& deployment,
                                        const DeploymentStatus& status, const Pass& pass) {
  Json json = {{"observedGeneration", status.observed_generation},
               {"replicas", number_or_null(status.replicas)},
               {"updatedReplicas", number_or_null(status.updated)},
               {"readyReplicas", number_or_null(status.ready)},
               {"availableReplicas", number_or_null(status.available)},
               {"unavailableReplicas", number_or_null(status.unavailable)},
               {"conditions", conditions_json(status.conditions, /*with_update_time=*/true)}};
  json["terminatingReplicas"] = status.terminating ? Json(*status.terminating) : Json();
  if (status.collision_count) json["collisionCount"] = *status.collision_count;
  writer_.patch(caches_.deployments, "status", deployment.meta, Guard::kUid,
                {{"status", std::move(json)}}, pass);
}

}  // namespace fairlead::orchestrator::controllers
