// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/node_controller.h"

#include <nlohmann/json.hpp>

#include "base/rfc3339.h"
#include "orchestrator/controllers/node_plan.h"
#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {
namespace {

constexpr const char* kLeaseNamespace = "kube-node-lease";
// A node may be deleted and made again under the same name; its pods are given this long.
constexpr Duration kLostPodGrace = std::chrono::seconds(40);

// The condition list of a live object with `changes` applied by type; fields unknown to us stay.
Json merged_conditions(const Json& live, const std::vector<Condition>& changes) {
  Json list = json::items(json::member(live, "status"), "conditions");
  for (const Condition& change : changes) {
    Json item = {{"type", change.type},
                 {"status", change.status},
                 {"reason", change.reason},
                 {"message", change.message},
                 {"lastTransitionTime", to_rfc3339(change.last_transition)}};
    bool found = false;
    for (Json& existing : list) {
      if (json::text(existing, "type") != change.type) continue;
      existing.update(item);
      found = true;
    }
    if (!found) list.push_back(std::move(item));
  }
  return list;
}

// A pod's conditions with Ready turned to False; what its node said of it stays.
Json unready_conditions(const Json& live, WallTime now) {
  Json list = json::items(json::member(live, "status"), "conditions");
  for (Json& condition : list) {
    if (json::text(condition, "type") != "Ready") continue;
    condition["status"] = "False";
    condition["lastTransitionTime"] = to_rfc3339(now);
  }
  return list;
}

bool is_ready(const Node& node) {
  const Condition* ready = find_condition(node.conditions, "Ready");
  return ready && ready->status == "True";
}

}  // namespace

NodeController::NodeController(Clock& clock, Caches& caches, Writer& writer, Recorder& recorder,
                               Recorder& evictions)
    : clock_(clock),
      caches_(caches),
      writer_(writer),
      recorder_(recorder),
      evictions_(evictions),
      nodes_(clock, {.name = "node"},
             [this](const ObjectKey& key, Pass pass) { work_node(key, pass); }),
      lost_pods_(clock, {.name = "pod garbage"},
                 [this](const ObjectKey& key, Pass pass) { work_pod(key, pass); }) {
  caches_.leases.subscribe([this](const auto& before, const auto& after) {
    if (after && (!before || before->renew_time != after->renew_time)) on_lease(*after);
  });
  caches_.nodes.subscribe(
      [this](const auto& before, const auto& after) { on_node(before, after); });
  caches_.pods.subscribe([this](const auto& before, const auto& after) { on_pod(before, after); });
}

void NodeController::start() {
  // A restart is no sign of death: nobody could be heard while this was not running.
  for (auto& [name, when] : heard_) when = clock_.now();
  for (const auto& [key, pod] : caches_.pods.all())
    if (!pod->node_name.empty() && !caches_.nodes.find({"", pod->node_name}))
      lost_pods_.add_after(key, kLostPodGrace);
  started_ = true;
  for (const auto& [key, node] : caches_.nodes.all()) tell_of(*node, /*comes=*/true);
  nodes_.start();
  lost_pods_.start();
}

void NodeController::on_lease(const Lease& lease) {
  if (lease.meta.ns != kLeaseNamespace) return;
  const auto it = heard_.find(lease.meta.name);
  if (it != heard_.end()) it->second = clock_.now();
}

void NodeController::on_node(const std::shared_ptr<const Node>& before,
                             const std::shared_ptr<const Node>& after) {
  const std::string& name = (after ? after : before)->meta.name;
  const bool some_were_ready = !ready_.empty();
  if (started_ && !(before && after)) tell_of(after ? *after : *before, after != nullptr);
  if (after && is_ready(*after))
    ready_.insert(name);
  else
    ready_.erase(name);
  // What evicts changes on every node with the first that is ready, and with the last.
  if (some_were_ready == ready_.empty())
    for (const auto& [key, node] : caches_.nodes.all()) nodes_.add(key);
  if (after) {
    heard_.try_emplace(name, clock_.now());
    // Only the node itself says that it is ready: a sign of life like its lease.
    if (is_ready(*after) && (!before || !is_ready(*before))) heard_[name] = clock_.now();
    return nodes_.add(after->meta.key());
  }
  heard_.erase(name);
  pods_marked_.erase(name);
  if (const auto it = pods_on_.find(name); it != pods_on_.end())
    for (const ObjectKey& pod : it->second) lost_pods_.add_after(pod, kLostPodGrace);
}

