// SPDX-License-Identifier: Apache-2.0
// meta/v1 and small types that many kinds share.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kMetaTypes = R"(
Empty
ObjectMeta
  annotations map[string]string format=annotations #12
  creationTimestamp time #8
  deletionGracePeriodSeconds int64 #10*
  deletionTimestamp time #9
  finalizers []string merge=. format=finalizer #14
  generateName string #2
  generation int64 #7
  labels map[string]string format=labels #11
  managedFields []ManagedFieldsEntry #17
  name string #1
  namespace string #3
  ownerReferences []OwnerReference merge=uid #13
  resourceVersion string #6
  selfLink string #4
  uid string #5
ManagedFieldsEntry
  apiVersion string #3
  fieldsType string #6
  fieldsV1 any #7
  manager string #1
  operation string #2
  subresource string #8
  time time #4
OwnerReference
  apiVersion string required #5*
  blockOwnerDeletion bool #7*
  controller bool #6*
  kind string required #1*
  name string required #3*
  uid string required #4*
TemplateMeta
  annotations map[string]string format=annotations #12
  creationTimestamp time #8
  deletionGracePeriodSeconds int64 #10*
  deletionTimestamp time #9
  finalizers []string merge=. #14
  generateName string #2
  generation int64 #7
  labels map[string]string format=labels #11
  managedFields []ManagedFieldsEntry #17
  name string #1
  namespace string #3
  ownerReferences []OwnerReference merge=uid #13
  resourceVersion string #6
  selfLink string #4
  uid string #5
LabelSelector
  matchExpressions []LabelSelectorRequirement #2
  matchLabels map[string]string format=labels #1
LabelSelectorRequirement
  key string required format=labelkey #1*
  operator string required enum=In|NotIn|Exists|DoesNotExist #2*
  values []string #3
LocalObjectReference
  name string #1
ObjectReference
  apiVersion string #5
  fieldPath string #7
  kind string #1
  name string #3
  namespace string #2
  resourceVersion string #6
  uid string #4
TypedLocalObjectReference
  apiGroup string #1*
  kind string required #2*
  name string required #3*
TypedObjectReference
  apiGroup string #1*
  kind string required #2*
  name string required #3*
  namespace string #4*
SecretReference
  name string #1
  namespace string #2
Condition
  lastTransitionTime time #4
  message string #6*
  observedGeneration int64 #3
  reason string #5*
  status string required enum=True|False|Unknown #2*
  type string required #1*
DeleteOptions
  apiVersion string #-
  dryRun []string #5
  gracePeriodSeconds int64 min=0 #1*
  ignoreStoreReadErrorWithClusterBreakingPotential bool #6*
  kind string #-
  orphanDependents bool #3*
  preconditions Preconditions #2
  propagationPolicy string #4*
Preconditions
  resourceVersion string #2*
  uid string #1*
Scale
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec ScaleSpec #2
  status ScaleStatus #3
ScaleSpec
  replicas int32 min=0 #1
ScaleStatus
  replicas int32 #1*
  selector string #2
Binding
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  target ObjectReference required #2
Eviction
  apiVersion string #-
  deleteOptions DeleteOptions #2
  kind string #-
  metadata ObjectMeta #1
)";

}  // namespace fairlead::orchestrator::apiserver::schema
