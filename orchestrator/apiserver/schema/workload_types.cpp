// SPDX-License-Identifier: Apache-2.0
// apps/v1 Deployment and ReplicaSet.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kWorkloadTypes = R"(
Deployment
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec DeploymentSpec required #2
  status DeploymentStatus #3
DeploymentSpec
  minReadySeconds int32 min=0 #5
  paused bool #7
  progressDeadlineSeconds int32 =600 min=0 #9*
  replicas int32 =1 min=0 #1*
  revisionHistoryLimit int32 =10 min=0 #6*
  selector LabelSelector required immutable #2
  strategy DeploymentStrategy ={} retainkeys #4
  template PodTemplateSpec required #3
DeploymentStrategy
  rollingUpdate RollingUpdateDeployment #2
  type string =RollingUpdate enum=Recreate|RollingUpdate #1
RollingUpdateDeployment
  maxSurge intstr ="25%" format=countorpercent #2
  maxUnavailable intstr ="25%" format=countorpercent #1
DeploymentStatus
  availableReplicas int32 min=0 #4
  collisionCount int32 min=0 #8*
  conditions []DeploymentCondition merge=type #6
  observedGeneration int64 min=0 #1
  readyReplicas int32 min=0 #7
  replicas int32 min=0 #2
  terminatingReplicas int32 min=0 #9*
  unavailableReplicas int32 min=0 #5
  updatedReplicas int32 min=0 #3
DeploymentCondition
  lastTransitionTime time #7
  lastUpdateTime time #6
  message string #5
  reason string #4
  status string required #2*
  type string required #1*
ReplicaSet
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec ReplicaSetSpec required #2
  status ReplicaSetStatus #3
ReplicaSetSpec
  minReadySeconds int32 min=0 #4
  replicas int32 =1 min=0 #1*
  selector LabelSelector required immutable #2
  template PodTemplateSpec ={} #3
ReplicaSetStatus
  availableReplicas int32 min=0 #5
  conditions []ReplicaSetCondition merge=type #6
  fullyLabeledReplicas int32 min=0 #2
  observedGeneration int64 min=0 #3
  readyReplicas int32 min=0 #4
  replicas int32 min=0 #1*
  terminatingReplicas int32 min=0 #7*
ReplicaSetCondition
  lastTransitionTime time #3
  message string #5
  reason string #4
  status string required #2*
  type string required #1*
)";

}  // namespace fairlead::orchestrator::apiserver::schema
