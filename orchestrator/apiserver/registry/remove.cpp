// SPDX-License-Identifier: Apache-2.0
// Deleting: preconditions, finalizers, grace periods, namespaces.
#include <algorithm>

#include "orchestrator/apiserver/registry/write.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr const char* kPermanent[] = {"default", "kube-system", "kube-public"};

std::optional<ApiError> check(const Kind& kind, const Json& current, const DeleteOptions& options) {
  const std::string name = string_at(current, "metadata.name");
  const std::string uid = string_at(current, "metadata.uid");
  const std::string version = string_at(current, "metadata.resourceVersion");
  const Subject found{kind.group, kind.kind, kind.kind, name};  // BeforeDelete() names the kind
  if (!options.uid.empty() && options.uid != uid)
    return conflict(found, "the UID in the precondition (" + options.uid +
                               ") does not match the UID in record (" + uid +
                               "). The object might have been deleted and then recreated");
  if (!options.resource_version.empty() && options.resource_version != version)
    return conflict(found, "the ResourceVersion in the precondition (" + options.resource_version +
                               ") does not match the ResourceVersion in record (" + version +
                               "). The object might have been modified");
  if (kind.behaviour == Behaviour::kNamespace &&
      std::find(std::begin(kPermanent), std::end(kPermanent), name) != std::end(kPermanent))
    return forbidden(kind.subject(name), "this namespace may not be deleted");
  const std::string& policy = options.propagation_policy;
  if (!policy.empty() && policy != "Background" && policy != "Foreground" && policy != "Orphan")
    return invalid({"meta.k8s.io", "", "DeleteOptions", ""},
                   {unsupported_value("propagationPolicy", "\"" + policy + "\"",
                                      {"Foreground", "Background", "Orphan", "nil"})});
  return std::nullopt;
}

// Seconds the object still has; only pods that run somewhere have any.
int64_t grace_of(const Kind& kind, const Json& current, const DeleteOptions& options) {
  if (kind.behaviour != Behaviour::kPod) return 0;
  const std::string phase = string_at(current, "status.phase");
  if (string_at(current, "spec.nodeName").empty() || phase == "Succeeded" || phase == "Failed")
    return 0;
  if (options.grace_period_seconds >= 0) return options.grace_period_seconds;
  return std::max<int64_t>(0, int_at(current, "spec.terminationGracePeriodSeconds", 30));
}

// Nothing depends on an Event, and the garbage collector, which would take the finalizer off again,
// does not see it (as Kubernetes' event strategy, whose garbage collection is "unsupported").
bool has_policy(const Kind& kind) {
  return kind.plural != "events";
}

// That of the policy takes the place of an earlier one's; without a policy that one stays
// (deletionFinalizersForGarbageCollection() of Kubernetes' registry).
void set_policy_finalizer(Json& object, const std::string& policy) {
  if (policy.empty()) return;
  const Json& before = at_path(object, "metadata.finalizers");
  Json finalizers = Json::array();
  for (const Json& one : before.is_array() ? before : Json::array())
    if (one != "orphan" && one != "foregroundDeletion") finalizers.push_back(one);
  if (policy != "Background")
    finalizers.push_back(policy == "Orphan" ? "orphan" : "foregroundDeletion");
  if (finalizers.empty())
    object["metadata"].erase("finalizers");
  else
    object["metadata"]["finalizers"] = std::move(finalizers);
}

// Less grace, from when it began; what is left is in the future, and a second where there is any.
void shrink(Json& metadata, int64_t grace, WallTime now) {
  const auto end = parse_timestamp(string_at(metadata, "deletionTimestamp"));
  if (!end) return;
  const auto shrunk = std::chrono::seconds(int_at(metadata, "deletionGracePeriodSeconds") - grace);
  const bool passed = *end - shrunk < now;
  metadata["deletionTimestamp"] = timestamp(passed ? now : *end - shrunk);
  metadata["deletionGracePeriodSeconds"] = passed && grace != 0 ? 1 : grace;
}

// The object with the marks of this deletion. Grace may only shrink.
Json mark(const Kind& kind, const Json& current, const DeleteOptions& options) {
  Json next = current;
  Json& metadata = next["metadata"];
  const int64_t grace = grace_of(kind, current, options);
  const bool first = at(metadata, "deletionTimestamp").is_null();
  if (has_policy(kind)) set_policy_finalizer(next, options.propagation_policy);
  if (first || grace < int_at(metadata, "deletionGracePeriodSeconds")) {
    const auto now = std::chrono::system_clock::now();
    if (first) {
      metadata["deletionTimestamp"] = timestamp(now + std::chrono::seconds(grace));
      metadata["deletionGracePeriodSeconds"] = grace;
      if (kind.has_generation) metadata["generation"] = int_at(metadata, "generation") + 1;
    } else {
      shrink(metadata, grace, now);
    }
  }
  if (kind.behaviour == Behaviour::kNamespace) next["status"]["phase"] = "Terminating";
  return next;
}

}  // namespace

void Registry::remove(const Kind& kind, const kube::ObjectKey& key, DeleteOptions options,
                      WriteOptions write_options, Loop& loop, WrittenDone done) {
  auto write = std::make_shared<Write>(kind, loop, write_options, std::move(done));
  write->action = Write::Action::kRemove;
  write->key = key;
  write->delete_options = std::move(options);
  attempt_remove(std::move(write));
}

void Registry::attempt_remove(WriteRef write) {
  const Kind& kind = write->kind;
  auto entry = store_.get(kind.key(write->key.ns, write->key.name));
  if (!entry) return answer(*write, not_found(kind.subject(write->key.name)));
  write->revision = entry->mod_revision;
  const Json current = decode_stored(entry->value);
  if (auto refused = check(kind, current, write->delete_options)) return answer(*write, *refused);
  const Json marked = mark(kind, current, write->delete_options);
  const bool goes = ready_to_go(kind, marked);
  if (marked == current && !goes) return answer(*write, Written{entry->value, false, false});
  // Only what goes with grace is told of its end; other things are last seen as they were.
  const bool graceful = kind.behaviour == Behaviour::kPod;
  put_or_remove(write, goes && !graceful ? current : marked, current, goes);
}

}  // namespace fairlead::orchestrator::apiserver
