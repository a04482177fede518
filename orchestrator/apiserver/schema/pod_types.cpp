// SPDX-License-Identifier: Apache-2.0
// core/v1 Pod: its spec.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kPodTypes = R"(
Pod
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec PodSpec required #2
  status PodStatus #3
PodTemplateSpec
  metadata TemplateMeta #1
  spec PodSpec required #2
PodSpec
  activeDeadlineSeconds int64 min=1 max=2147483647 #5*
  affinity Affinity #18
  automountServiceAccountToken bool #21*
  containers []Container required merge=name unique=name #2
  dnsConfig PodDNSConfig #26
  dnsPolicy string =ClusterFirst enum=ClusterFirstWithHostNet|ClusterFirst|Default|None #6
  enableServiceLinks bool #30*
  ephemeralContainers []EphemeralContainer merge=name unique=name #34
  hostAliases []HostAlias merge=ip #23
  hostIPC bool #13
  hostNetwork bool #11
  hostPID bool #12
  hostUsers bool #37*
  hostname string format=dns1123label #16
  hostnameOverride string format=subdomain #41*
  imagePullSecrets []LocalObjectReference merge=name #15
  initContainers []Container merge=name unique=name #20
  nodeName string format=subdomain #10
  nodeSelector map[string]string format=labels #7
  os PodOS #36
  overhead map[string]quantity #32
  preemptionPolicy string enum=Never|PreemptLowerPriority #31*
  priority int32 #25*
  priorityClassName string format=subdomain #24
  readinessGates []PodReadinessGate #28
  resourceClaims []PodResourceClaim merge=name retainkeys #39
  resources ResourceRequirements #40
  restartPolicy string =Always enum=Always|OnFailure|Never #3
  runtimeClassName string format=subdomain #29*
  schedulerName string =default-scheduler #19
  schedulingGates []PodSchedulingGate merge=name #38
  schedulingGroup PodSchedulingGroup #43
  securityContext PodSecurityContext ={} #14
  serviceAccount string #9
  serviceAccountName string format=subdomain #8
  setHostnameAsFQDN bool #35*
  shareProcessNamespace bool #27*
  subdomain string format=dns1123label #17
  terminationGracePeriodSeconds int64 =30 #4*
  tolerations []Toleration #22
  topologySpreadConstraints []TopologySpreadConstraint merge=topologyKey keys=topologyKey,whenUnsatisfiable #33
  volumes []Volume merge=name retainkeys unique=name #1
  workloadRef WorkloadReference #42
PodOS
  name string required enum=linux|windows #1*
HostAlias
  hostnames []string format=subdomains #2
  ip string required format=ip #1*
PodReadinessGate
  conditionType string required format=labelkey #1*
PodResourceClaim
  name string required #1*
  resourceClaimName string #3*
  resourceClaimTemplateName string #4*
PodSchedulingGate
  name string required #1*
PodSchedulingGroup
  podGroupName string #1*
WorkloadReference
  name string #1*
  podGroup string #2*
  podGroupReplicaKey string #3
PodDNSConfig
  nameservers []string format=ips #1
  options []PodDNSConfigOption #3
  searches []string #2
PodDNSConfigOption
  name string #1
  value string #2*
PodSecurityContext
  appArmorProfile AppArmorProfile #11
  fsGroup int64 min=0 max=2147483647 #5*
  fsGroupChangePolicy string enum=Always|OnRootMismatch #9*
  runAsGroup int64 min=0 max=2147483647 #6*
  runAsNonRoot bool #3*
  runAsUser int64 min=0 max=2147483647 #2*
  seLinuxChangePolicy string enum=Recursive #13*
  seLinuxOptions SELinuxOptions #1
  seccompProfile SeccompProfile #10
  supplementalGroups []int64 #4
  supplementalGroupsPolicy string enum=Merge|Strict #12*
  sysctls []Sysctl #7
  windowsOptions WindowsSecurityContextOptions #8
Sysctl
  name string required #1*
  value string #2*
SELinuxOptions
  level string #4
  role string #2
  type string #3
  user string #1
SeccompProfile
  localhostProfile string #2*
  type string required enum=Localhost|RuntimeDefault|Unconfined #1*
AppArmorProfile
  localhostProfile string #2*
  type string required enum=Localhost|RuntimeDefault|Unconfined #1*
WindowsSecurityContextOptions
  gmsaCredentialSpec string #2*
  gmsaCredentialSpecName string #1*
  hostProcess bool #4*
  runAsUserName string #3*
Toleration
  effect string enum=NoSchedule|PreferNoSchedule|NoExecute #4
  key string #1
  operator string enum=Exists|Equal|Lt|Gt #2
  tolerationSeconds int64 #5*
  value string #3
TopologySpreadConstraint
  labelSelector LabelSelector #4
  matchLabelKeys []string #8
  maxSkew int32 required min=1 #1*
  minDomains int32 min=1 #5*
  nodeAffinityPolicy string enum=Honor|Ignore #6*
  nodeTaintsPolicy string enum=Honor|Ignore #7*
  topologyKey string required #2*
  whenUnsatisfiable string required enum=DoNotSchedule|ScheduleAnyway #3*
Affinity
  nodeAffinity NodeAffinity #1
  podAffinity PodAffinity #2
  podAntiAffinity PodAffinity #3
NodeAffinity
  preferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm #2
  requiredDuringSchedulingIgnoredDuringExecution NodeSelector #1
PreferredSchedulingTerm
  preference NodeSelectorTerm required #2
  weight int32 required min=1 max=100 #1*
NodeSelector
  nodeSelectorTerms []NodeSelectorTerm required #1
NodeSelectorTerm
  matchExpressions []NodeSelectorRequirement #1
  matchFields []NodeSelectorRequirement #2
NodeSelectorRequirement
  key string required #1*
  operator string required enum=In|NotIn|Exists|DoesNotExist|Gt|Lt #2*
  values []string #3
PodAffinity
  preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm #2
  requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm #1
WeightedPodAffinityTerm
  podAffinityTerm PodAffinityTerm required #2
  weight int32 required min=1 max=100 #1*
PodAffinityTerm
  labelSelector LabelSelector #1
  matchLabelKeys []string #5
  mismatchLabelKeys []string #6
  namespaceSelector LabelSelector #4
  namespaces []string #2
  topologyKey string required #3*
)";

}  // namespace fairlead::orchestrator::apiserver::schema
