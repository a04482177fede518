// SPDX-License-Identifier: Apache-2.0
// core/v1 Namespace, Node, ConfigMap, Secret, Event; coordination.k8s.io/v1 Lease.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kCoreTypes = R"(
Namespace
  apiVersion string
  kind string
  metadata ObjectMeta
  spec NamespaceSpec ={}
  status NamespaceStatus ={}
NamespaceSpec
  finalizers []string
NamespaceStatus
  conditions []Condition merge=type
  phase string =Active enum=Active|Terminating
Node
  apiVersion string
  kind string
  metadata ObjectMeta
  spec NodeSpec ={}
  status NodeStatus ={}
NodeSpec
  configSource any
  externalID string
  podCIDR string
  podCIDRs []string merge=. format=cidrs
  providerID string
  taints []Taint
  unschedulable bool
Taint
  effect string required enum=NoSchedule|PreferNoSchedule|NoExecute
  key string required format=labelkey
  timeAdded time
  value string format=labelvalue
NodeStatus
  addresses []NodeAddress merge=type
  allocatable map[string]quantity
  capacity map[string]quantity
  conditions []NodeCondition merge=type
  config any
  daemonEndpoints NodeDaemonEndpoints
  declaredFeatures []string
  features any
  images []ContainerImage
  nodeInfo NodeSystemInfo
  phase string
  runtimeHandlers []any
  volumesAttached []AttachedVolume
  volumesInUse []string
NodeAddress
  address string required
  type string required
NodeCondition
  lastHeartbeatTime time
  lastTransitionTime time
  message string
  reason string
  status string required
  type string required
NodeDaemonEndpoints
  kubeletEndpoint DaemonEndpoint
DaemonEndpoint
  Port int32
ContainerImage
  names []string
  sizeBytes int64
AttachedVolume
  devicePath string
  name string
NodeSystemInfo
  architecture string
  bootID string
  containerRuntimeVersion string
  kernelVersion string
  kubeProxyVersion string
  kubeletVersion string
  machineID string
  operatingSystem string
  osImage string
  swap any
  systemUUID string
ConfigMap
  apiVersion string
  binaryData map[string]bytes format=configkeys
  data map[string]string format=configkeys
  immutable bool
  kind string
  metadata ObjectMeta
Secret
  apiVersion string
  data map[string]bytes format=configkeys
  immutable bool
  kind string
  metadata ObjectMeta
  stringData map[string]string format=configkeys
  type string =Opaque immutable
Event
  action string
  apiVersion string
  count int32
  eventTime microtime
  firstTimestamp time
  involvedObject ObjectReference ={}
  kind string
  lastTimestamp time
  message string
  metadata ObjectMeta
  reason string
  related ObjectReference
  reportingComponent string
  reportingInstance string
  series EventSeries
  source EventSource ={}
  type string
EventSeries
  count int32
  lastObservedTime microtime
EventSource
  component string
  host string
Lease
  apiVersion string
  kind string
  metadata ObjectMeta
  spec LeaseSpec
LeaseSpec
  acquireTime microtime
  holderIdentity string
  leaseDurationSeconds int32 min=1
  leaseTransitions int32 min=0
  preferredHolder string
  renewTime microtime
  strategy string
)";

}  // namespace fairlead::orchestrator::apiserver::schema
