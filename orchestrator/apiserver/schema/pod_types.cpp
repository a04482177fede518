// SPDX-License-Identifier: Apache-2.0
// core/v1 Pod: its spec.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kPodTypes = R"(
Pod
  apiVersion string
  kind string
  metadata ObjectMeta
  spec PodSpec required
  status PodStatus
PodTemplateSpec
  metadata TemplateMeta
  spec PodSpec required
PodSpec
  activeDeadlineSeconds int64 min=1 max=2147483647
  affinity Affinity
  automountServiceAccountToken bool
  containers []Container required merge=name unique=name
  dnsConfig PodDNSConfig
  dnsPolicy string =ClusterFirst enum=ClusterFirstWithHostNet|ClusterFirst|Default|None
  enableServiceLinks bool =true
  ephemeralContainers []EphemeralContainer merge=name unique=name
  hostAliases []HostAlias merge=ip
  hostIPC bool
  hostNetwork bool
  hostPID bool
  hostUsers bool
  hostname string format=dns1123label
  hostnameOverride string
  imagePullSecrets []LocalObjectReference merge=name
  initContainers []Container merge=name unique=name
  nodeName string
  nodeSelector map[string]string format=labels
  os PodOS
  overhead map[string]quantity
  preemptionPolicy string enum=Never|PreemptLowerPriority
  priority int32
  priorityClassName string
  readinessGates []PodReadinessGate
  resourceClaims []PodResourceClaim merge=name retainkeys
  resources ResourceRequirements
  restartPolicy string =Always enum=Always|OnFailure|Never
  runtimeClassName string
  schedulerName string =default-scheduler
  schedulingGates []PodSchedulingGate merge=name
  schedulingGroup any
  securityContext PodSecurityContext ={}
  serviceAccount string
  serviceAccountName string
  setHostnameAsFQDN bool
  shareProcessNamespace bool
  subdomain string format=dns1123label
  terminationGracePeriodSeconds int64 =30 min=0
  tolerations []Toleration
  topologySpreadConstraints []TopologySpreadConstraint merge=topologyKey keys=topologyKey,whenUnsatisfiable
  volumes []Volume merge=name retainkeys unique=name
  workloadRef any
PodOS
  name string required enum=linux|windows
HostAlias
  hostnames []string format=subdomains
  ip string required format=ip
PodReadinessGate
  conditionType string required
PodResourceClaim
  name string required
  resourceClaimName string
  resourceClaimTemplateName string
PodSchedulingGate
  name string required
PodDNSConfig
  nameservers []string format=ips
  options []PodDNSConfigOption
  searches []string
PodDNSConfigOption
  name string
  value string
PodSecurityContext
  appArmorProfile AppArmorProfile
  fsGroup int64 min=0
  fsGroupChangePolicy string enum=Always|OnRootMismatch
  runAsGroup int64 min=0
  runAsNonRoot bool
  runAsUser int64 min=0
  seLinuxChangePolicy string
  seLinuxOptions SELinuxOptions
  seccompProfile SeccompProfile
  supplementalGroups []int64
  supplementalGroupsPolicy string enum=Merge|Strict
  sysctls []Sysctl
  windowsOptions WindowsSecurityContextOptions
Sysctl
  name string required
  value string
SELinuxOptions
  level string
  role string
  type string
  user string
SeccompProfile
  localhostProfile string
  type string required enum=Localhost|RuntimeDefault|Unconfined
AppArmorProfile
  localhostProfile string
  type string required enum=Localhost|RuntimeDefault|Unconfined
WindowsSecurityContextOptions
  gmsaCredentialSpec string
  gmsaCredentialSpecName string
  hostProcess bool
  runAsUserName string
Toleration
  effect string enum=NoSchedule|PreferNoSchedule|NoExecute
  key string
  operator string enum=Exists|Equal|Lt|Gt
  tolerationSeconds int64
  value string
TopologySpreadConstraint
  labelSelector LabelSelector
  matchLabelKeys []string
  maxSkew int32 required min=1
  minDomains int32 min=1
  nodeAffinityPolicy string enum=Honor|Ignore
  nodeTaintsPolicy string enum=Honor|Ignore
  topologyKey string required
  whenUnsatisfiable string required enum=DoNotSchedule|ScheduleAnyway
Affinity
  nodeAffinity NodeAffinity
  podAffinity PodAffinity
  podAntiAffinity PodAffinity
NodeAffinity
  preferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm
  requiredDuringSchedulingIgnoredDuringExecution NodeSelector
PreferredSchedulingTerm
  preference NodeSelectorTerm required
  weight int32 required min=1 max=100
NodeSelector
  nodeSelectorTerms []NodeSelectorTerm required
NodeSelectorTerm
  matchExpressions []NodeSelectorRequirement
  matchFields []NodeSelectorRequirement
NodeSelectorRequirement
  key string required
  operator string required enum=In|NotIn|Exists|DoesNotExist|Gt|Lt
  values []string
PodAffinity
  preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm
WeightedPodAffinityTerm
  podAffinityTerm PodAffinityTerm required
  weight int32 required min=1 max=100
PodAffinityTerm
  labelSelector LabelSelector
  matchLabelKeys []string
  mismatchLabelKeys []string
  namespaceSelector LabelSelector
  namespaces []string
  topologyKey string required
)";

}  // namespace fairlead::orchestrator::apiserver::schema
