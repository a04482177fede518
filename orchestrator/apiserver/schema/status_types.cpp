// SPDX-License-Identifier: Apache-2.0
// core/v1 PodStatus and what the node reports of containers.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kStatusTypes = R"(
PodStatus
  allocatedResources map[string]quantity #19
  conditions []PodCondition merge=type #2
  containerStatuses []ContainerStatus #8
  ephemeralContainerStatuses []ContainerStatus #13
  extendedResourceClaimStatus PodExtendedResourceClaimStatus #18
  hostIP string #5
  hostIPs []IPEntry merge=ip #16
  initContainerStatuses []ContainerStatus #10
  message string #3
  nodeAllocatableResourceClaimStatuses []NodeAllocatableResourceClaimStatus #21
  nominatedNodeName string #11
  observedGeneration int64 #17
  phase string ~Pending enum=Pending|Running|Succeeded|Failed|Unknown #1
  podIP string #6
  podIPs []IPEntry merge=ip #12
  qosClass string #9
  reason string #4
  resize string #14
  resourceClaimStatuses []PodResourceClaimStatus #15
  resources ResourceRequirements #20
  startTime time #7
IPEntry
  ip string #1*
PodCondition
  lastProbeTime time #3
  lastTransitionTime time #4
  message string #6
  observedGeneration int64 #7
  reason string #5
  status string required #2*
  type string required #1*
ContainerStatus
  allocatedResources map[string]quantity #10
  allocatedResourcesStatus []ResourceStatus #14
  containerID string #8
  image string #6*
  imageID string #7*
  lastState ContainerState #3
  name string required #1*
  ready bool #4*
  resources ResourceRequirements #11
  restartCount int32 #5*
  started bool #9*
  state ContainerState #2
  stopSignal string #15*
  user ContainerUser #13
  volumeMounts []VolumeMountStatus #12
ContainerState
  running ContainerStateRunning #2
  terminated ContainerStateTerminated #3
  waiting ContainerStateWaiting #1
ContainerStateRunning
  startedAt time #1
ContainerStateTerminated
  containerID string #7
  exitCode int32 #1*
  finishedAt time #6
  message string #4
  reason string #3
  signal int32 #2
  startedAt time #5
ContainerStateWaiting
  message string #2
  reason string #1
PodExtendedResourceClaimStatus
  requestMappings []ContainerExtendedResourceRequest #1
  resourceClaimName string #2*
ContainerExtendedResourceRequest
  containerName string #1*
  requestName string #3*
  resourceName string #2*
NodeAllocatableResourceClaimStatus
  containers []string #2
  mapping []NodeAllocatableMappedResources #4
  overhead []NodeAllocatableOverheadResources #5
  resourceClaimName string #1*
NodeAllocatableMappedResources
  name string #1*
  quantity quantity #2
NodeAllocatableOverheadResources
  name string #1*
  perContainer quantity #3
  perPod quantity #2
PodResourceClaimStatus
  name string #1*
  resourceClaimName string #2*
ResourceStatus
  name string #1*
  resources []ResourceHealth #2
ResourceHealth
  health string #2
  message string #6*
  resourceID string #1*
ContainerUser
  linux LinuxContainerUser #1
LinuxContainerUser
  gid int64 #2*
  supplementalGroups []int64 #3
  uid int64 #1*
VolumeMountStatus
  mountPath string #2*
  name string #1*
  readOnly bool #3
  recursiveReadOnly string #4*
  volumeStatus VolumeStatus #5
VolumeStatus
  image ImageVolumeStatus #1
ImageVolumeStatus
  imageRef string #1
)";

}  // namespace fairlead::orchestrator::apiserver::schema
