// SPDX-License-Identifier: Apache-2.0
// The status of a pod as the API has it, from what the runtime has. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "orchestrator/node/pod_machine.h"

namespace fairlead::orchestrator {

struct StatusInput {
  const PodInput& pod;
  const nlohmann::json& previous;  // the object's status as last read or written
  std::string host_ip;
};

// The whole status. Times of conditions that did not change are kept from `previous`; conditions of
// types that are not ours (readiness gates, PodScheduled) are kept as they are.
nlohmann::json pod_status(const StatusInput& input);

// The strategic merge patch that writes a pod_status: conditions of others, which may have changed
// since, are not in it; lists of addresses are replaced. `uid`: of the pod that is meant.
nlohmann::json pod_status_patch(const std::string& uid, const nlohmann::json& status);

// The run of a container whose log is meant: that of its state, else of its lastState; `previous`:
// that of its lastState. kInvalid, in the kubelet's words (validateContainerLogStatus), when there
// is none. Valid as long as the runtime's containers are.
Result<const ContainerInfo*> log_source(const PodInput& pod, const std::string& container,
                                        bool previous);

// Why the pod's containers are not there yet, where it is not their own doing: "ContainerCreating",
// "PodInitializing", a failure's reason, "CrashLoopBackOff".
Failure waiting_reason(const PodInput& pod, const ContainerSpec& spec, bool init);

}  // namespace fairlead::orchestrator
