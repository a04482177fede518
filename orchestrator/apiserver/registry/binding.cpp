// SPDX-License-Identifier: Apache-2.0
// A pod gets its node (BindingREST of Kubernetes' pkg/registry/core/pod/storage).
#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/registry/write.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::optional<ApiError> check_bindable(const std::string& name, const Json& pod) {
  const std::string bound = string_at(pod, "spec.nodeName");
  const Subject binding{"", "pods/binding", "Pod", name};
  if (!at_path(pod, "metadata.deletionTimestamp").is_null())
    return conflict(binding, "pod " + name + " is being deleted, cannot be assigned to a host");
  if (!bound.empty())
    return conflict(binding, "pod " + name + " is already assigned to node \"" + bound + "\"");
  if (!is_empty(at_path(pod, "spec.schedulingGates")))
    return conflict(binding, "pod " + name + " has non-empty .spec.schedulingGates");
  return std::nullopt;
}

void mark_scheduled(Json& status) {
  Json kept = Json::array();
  if (at(status, "conditions").is_array())
    for (const Json& one : status["conditions"])
      if (string_at(one, "type") != "PodScheduled") kept.push_back(one);
  kept.push_back(
      {{"type", "PodScheduled"}, {"status", "True"}, {"lastTransitionTime", now_text()}});
  status["conditions"] = std::move(kept);
  status.erase("nominatedNodeName");
}

}  // namespace

Outcome<Json> bound_pod(const std::string& name, const Json& binding, const Json& current) {
  if (auto refused = check_bindable(name, current)) return *refused;
  Json next = current;
  for (const char* precondition : {"uid", "resourceVersion"})
    if (const Json& value = at(at(binding, "metadata"), precondition); !is_empty(value))
      next["metadata"][precondition] = value;
  for (const char* words : {"annotations", "labels"})  // the scheduler's, of the node's zone
    if (const Json& given = at(at(binding, "metadata"), words); given.is_object())
      next["metadata"][words].update(given);
  next["spec"]["nodeName"] = string_at(binding, "target.name");
  mark_scheduled(next["status"]);
  return next;
}

}  // namespace fairlead::orchestrator::apiserver
