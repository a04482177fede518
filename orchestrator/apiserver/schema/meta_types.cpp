// SPDX-License-Identifier: Apache-2.0
// meta/v1 and small types that many kinds share.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kMetaTypes = R"(
Empty
ObjectMeta
  annotations map[string]string format=annotations
  creationTimestamp time
  deletionGracePeriodSeconds int64
  deletionTimestamp time
  finalizers []string merge=. format=finalizer
  generateName string
  generation int64
  labels map[string]string format=labels
  managedFields []any
  name string
  namespace string
  ownerReferences []OwnerReference merge=uid
  resourceVersion string
  selfLink string
  uid string
OwnerReference
  apiVersion string required
  blockOwnerDeletion bool
  controller bool
  kind string required
  name string required
  uid string required
TemplateMeta
  annotations map[string]string format=annotations
  creationTimestamp time
  deletionGracePeriodSeconds int64
  deletionTimestamp time
  finalizers []string merge=.
  generateName string
  generation int64
  labels map[string]string format=labels
  managedFields []any
  name string
  namespace string
  ownerReferences []OwnerReference merge=uid
  resourceVersion string
  selfLink string
  uid string
LabelSelector
  matchExpressions []LabelSelectorRequirement
  matchLabels map[string]string format=labels
LabelSelectorRequirement
  key string required format=labelkey
  operator string required enum=In|NotIn|Exists|DoesNotExist
  values []string
LocalObjectReference
  name string
ObjectReference
  apiVersion string
  fieldPath string
  kind string
  name string
  namespace string
  resourceVersion string
  uid string
TypedLocalObjectReference
  apiGroup string
  kind string required
  name string required
TypedObjectReference
  apiGroup string
  kind string required
  name string required
  namespace string
SecretReference
  name string
  namespace string
Condition
  lastTransitionTime time
  message string
  observedGeneration int64
  reason string
  status string required enum=True|False|Unknown
  type string required
DeleteOptions
  apiVersion string
  dryRun []string
  gracePeriodSeconds int64 min=0
  ignoreStoreReadErrorWithClusterBreakingPotential bool
  kind string
  orphanDependents bool
  preconditions Preconditions
  propagationPolicy string
Preconditions
  resourceVersion string
  uid string
Scale
  apiVersion string
  kind string
  metadata ObjectMeta
  spec ScaleSpec
  status ScaleStatus
ScaleSpec
  replicas int32 min=0
ScaleStatus
  replicas int32
  selector string
Binding
  apiVersion string
  kind string
  metadata ObjectMeta
  target ObjectReference required
)";

}  // namespace fairlead::orchestrator::apiserver::schema
