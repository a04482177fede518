// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

const Json& items(const Json& object, std::string_view path) {
  static const Json kEmpty = Json::array();
  const Json& list = at_path(object, path);
  return list.is_array() ? list : kEmpty;
}

bool restartable_init(const Json& pod, const std::string& name) {
  const Json& containers = items(pod, "spec.initContainers");
  return std::any_of(containers.begin(), containers.end(), [&](const Json& one) {
    return string_at(one, "name") == name && string_at(one, "restartPolicy") == "Always";
  });
}

std::string terminated_reason(const Json& terminated) {
  const std::string reason = string_at(terminated, "reason");
  if (!reason.empty()) return reason;
  if (int_at(terminated, "signal") != 0)
    return "Signal:" + std::to_string(int_at(terminated, "signal"));
  return "ExitCode:" + std::to_string(int_at(terminated, "exitCode"));
}

// The state of the first init container that is not done; empty when all are.
std::string init_status(const Json& pod) {
  const Json& statuses = items(pod, "status.initContainerStatuses");
  for (size_t i = 0; i < statuses.size(); ++i) {
    const Json& one = statuses[i];
    const Json& terminated = at_path(one, "state.terminated");
    if (terminated.is_object() && int_at(terminated, "exitCode") == 0) continue;
    if (restartable_init(pod, string_at(one, "name")) && bool_at(one, "started")) continue;
    if (terminated.is_object()) return "Init:" + terminated_reason(terminated);
    const std::string waiting = string_at(one, "state.waiting.reason");
    if (!waiting.empty() && waiting != "PodInitializing") return "Init:" + waiting;
    return "Init:" + std::to_string(i) + "/" +
           std::to_string(items(pod, "spec.initContainers").size());
  }
  return "";
}

bool pod_ready(const Json& pod) {
  const Json& conditions = items(pod, "status.conditions");
  return std::any_of(conditions.begin(), conditions.end(), [](const Json& one) {
    return string_at(one, "type") == "Ready" && string_at(one, "status") == "True";
  });
}

// kubectl's STATUS column (printPod).
std::string pod_status(const Json& pod) {
  std::string reason = string_at(pod, "status.phase");
  if (!string_at(pod, "status.reason").empty()) reason = string_at(pod, "status.reason");
  for (const Json& condition : items(pod, "status.conditions"))
    if (string_at(condition, "type") == "PodScheduled" &&
        string_at(condition, "reason") == "SchedulingGated")
      reason = "SchedulingGated";
  const std::string init = init_status(pod);
  if (!init.empty()) {
    reason = init;
  } else {
    bool running = false;
    const Json& statuses = items(pod, "status.containerStatuses");
    for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
      const std::string waiting = string_at(*it, "state.waiting.reason");
      const Json& terminated = at_path(*it, "state.terminated");
      if (!waiting.empty())
        reason = waiting;
      else if (terminated.is_object())
        reason = terminated_reason(terminated);
      else if (bool_at(*it, "ready") && at_path(*it, "state.running").is_object())
        running = true;
    }
    if (reason == "Completed" && running) reason = pod_ready(pod) ? "Running" : "NotReady";
  }
  if (!at_path(pod, "metadata.deletionTimestamp").is_null()) {
    if (string_at(pod, "status.reason") == "NodeLost") return "Unknown";
    const std::string phase = string_at(pod, "status.phase");
    if (phase != "Succeeded" && phase != "Failed") return "Terminating";
  }
  return reason;
}

Json status_cell(const Json& pod, WallTime) {
  return pod_status(pod);
}

Json ready_cell(const Json& pod, WallTime) {
  int64_t ready = 0;
  int64_t total = static_cast<int64_t>(items(pod, "spec.containers").size());
  for (const Json& one : items(pod, "status.containerStatuses"))
    if (bool_at(one, "ready") && at_path(one, "state.running").is_object()) ++ready;
  for (const Json& one : items(pod, "spec.initContainers"))
    if (string_at(one, "restartPolicy") == "Always") ++total;
  for (const Json& one : items(pod, "status.initContainerStatuses"))
    if (restartable_init(pod, string_at(one, "name")) && bool_at(one, "ready")) ++ready;
  return std::to_string(ready) + "/" + std::to_string(total);
}

Json restarts_cell(const Json& pod, WallTime now) {
  const bool initializing = !init_status(pod).empty();
  int64_t restarts = 0;
  std::string last;
  for (const char* list : {"status.initContainerStatuses", "status.containerStatuses"}) {
    const bool init = std::string_view(list) == "status.initContainerStatuses";
    for (const Json& one : items(pod, list)) {
      if (init != initializing && !(init && restartable_init(pod, string_at(one, "name"))))
        continue;
      restarts += int_at(one, "restartCount");
      last = std::max(last, string_at(one, "lastState.terminated.finishedAt"));
    }
  }
  if (restarts == 0 || last.empty()) return std::to_string(restarts);
  return std::to_string(restarts) + " (" + age_of(last, now) + " ago)";
}

Json or_none(std::string text) {
  return text.empty() ? "<none>" : text;
}

Json ip_cell(const Json& pod, WallTime) {
  const Json& ips = items(pod, "status.podIPs");
  return or_none(ips.empty() ? string_at(pod, "status.podIP") : string_at(ips[0], "ip"));
}
Json node_cell(const Json& pod, WallTime) {
  return or_none(string_at(pod, "spec.nodeName"));
}
Json nominated_cell(const Json& pod, WallTime) {
  return or_none(string_at(pod, "status.nominatedNodeName"));
}

Json gates_cell(const Json& pod, WallTime) {
  const Json& gates = items(pod, "spec.readinessGates");
  if (gates.empty()) return "<none>";
  size_t open = 0;
  for (const Json& gate : gates)
    for (const Json& condition : items(pod, "status.conditions"))
      if (string_at(condition, "type") == string_at(gate, "conditionType") &&
          string_at(condition, "status") == "True")
        ++open;
  return std::to_string(open) + "/" + std::to_string(gates.size());
}

constexpr Column kColumns[] = {
    kNameColumn,
    {"Ready", "string", "", 0, "The aggregate readiness state of this pod for accepting traffic.",
     ready_cell},
    {"Status", "string", "", 0, "The aggregate status of the containers in this pod.", status_cell},
    {"Restarts", "string", "", 0,
     "The number of times the containers in this pod have been restarted and when the last "
     "container "
     "in this pod has restarted.",
     restarts_cell},
    kAgeColumn,
    {"IP", "string", "", 1, "podIP address allocated to the pod.", ip_cell},
    {"Node", "string", "", 1, "The node this pod is bound to.", node_cell},
    {"Nominated Node", "string", "", 1, "The node the scheduler made room on for this pod.",
     nominated_cell},
    {"Readiness Gates", "string", "", 1,
     "Conditions beyond the containers' that readiness waits for.", gates_cell},
};

}  // namespace

const std::span<const Column> kPodColumns = kColumns;

}  // namespace fairlead::orchestrator::apiserver
