// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/deployment_status.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

constexpr const char* kComplete = "NewReplicaSetAvailable";
constexpr const char* kTimedOut = "ProgressDeadlineExceeded";
constexpr const char* kPaused = "DeploymentPaused";

// One condition list being written: unchanged status and reason leave a condition as it is, an
// unchanged status keeps its transition time.
class Conditions {
 public:
  Conditions(std::vector<Condition>& list, WallTime now) : list_(list), now_(now) {}

  const Condition* find(const std::string& type) const { return find_condition(list_, type); }
  void set(const char* type, const char* status, const char* reason, std::string message) {
    const Condition* current = find(type);
    if (current && current->status == status && current->reason == reason) return;
    refresh(type, status, reason, std::move(message));
  }
  // Even the same status and reason get a new update time: progress was made.
  void refresh(const char* type, const char* status, const char* reason, std::string message) {
    Condition next{type, status, reason, std::move(message), now_, now_};
    for (Condition& condition : list_) {
      if (condition.type != type) continue;
      if (condition.status == status) next.last_transition = condition.last_transition;
      condition = std::move(next);
      return;
    }
    list_.push_back(std::move(next));
  }
  void remove(const std::string& type) {
    std::erase_if(list_, [&](const Condition& condition) { return condition.type == type; });
  }

 private:
  std::vector<Condition>& list_;
  const WallTime now_;
};

bool has_deadline(const Deployment& deployment) {
  return deployment.progress_deadline_seconds != std::numeric_limits<int32_t>::max();
}

bool progressed(const DeploymentStatus& before, const DeploymentStatus& after) {
  return after.updated > before.updated ||
         after.replicas - after.updated < before.replicas - before.updated ||
         after.ready > before.ready || after.available > before.available;
}

DeploymentStatus count(const StatusInput& input) {
  const Deployment& deployment = input.deployment;
  DeploymentStatus status;
  status.observed_generation = deployment.meta.generation;
  status.collision_count = deployment.status.collision_count;
  if (input.collided) status.collision_count = status.collision_count.value_or(0) + 1;
  status.conditions = deployment.status.conditions;
  int wanted = 0;
  status.terminating = 0;
  for (const ReplicaSetRef& set : input.sets) {
    wanted += set->replicas;
    status.replicas += set->status.replicas;
    status.ready += set->status.ready;
    status.available += set->status.available;
    if (status.terminating && set->status.terminating)
      *status.terminating += *set->status.terminating;
    else
      status.terminating.reset();
  }
  if (input.new_set) status.updated = input.new_set->status.replicas;
  status.unavailable = std::max(wanted - status.available, 0);
  return status;
}

void set_available(const StatusInput& input, DeploymentStatus& status, Conditions& conditions) {
  if (status.available >= input.deployment.replicas - input.bounds.unavailable)
    conditions.set("Available", "True", "MinimumReplicasAvailable",
                   "Deployment has minimum availability.");
  else
    conditions.set("Available", "False", "MinimumReplicasUnavailable",
                   "Deployment does not have minimum availability.");
}

// A set that could not create its pods says so; the Deployment repeats it.
void set_failure(const StatusInput& input, Conditions& conditions) {
  const Condition* failure = nullptr;
  for (const ReplicaSetRef& set : input.sets)
    if (const Condition* found = find_condition(set->status.conditions, "ReplicaFailure"))
      if (!failure || set == input.new_set) failure = found;
  if (failure)
    conditions.set("ReplicaFailure", failure->status.c_str(), failure->reason.c_str(),
                   failure->message);
  else
    conditions.remove("ReplicaFailure");
}

bool timed_out(const StatusInput& input, const Condition* current) {
  if (!current || current->reason == kComplete || current->reason == kPaused) return false;
  if (current->reason == kTimedOut) return true;
  return input.now >= current->last_update + seconds(input.deployment.progress_deadline_seconds);
}

void set_progress(const StatusInput& input, DeploymentStatus& status, Conditions& conditions) {
  const std::string subject = input.new_set
                                  ? fmt::format("ReplicaSet \"{}\"", input.new_set->meta.name)
                                  : fmt::format("Deployment \"{}\"", input.deployment.meta.name);
  const Condition* current = conditions.find("Progressing");
  const bool of_this_set =
      current && input.new_set &&
      current->message.find('"' + input.new_set->meta.name + '"') != std::string::npos;
  if (current && current->reason == kComplete && of_this_set && status.replicas == status.updated)
    return;  // a finished rollout stays finished when its pods come and go
  if (!input.created.empty())
    return conditions.refresh("Progressing", "True", "NewReplicaSetCreated",
                              fmt::format("Created new replica set \"{}\"", input.created));
  if (is_complete(input.deployment, status))
    return conditions.set("Progressing", "True", kComplete,
                          subject + " has successfully progressed.");
  if (input.new_set && (!current || (current->reason == kComplete && !of_this_set)))
    return conditions.refresh(
        "Progressing", "True", "FoundNewReplicaSet",
        fmt::format("Found new replica set \"{}\"", input.new_set->meta.name));
  if (progressed(input.deployment.status, status))
    return conditions.refresh("Progressing", "True", "ReplicaSetUpdated",
                              subject + " is progressing.");
  if (timed_out(input, current))
    conditions.set("Progressing", "False", kTimedOut, subject + " has timed out progressing.");
}

void set_paused(const StatusInput& input, Conditions& conditions) {
  const Condition* current = conditions.find("Progressing");
  const bool said = current && current->reason == kPaused;
  if (current && current->reason == kTimedOut) return;
  if (input.deployment.paused && !said)
    conditions.set("Progressing", "Unknown", kPaused, "Deployment is paused");
  else if (!input.deployment.paused && said)
    conditions.set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
}

std::optional<Duration> deadline_in(const StatusInput& input, const DeploymentStatus& status) {
  const Condition* current = find_condition(status.conditions, "Progressing");
  if (!has_deadline(input.deployment) || input.deployment.paused ||
      input.deployment.meta.deleting || !current || current->reason == kComplete ||
      current->reason == kTimedOut || current->reason == kPaused)
    return std::nullopt;
  return current->last_update + seconds(input.deployment.progress_deadline_seconds) - input.now;
}

}  // namespace

bool is_complete(const Deployment& deployment, const DeploymentStatus& status) {
  return status.updated == deployment.replicas && status.replicas == deployment.replicas &&
         status.available == deployment.replicas &&
         status.observed_generation >= deployment.meta.generation;
}

StatusPlan plan_status(const StatusInput& input) {
  StatusPlan result;
  result.status = count(input);
  // Stored times have whole seconds; what is not stored must not differ from what is.
  Conditions conditions(result.status.conditions, std::chrono::floor<seconds>(input.now));
  set_available(input, result.status, conditions);
  set_failure(input, conditions);
  if (!has_deadline(input.deployment)) {
    conditions.remove("Progressing");
  } else {
    set_paused(input, conditions);
    if (!input.deployment.paused && !input.deployment.meta.deleting)
      set_progress(input, result.status, conditions);
  }
  result.recheck = deadline_in(input, result.status);
  return result;
}

}  // namespace fairlead::orchestrator::controllers