void NodeController::tell_of(const Node& node, bool comes) {
  const std::string& name = node.meta.name;
  recorder_.record(subject("v1", "Node", node.meta), false,
                   comes ? "RegisteredNode" : "RemovingNode",
                   "Node " + name + " event: " +
                       (comes ? "Registered Node " + name + " in Controller"
                              : "Removing Node " + name + " from Controller"));
}

void NodeController::on_pod(const std::shared_ptr<const Pod>& before,
                            const std::shared_ptr<const Pod>& after) {
  const std::string old_node = before ? before->node_name : std::string();
  const std::string new_node = after ? after->node_name : std::string();
  const ObjectKey key = (after ? after : before)->meta.key();
  if (old_node != new_node || !after) {
    if (!old_node.empty()) {
      auto& keys = pods_on_[old_node];
      keys.erase(key);
      if (keys.empty()) pods_on_.erase(old_node);
    }
    if (!new_node.empty()) pods_on_[new_node].insert(key);
  }
  if (before && (!after || after->meta.uid != before->meta.uid))
    beside_taints_.erase(before->meta.uid);
  if (!after) return;
  if (after->node_name.empty()) {
    if (after->meta.deleting) lost_pods_.add(key);
    return;
  }
  const auto node = caches_.nodes.find({"", new_node});
  if (!node) {
    if (started_ && old_node != new_node) lost_pods_.add_after(key, kLostPodGrace);
    return;
  }
  // Pods that come to, or become ready on, a node in trouble are looked at with it.
  if (!node->taints.empty() &&
      (old_node != new_node || !before->ready || before->tolerations != after->tolerations))
    nodes_.add({"", new_node});
}

void NodeController::work_node(const ObjectKey& key, const Pass& pass) {
  const auto node = caches_.nodes.find(key);
  if (!node || node->meta.deleting) return;
  const Duration silent = clock_.now() - heard_[key.name];
  if (silent >= kNodeGrace)
    mark_silent(*node, pass);
  else
    nodes_.add_after(key, kNodeGrace - silent);
  if (const auto taints = wanted_taints(*node, clock_.wall_now())) set_taints(*node, *taints, pass);
  mark_pods_unready(*node, pass);
  evict_pods(*node, pass);
}

void NodeController::mark_silent(const Node& node, const Pass& pass) {
  const auto conditions = silent_conditions(node, clock_.wall_now());
  if (!conditions) return;
  const auto live = writer_.api().get(caches_.nodes.resource(), node.meta.key());
  if (!live) return pass.fail(live.error());
  const Result<Json> json = parse_object(*live);
  if (!json) return pass.fail(json.error());
  writer_.patch(caches_.nodes, "status", node.meta, Guard::kRevision,
                {{"status", {{"conditions", merged_conditions(*json, *conditions)}}}}, pass,
                [this, about = subject("v1", "Node", node.meta), name = node.meta.name] {
                  recorder_.record(about, false, "NodeNotReady",
                                   "Node " + name + " status is now: NodeNotReady");
                });
}

void NodeController::set_taints(const Node& node, const std::vector<Taint>& taints,
                                const Pass& pass) {
  Json list = Json::array();
  for (const Taint& taint : taints) {
    Json item = {{"key", taint.key}, {"effect", taint.effect}};
    if (!taint.value.empty()) item["value"] = taint.value;
    if (taint.added != WallTime{}) item["timeAdded"] = to_rfc3339(taint.added);
    list.push_back(std::move(item));
  }
  writer_.patch(caches_.nodes, "", node.meta, Guard::kRevision,
                {{"spec", {{"taints", list.empty() ? Json() : std::move(list)}}}}, pass);
}

