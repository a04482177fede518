// SPDX-License-Identifier: Apache-2.0
// core/v1 Container and what hangs below it.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kContainerTypes = R"(
Container
  args []string #4
  command []string #3
  env []EnvVar merge=name #7
  envFrom []EnvFromSource #19
  image string #2
  imagePullPolicy string enum=Always|IfNotPresent|Never #14
  lifecycle Lifecycle #12
  livenessProbe Probe #10
  name string required format=dns1123label #1*
  ports []ContainerPort merge=containerPort keys=containerPort,protocol #6
  readinessProbe Probe #11
  resizePolicy []ContainerResizePolicy #23
  resources ResourceRequirements ={} #8
  restartPolicy string enum=Always|OnFailure|Never #24*
  restartPolicyRules []ContainerRestartRule #25
  securityContext SecurityContext #15
  startupProbe Probe #22
  stdin bool #16
  stdinOnce bool #17
  terminationMessagePath string =/dev/termination-log #13
  terminationMessagePolicy string =File enum=File|FallbackToLogsOnError #20
  tty bool #18
  volumeDevices []VolumeDevice merge=devicePath #21
  volumeMounts []VolumeMount merge=mountPath #9
  workingDir string #5
EphemeralContainer
  args []string #1.4
  command []string #1.3
  env []EnvVar merge=name #1.7
  envFrom []EnvFromSource #1.19
  image string #1.2
  imagePullPolicy string enum=Always|IfNotPresent|Never #1.14
  lifecycle Lifecycle #1.12
  livenessProbe Probe #1.10
  name string required format=dns1123label #1.1*
  ports []ContainerPort merge=containerPort keys=containerPort,protocol #1.6
  readinessProbe Probe #1.11
  resizePolicy []ContainerResizePolicy #1.23
  resources ResourceRequirements ={} #1.8
  restartPolicy string #1.24*
  restartPolicyRules []ContainerRestartRule #1.25
  securityContext SecurityContext #1.15
  startupProbe Probe #1.22
  stdin bool #1.16
  stdinOnce bool #1.17
  targetContainerName string #2
  terminationMessagePath string =/dev/termination-log #1.13
  terminationMessagePolicy string =File enum=File|FallbackToLogsOnError #1.20
  tty bool #1.18
  volumeDevices []VolumeDevice merge=devicePath #1.21
  volumeMounts []VolumeMount merge=mountPath #1.9
  workingDir string #1.5
ContainerPort
  containerPort int32 required format=containerport #3*
  hostIP string format=ip #5
  hostPort int32 format=port #2
  name string format=portname #1
  protocol string =TCP enum=TCP|UDP|SCTP #4
EnvVar
  name string required format=envname #1*
  value string #2
  valueFrom EnvVarSource #3
EnvVarSource
  configMapKeyRef KeySelector #3
  fieldRef ObjectFieldSelector #1
  fileKeyRef FileKeySelector #5
  resourceFieldRef ResourceFieldSelector #2
  secretKeyRef KeySelector #4
KeySelector
  key string required #2*
  name string #1.1
  optional bool #3*
FileKeySelector
  key string required #3*
  optional bool #4*
  path string required #2*
  volumeName string required #1*
ObjectFieldSelector
  apiVersion string =v1 #1
  fieldPath string required #2*
ResourceFieldSelector
  containerName string #1
  divisor quantity =0 #3
  resource string required #2*
EnvFromSource
  configMapRef OptionalReference #2
  prefix string format=envname #1
  secretRef OptionalReference #3
OptionalReference
  name string #1.1
  optional bool #2*
ResourceRequirements
  claims []ResourceClaim keys=name #3
  limits map[string]quantity #1
  requests map[string]quantity #2
ResourceClaim
  name string required #1*
  request string #2
ContainerResizePolicy
  resourceName string required enum=cpu|memory #1*
  restartPolicy string required enum=NotRequired|RestartContainer #2*
ContainerRestartRule
  action string #1
  exitCodes ContainerRestartRuleOnExitCodes #2
ContainerRestartRuleOnExitCodes
  operator string #1
  values []int32 #2
VolumeDevice
  devicePath string required #2*
  name string required #1*
VolumeMount
  mountPath string required #3*
  mountPropagation string enum=None|HostToContainer|Bidirectional #5*
  name string required #1*
  readOnly bool #2
  recursiveReadOnly string enum=Disabled|IfPossible|Enabled #7*
  subPath string #4
  subPathExpr string #6
Lifecycle
  postStart LifecycleHandler #1
  preStop LifecycleHandler #2
  stopSignal string #3*
LifecycleHandler
  exec ExecAction #1
  httpGet HTTPGetAction #2
  sleep SleepAction #4
  tcpSocket TCPSocketAction #3
ExecAction
  command []string #1
SleepAction
  seconds int64 required min=0 #1*
HTTPGetAction
  host string #3
  httpHeaders []HTTPHeader #5
  path string =/ #1
  port intstr required format=portnumberorname #2
  scheme string =HTTP enum=HTTP|HTTPS #4
HTTPHeader
  name string required #1*
  value string #2*
TCPSocketAction
  host string #2
  port intstr required format=portnumberorname #1
GRPCAction
  port int32 required format=port #1*
  service string = #2*
Probe
  exec ExecAction #1.1
  failureThreshold int32 ~3 min=0 #6
  grpc GRPCAction #1.4
  httpGet HTTPGetAction #1.2
  initialDelaySeconds int32 min=0 #2
  periodSeconds int32 ~10 min=0 #4
  successThreshold int32 ~1 min=0 #5
  tcpSocket TCPSocketAction #1.3
  terminationGracePeriodSeconds int64 min=1 #7*
  timeoutSeconds int32 ~1 min=0 #3
SecurityContext
  allowPrivilegeEscalation bool #7*
  appArmorProfile AppArmorProfile #12
  capabilities Capabilities #1
  privileged bool #2*
  procMount string enum=Default|Unmasked #9*
  readOnlyRootFilesystem bool #6*
  runAsGroup int64 min=0 max=2147483647 #8*
  runAsNonRoot bool #5*
  runAsUser int64 min=0 max=2147483647 #4*
  seLinuxOptions SELinuxOptions #3
  seccompProfile SeccompProfile #11
  windowsOptions WindowsSecurityContextOptions #10
Capabilities
  add []string #1
  drop []string #2
)";

}  // namespace fairlead::orchestrator::apiserver::schema
