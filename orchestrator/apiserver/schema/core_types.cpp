// SPDX-License-Identifier: Apache-2.0
// core/v1 Namespace, Node, ConfigMap, Secret, Event; coordination.k8s.io/v1 Lease.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kCoreTypes = R"(
Namespace
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec NamespaceSpec ={} #2
  status NamespaceStatus ={} #3
NamespaceSpec
  finalizers []string format=finalizer #1
NamespaceStatus
  conditions []NamespaceCondition merge=type #2
  phase string =Active #1
NamespaceCondition
  lastTransitionTime time #4
  message string #6
  reason string #5
  status string required enum=True|False|Unknown #2*
  type string required #1*
Node
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec NodeSpec ={} #2
  status NodeStatus ={} #3
NodeSpec
  configSource NodeConfigSource #6
  externalID string #2
  podCIDR string #1
  podCIDRs []string merge=. format=cidrs #7
  providerID string #3
  taints []Taint #5
  unschedulable bool #4
Taint
  effect string required enum=NoSchedule|PreferNoSchedule|NoExecute #3*
  key string required format=labelkey #1*
  timeAdded time #4
  value string format=labelvalue #2
NodeStatus
  addresses []NodeAddress merge=type #5
  allocatable map[string]quantity #2
  capacity map[string]quantity #1
  conditions []NodeCondition merge=type #4
  config NodeConfigStatus #11
  daemonEndpoints NodeDaemonEndpoints #6
  declaredFeatures []string #14
  features NodeFeatures #13
  images []ContainerImage #8
  nodeInfo NodeSystemInfo #7
  phase string #3
  runtimeHandlers []NodeRuntimeHandler #12
  volumesAttached []AttachedVolume #10
  volumesInUse []string #9
NodeConfigSource
  configMap ConfigMapNodeConfigSource #2
ConfigMapNodeConfigSource
  kubeletConfigKey string #5*
  name string #2*
  namespace string #1*
  resourceVersion string #4
  uid string #3
NodeConfigStatus
  active NodeConfigSource #2
  assigned NodeConfigSource #1
  error string #4
  lastKnownGood NodeConfigSource #3
NodeFeatures
  supplementalGroupsPolicy bool #1*
NodeRuntimeHandler
  features NodeRuntimeHandlerFeatures #2
  name string #1*
NodeRuntimeHandlerFeatures
  recursiveReadOnlyMounts bool #1*
  userNamespaces bool #2*
NodeSwapStatus
  capacity int64 #1*
NodeAddress
  address string required #2*
  type string required #1*
NodeCondition
  lastHeartbeatTime time #3
  lastTransitionTime time #4
  message string #6
  reason string #5
  status string required #2*
  type string required #1*
NodeDaemonEndpoints
  kubeletEndpoint DaemonEndpoint #1
DaemonEndpoint
  Port int32 #1*
ContainerImage
  names []string #1
  sizeBytes int64 #2
AttachedVolume
  devicePath string #2*
  name string #1*
NodeSystemInfo
  architecture string #10*
  bootID string #3*
  containerRuntimeVersion string #6*
  kernelVersion string #4*
  kubeProxyVersion string #8*
  kubeletVersion string #7*
  machineID string #1*
  operatingSystem string #9*
  osImage string #5*
  swap NodeSwapStatus #11
  systemUUID string #2*
ConfigMap
  apiVersion string #-
  binaryData map[string]bytes format=configkeys #3
  data map[string]string format=configkeys #2
  immutable bool #4*
  kind string #-
  metadata ObjectMeta #1
Secret
  apiVersion string #-
  data map[string]bytes format=configkeys #2
  immutable bool #5*
  kind string #-
  metadata ObjectMeta #1
  stringData map[string]string format=configkeys #4
  type string =Opaque immutable #3
Event
  action string #12
  apiVersion string #-
  count int32 #8
  eventTime microtime #10
  firstTimestamp time #6
  involvedObject ObjectReference ={} #2
  kind string #-
  lastTimestamp time #7
  message string #4
  metadata ObjectMeta #1
  reason string #3
  related ObjectReference #13
  reportingComponent string #14*
  reportingInstance string #15*
  series EventSeries #11
  source EventSource ={} #5
  type string #9
EventSeries
  count int32 #1
  lastObservedTime microtime #2
EventSource
  component string #1
  host string #2
# events.k8s.io/v1: its numbers are its own, the JSON is renamed (Kind::renames).
EventsEvent
  action string #6
  apiVersion string #-
  deprecatedCount int32 #15
  deprecatedFirstTimestamp time #13
  deprecatedLastTimestamp time #14
  deprecatedSource EventSource #12
  eventTime microtime #2
  kind string #-
  metadata ObjectMeta #1
  note string #10
  reason string #7
  regarding ObjectReference #8
  related ObjectReference #9
  reportingController string #4
  reportingInstance string #5
  series EventsSeries #3
  type string #11
EventsSeries
  count int32 #1*
  lastObservedTime microtime #2
Lease
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec LeaseSpec #2
LeaseSpec
  acquireTime microtime #3
  holderIdentity string #1*
  leaseDurationSeconds int32 min=1 #2*
  leaseTransitions int32 min=0 #5*
  preferredHolder string #7*
  renewTime microtime #4
  strategy string #6*
)";

}  // namespace fairlead::orchestrator::apiserver::schema