// While a node is silent nobody else writes its pods' status, so each ready pod found is told. A
// node that says itself it is not ready is believed once: its runner keeps its pods' status.
void NodeController::mark_pods_unready(const Node& node, const Pass& pass) {
  const Condition* ready = find_condition(node.conditions, "Ready");
  if (!ready || ready->status == "True") {
    pods_marked_.erase(node.meta.name);
    return;
  }
  const auto marked = pods_marked_.find(node.meta.name);
  const bool told = marked != pods_marked_.end() && marked->second == ready->last_transition;
  if (told && ready->status != "Unknown") return;
  pods_marked_[node.meta.name] = ready->last_transition;
  const auto pods = pods_on_.find(node.meta.name);
  if (pods == pods_on_.end()) return;
  for (const ObjectKey& key : pods->second) {
    const auto pod = caches_.pods.find(key);
    if (!pod || !pod->ready || pod->terminal()) continue;
    const auto live = writer_.api().get(caches_.pods.resource(), key);
    const Result<Json> json = live ? parse_object(*live) : Result<Json>(live.error());
    if (!json) continue;  // gone meanwhile: the watch will say so
    writer_.patch(caches_.pods, "status", pod->meta, Guard::kRevision,
                  {{"status", {{"conditions", unready_conditions(*json, clock_.wall_now())}}}},
                  pass, [this, about = subject("v1", "Pod", pod->meta)] {
                    recorder_.record(about, true, "NodeNotReady", "Node is not ready");
                  });
  }
}

void NodeController::evict_pods(const Node& node, const Pass& pass) {
  const auto pods = pods_on_.find(node.meta.name);
  if (pods == pods_on_.end()) return;
  const std::vector<Taint> taints = evicting_taints(node, !ready_.empty());
  for (const ObjectKey& key : pods->second) {
    const auto pod = caches_.pods.find(key);
    if (!pod || pod->meta.deleting || pod->terminal()) continue;
    const auto stay = allowed_stay(*pod, taints);
    if (!stay) {
      if (beside_taints_.erase(pod->meta.uid) > 0)
        evictions_.record(subject("v1", "Pod", pod->meta), false, "TaintManagerEviction",
                          "Cancelling deletion of Pod " + key.to_string());
      continue;
    }
    const MonoTime since = beside_taints_.try_emplace(pod->meta.uid, clock_.now()).first->second;
    const Duration left = since + *stay - clock_.now();
    if (left > Duration::zero()) {
      nodes_.add_after(node.meta.key(), left);
      continue;
    }
    disrupt(*pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", {},
            pass, [this, about = subject("v1", "Pod", pod->meta), key] {
              evictions_.record(about, false, "TaintManagerEviction",
                                "Marking for deletion Pod " + key.to_string());
            });
  }
}

// Deletes the pod of somebody who will want to know that it was not the pod's own doing (KEP-3329).
// With no grace nobody else will say how it ended.
void NodeController::disrupt(const Pod& pod, const char* reason, const char* message,
                             const DeleteOptions& options, const Pass& pass, Writer::Next before) {
  const auto live = writer_.api().get(caches_.pods.resource(), pod.meta.key());
  const Result<Json> json = live ? parse_object(*live) : Result<Json>(live.error());
  if (!json) return;  // gone meanwhile: the watch will say so
  const WallTime now = std::chrono::floor<std::chrono::seconds>(clock_.wall_now());
  Json status;
  status["conditions"] =
      merged_conditions(*json, {{"DisruptionTarget", "True", reason, message, {}, now}});
  for (Json& condition : status["conditions"])
    if (json::text(condition, "type") == "DisruptionTarget")
      condition["observedGeneration"] = pod.meta.generation;
  if (options.grace_period_seconds == 0 && !pod.terminal()) status["phase"] = "Failed";
  writer_.patch(caches_.pods, "status", pod.meta, Guard::kRevision, {{"status", std::move(status)}},
                pass, [this, meta = pod.meta, options, pass, before = std::move(before)] {
                  if (before) before();
                  writer_.remove(caches_.pods, meta, options, pass);
                });
}

void NodeController::work_pod(const ObjectKey& key, const Pass& pass) {
  const auto pod = caches_.pods.find(key);
  if (!pod) return;
  const DeleteOptions now{
      .uid = "", .resource_version = "", .grace_period_seconds = 0, .propagation_policy = ""};
  if (pod->node_name.empty()) {
    if (pod->meta.deleting && pod->meta.finalizers.empty())
      writer_.remove(caches_.pods, pod->meta, now, pass);
    return;
  }
  if (caches_.nodes.find({"", pod->node_name})) return;
  const auto live = writer_.api().get(caches_.nodes.resource(), {"", pod->node_name});
  if (live) return;
  if (!live.error().is_not_found()) return pass.fail(live.error());
  disrupt(*pod, "DeletionByPodGC", "PodGC: node no longer exists", now, pass, {});
}

}  // namespace fairlead::orchestrator::controllers
