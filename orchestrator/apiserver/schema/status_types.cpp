// SPDX-License-Identifier: Apache-2.0
// core/v1 PodStatus and what the node reports of containers.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kStatusTypes = R"(
PodStatus
  allocatedResources map[string]quantity
  conditions []PodCondition merge=type
  containerStatuses []ContainerStatus
  ephemeralContainerStatuses []ContainerStatus
  extendedResourceClaimStatus any
  hostIP string
  hostIPs []IPEntry merge=ip
  initContainerStatuses []ContainerStatus
  message string
  nodeAllocatableResourceClaimStatuses []any
  nominatedNodeName string
  observedGeneration int64
  phase string ~Pending enum=Pending|Running|Succeeded|Failed|Unknown
  podIP string
  podIPs []IPEntry merge=ip
  qosClass string
  reason string
  resize string
  resourceClaimStatuses []any
  resources ResourceRequirements
  startTime time
IPEntry
  ip string
PodCondition
  lastProbeTime time
  lastTransitionTime time
  message string
  observedGeneration int64
  reason string
  status string required
  type string required
ContainerStatus
  allocatedResources map[string]quantity
  allocatedResourcesStatus []any
  containerID string
  image string
  imageID string
  lastState ContainerState
  name string required
  ready bool
  resources ResourceRequirements
  restartCount int32
  started bool
  state ContainerState
  stopSignal string
  user any
  volumeMounts []any
ContainerState
  running ContainerStateRunning
  terminated ContainerStateTerminated
  waiting ContainerStateWaiting
ContainerStateRunning
  startedAt time
ContainerStateTerminated
  containerID string
  exitCode int32
  finishedAt time
  message string
  reason string
  signal int32
  startedAt time
ContainerStateWaiting
  message string
  reason string
)";

}  // namespace fairlead::orchestrator::apiserver::schema
