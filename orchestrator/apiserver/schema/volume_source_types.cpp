// SPDX-License-Identifier: Apache-2.0
// core/v1 Volume: the sources that are read and kept, and that the node refuses by name.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kVolumeSourceTypes = R"(
AzureDiskVolumeSource
  cachingMode string #3*
  diskName string #1*
  diskURI string #2*
  fsType string #4*
  kind string #6*
  readOnly bool #5*
AzureFileVolumeSource
  readOnly bool #3
  secretName string #1*
  shareName string #2*
CephFSVolumeSource
  monitors []string #1
  path string #2
  readOnly bool #6
  secretFile string #4
  secretRef LocalObjectReference #5
  user string #3
CinderVolumeSource
  fsType string #2
  readOnly bool #3
  secretRef LocalObjectReference #4
  volumeID string #1*
FCVolumeSource
  fsType string #3
  lun int32 #2*
  readOnly bool #4
  targetWWNs []string #1
  wwids []string #5
FlexVolumeSource
  driver string #1*
  fsType string #2
  options map[string]string #5
  readOnly bool #4
  secretRef LocalObjectReference #3
FlockerVolumeSource
  datasetName string #1
  datasetUUID string #2
GCEPersistentDiskVolumeSource
  fsType string #2
  partition int32 #3
  pdName string #1*
  readOnly bool #4
GitRepoVolumeSource
  directory string #3
  repository string required #1*
  revision string #2
GlusterfsVolumeSource
  endpoints string #1*
  path string #2*
  readOnly bool #3
ISCSIVolumeSource
  chapAuthDiscovery bool #8
  chapAuthSession bool #11
  fsType string #5
  initiatorName string #12*
  iqn string #2*
  iscsiInterface string #4
  lun int32 #3*
  portals []string #7
  readOnly bool #6
  secretRef LocalObjectReference #10
  targetPortal string #1*
PhotonPersistentDiskVolumeSource
  fsType string #2
  pdID string #1*
PortworxVolumeSource
  fsType string #2
  readOnly bool #3
  volumeID string #1*
QuobyteVolumeSource
  group string #5
  readOnly bool #3
  registry string #1*
  tenant string #6
  user string #4
  volume string #2*
RBDVolumeSource
  fsType string #3
  image string #2*
  keyring string #6
  monitors []string #1
  pool string #4
  readOnly bool #8
  secretRef LocalObjectReference #7
  user string #5
ScaleIOVolumeSource
  fsType string #9
  gateway string #1*
  protectionDomain string #5
  readOnly bool #10
  secretRef LocalObjectReference #3
  sslEnabled bool #4
  storageMode string #7
  storagePool string #6
  system string #2*
  volumeName string #8
StorageOSVolumeSource
  fsType string #3
  readOnly bool #4
  secretRef LocalObjectReference #5
  volumeName string #1
  volumeNamespace string #2
VsphereVirtualDiskVolumeSource
  fsType string #2
  storagePolicyID string #4
  storagePolicyName string #3
  volumePath string #1*
PersistentVolumeClaimTemplate
  metadata TemplateMeta #1
  spec PersistentVolumeClaimSpec #2
PersistentVolumeClaimSpec
  accessModes []string #1
  dataSource TypedLocalObjectReference #7
  dataSourceRef TypedObjectReference #8
  resources VolumeResourceRequirements #2
  selector LabelSelector #4
  storageClassName string #5*
  volumeAttributesClassName string #9*
  volumeMode string #6*
  volumeName string #3
VolumeResourceRequirements
  limits map[string]quantity #1
  requests map[string]quantity #2
ClusterTrustBundleProjection
  labelSelector LabelSelector #3
  name string #1*
  optional bool #5*
  path string #4*
  signerName string #2*
  user int64 #6*
PodCertificateProjection
  certificateChainPath string #6
  credentialBundlePath string #4
  keyPath string #5
  keyType string #2
  maxExpirationSeconds int32 #3*
  signerName string #1
  user int64 #8*
  userAnnotations map[string]string #7
)";

}  // namespace fairlead::orchestrator::apiserver::schema
