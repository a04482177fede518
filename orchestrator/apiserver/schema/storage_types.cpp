// SPDX-License-Identifier: Apache-2.0
// storage.k8s.io/v1 CSINode, CSIDriver; node.k8s.io/v1 RuntimeClass: what a kubelet that joins
// reads and writes besides pods. Nothing here acts on them.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kStorageTypes = R"(
CSINode
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec CSINodeSpec ={} #2
CSINodeSpec
  drivers []CSINodeDriver merge=name unique=name #1
CSINodeDriver
  allocatable VolumeNodeResources #4
  name string required #1*
  nodeID string required #2*
  topologyKeys []string #3
VolumeNodeResources
  count int32 min=0 #1*
CSIDriver
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec CSIDriverSpec ={} #2
CSIDriverSpec
  attachRequired bool =true immutable #1*
  fsGroupPolicy string =ReadWriteOnceWithFSType enum=ReadWriteOnceWithFSType|File|None #5
  nodeAllocatableUpdatePeriodSeconds int64 min=10 #9*
  podInfoOnMount bool =false #2*
  preventPodSchedulingIfMissing bool #11*
  requiresRepublish bool =false #7*
  seLinuxMount bool =false #8*
  serviceAccountTokenInSecrets bool #10*
  storageCapacity bool =false #4*
  tokenRequests []CSITokenRequest unique=audience #6
  volumeLifecycleModes []string =["Persistent"] enum=Persistent|Ephemeral immutable #3
CSITokenRequest
  audience string #1*
  expirationSeconds int64 min=600 #2*
RuntimeClass
  apiVersion string #-
  handler string required immutable format=dns1123label #2*
  kind string #-
  metadata ObjectMeta #1
  overhead RuntimeClassOverhead #3
  scheduling RuntimeClassScheduling #4
RuntimeClassOverhead
  podFixed map[string]quantity #1
RuntimeClassScheduling
  nodeSelector map[string]string #1
  tolerations []Toleration #2
)";

}  // namespace fairlead::orchestrator::apiserver::schema
