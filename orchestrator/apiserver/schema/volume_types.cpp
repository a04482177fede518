// SPDX-License-Identifier: Apache-2.0
// core/v1 Volume: the sources the node mounts, and the shapes of those it refuses by name.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kVolumeTypes = R"(
Volume
  awsElasticBlockStore AWSElasticBlockStoreVolumeSource
  azureDisk any
  azureFile any
  cephfs any
  cinder any
  configMap ConfigMapVolumeSource
  csi CSIVolumeSource
  downwardAPI DownwardAPIVolumeSource
  emptyDir EmptyDirVolumeSource
  ephemeral EphemeralVolumeSource
  fc any
  flexVolume any
  flocker any
  gcePersistentDisk any
  gitRepo any
  glusterfs any
  hostPath HostPathVolumeSource
  image ImageVolumeSource
  iscsi any
  name string required format=dns1123label
  nfs NFSVolumeSource
  persistentVolumeClaim PersistentVolumeClaimVolumeSource
  photonPersistentDisk any
  portworxVolume any
  projected ProjectedVolumeSource
  quobyte any
  rbd any
  scaleIO any
  secret SecretVolumeSource
  storageos any
  vsphereVolume any
AWSElasticBlockStoreVolumeSource
  fsType string
  partition int32
  readOnly bool
  volumeID string required
ConfigMapVolumeSource
  defaultMode int32 =420 min=0 max=511
  items []KeyToPath
  name string
  optional bool
KeyToPath
  key string required
  mode int32 min=0 max=511
  path string required
SecretVolumeSource
  defaultMode int32 =420 min=0 max=511
  items []KeyToPath
  optional bool
  secretName string
CSIVolumeSource
  driver string required
  fsType string
  nodePublishSecretRef LocalObjectReference
  readOnly bool
  volumeAttributes map[string]string
DownwardAPIVolumeSource
  defaultMode int32 =420 min=0 max=511
  items []DownwardAPIVolumeFile
DownwardAPIVolumeFile
  fieldRef ObjectFieldSelector
  mode int32 min=0 max=511
  path string required
  resourceFieldRef ResourceFieldSelector
EmptyDirVolumeSource
  medium string
  sizeLimit quantity
EphemeralVolumeSource
  volumeClaimTemplate any
HostPathVolumeSource
  path string required
  type string = enum=|DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice
ImageVolumeSource
  pullPolicy string enum=Always|IfNotPresent|Never
  reference string
NFSVolumeSource
  path string required
  readOnly bool
  server string required
PersistentVolumeClaimVolumeSource
  claimName string required
  readOnly bool
ProjectedVolumeSource
  defaultMode int32 =420 min=0 max=511
  sources []VolumeProjection
VolumeProjection
  clusterTrustBundle any
  configMap ConfigMapProjection
  downwardAPI DownwardAPIProjection
  podCertificate any
  secret SecretProjection
  serviceAccountToken ServiceAccountTokenProjection
ConfigMapProjection
  items []KeyToPath
  name string
  optional bool
SecretProjection
  items []KeyToPath
  name string
  optional bool
DownwardAPIProjection
  items []DownwardAPIVolumeFile
ServiceAccountTokenProjection
  audience string
  expirationSeconds int64 =3600 min=600
  path string required
)";

}  // namespace fairlead::orchestrator::apiserver::schema
