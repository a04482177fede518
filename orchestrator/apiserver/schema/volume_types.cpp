// SPDX-License-Identifier: Apache-2.0
// core/v1 Volume: the sources the node mounts, and the shapes of those it refuses by name.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kVolumeTypes = R"(
Volume
  awsElasticBlockStore AWSElasticBlockStoreVolumeSource #2.4
  azureDisk AzureDiskVolumeSource #2.22
  azureFile AzureFileVolumeSource #2.18
  cephfs CephFSVolumeSource #2.14
  cinder CinderVolumeSource #2.13
  configMap ConfigMapVolumeSource #2.19
  csi CSIVolumeSource #2.28
  downwardAPI DownwardAPIVolumeSource #2.16
  emptyDir EmptyDirVolumeSource #2.2
  ephemeral EphemeralVolumeSource #2.29
  fc FCVolumeSource #2.17
  flexVolume FlexVolumeSource #2.12
  flocker FlockerVolumeSource #2.15
  gcePersistentDisk GCEPersistentDiskVolumeSource #2.3
  gitRepo GitRepoVolumeSource #2.5
  glusterfs GlusterfsVolumeSource #2.9
  hostPath HostPathVolumeSource #2.1
  image ImageVolumeSource #2.30
  iscsi ISCSIVolumeSource #2.8
  name string required format=dns1123label #1*
  nfs NFSVolumeSource #2.7
  persistentVolumeClaim PersistentVolumeClaimVolumeSource #2.10
  photonPersistentDisk PhotonPersistentDiskVolumeSource #2.23
  portworxVolume PortworxVolumeSource #2.24
  projected ProjectedVolumeSource #2.26
  quobyte QuobyteVolumeSource #2.21
  rbd RBDVolumeSource #2.11
  scaleIO ScaleIOVolumeSource #2.25
  secret SecretVolumeSource #2.6
  storageos StorageOSVolumeSource #2.27
  vsphereVolume VsphereVirtualDiskVolumeSource #2.20
AWSElasticBlockStoreVolumeSource
  fsType string #2
  partition int32 #3
  readOnly bool #4
  volumeID string required #1*
ConfigMapVolumeSource
  defaultMode int32 =420 min=0 max=511 #3*
  items []KeyToPath #2
  name string #1.1
  optional bool #4*
KeyToPath
  key string required #1*
  mode int32 min=0 max=511 #3*
  path string required #2*
SecretVolumeSource
  defaultMode int32 =420 min=0 max=511 #3*
  items []KeyToPath #2
  optional bool #4*
  secretName string #1
CSIVolumeSource
  driver string required #1*
  fsType string #3*
  nodePublishSecretRef LocalObjectReference #5
  readOnly bool #2*
  volumeAttributes map[string]string #4
DownwardAPIVolumeSource
  defaultMode int32 =420 min=0 max=511 #2*
  items []DownwardAPIVolumeFile #1
DownwardAPIVolumeFile
  fieldRef ObjectFieldSelector #2
  mode int32 min=0 max=511 #4*
  path string required #1*
  resourceFieldRef ResourceFieldSelector #3
EmptyDirVolumeSource
  medium string #1
  sizeLimit quantity #2
EphemeralVolumeSource
  volumeClaimTemplate PersistentVolumeClaimTemplate #1
HostPathVolumeSource
  path string required #1*
  type string = enum=|DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice #2*
ImageVolumeSource
  pullPolicy string enum=Always|IfNotPresent|Never #2
  reference string required #1
NFSVolumeSource
  path string required #2*
  readOnly bool #3
  server string required #1*
PersistentVolumeClaimVolumeSource
  claimName string required #1*
  readOnly bool #2
ProjectedVolumeSource
  defaultMode int32 =420 min=0 max=511 #2*
  sources []VolumeProjection #1
VolumeProjection
  clusterTrustBundle ClusterTrustBundleProjection #5
  configMap ConfigMapProjection #3
  downwardAPI DownwardAPIProjection #2
  podCertificate PodCertificateProjection #6
  secret SecretProjection #1
  serviceAccountToken ServiceAccountTokenProjection #4
ConfigMapProjection
  items []KeyToPath #2
  name string #1.1
  optional bool #4*
SecretProjection
  items []KeyToPath #2
  name string #1.1
  optional bool #4*
DownwardAPIProjection
  items []DownwardAPIVolumeFile #1
ServiceAccountTokenProjection
  audience string #1
  expirationSeconds int64 =3600 min=600 #2*
  path string required #3*
)";

}  // namespace fairlead::orchestrator::apiserver::schema
