// SPDX-License-Identifier: Apache-2.0
// apps/v1 Deployment and ReplicaSet.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kWorkloadTypes = R"(
Deployment
  apiVersion string
  kind string
  metadata ObjectMeta
  spec DeploymentSpec required
  status DeploymentStatus
DeploymentSpec
  minReadySeconds int32 min=0
  paused bool
  progressDeadlineSeconds int32 =600 min=0
  replicas int32 =1 min=0
  revisionHistoryLimit int32 =10 min=0
  selector LabelSelector required immutable
  strategy DeploymentStrategy ={} retainkeys
  template PodTemplateSpec required
DeploymentStrategy
  rollingUpdate RollingUpdateDeployment
  type string =RollingUpdate enum=Recreate|RollingUpdate
RollingUpdateDeployment
  maxSurge intstr ="25%" format=countorpercent
  maxUnavailable intstr ="25%" format=countorpercent
DeploymentStatus
  availableReplicas int32
  collisionCount int32
  conditions []DeploymentCondition merge=type
  observedGeneration int64
  readyReplicas int32
  replicas int32
  terminatingReplicas int32
  unavailableReplicas int32
  updatedReplicas int32
DeploymentCondition
  lastTransitionTime time
  lastUpdateTime time
  message string
  reason string
  status string required
  type string required
ReplicaSet
  apiVersion string
  kind string
  metadata ObjectMeta
  spec ReplicaSetSpec required
  status ReplicaSetStatus
ReplicaSetSpec
  minReadySeconds int32 min=0
  replicas int32 =1 min=0
  selector LabelSelector required immutable
  template PodTemplateSpec ={}
ReplicaSetStatus
  availableReplicas int32
  conditions []ReplicaSetCondition merge=type
  fullyLabeledReplicas int32
  observedGeneration int64
  readyReplicas int32
  replicas int32
  terminatingReplicas int32
ReplicaSetCondition
  lastTransitionTime time
  message string
  reason string
  status string required
  type string required
)";

}  // namespace fairlead::orchestrator::apiserver::schema
