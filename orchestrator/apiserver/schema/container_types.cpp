// SPDX-License-Identifier: Apache-2.0
// core/v1 Container and what hangs below it.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kContainerTypes = R"(
Container
  args []string
  command []string
  env []EnvVar merge=name
  envFrom []EnvFromSource
  image string
  imagePullPolicy string enum=Always|IfNotPresent|Never
  lifecycle Lifecycle
  livenessProbe Probe
  name string required format=dns1123label
  ports []ContainerPort merge=containerPort keys=containerPort,protocol
  readinessProbe Probe
  resizePolicy []ContainerResizePolicy
  resources ResourceRequirements ={}
  restartPolicy string enum=Always|OnFailure|Never
  restartPolicyRules []any
  securityContext SecurityContext
  startupProbe Probe
  stdin bool
  stdinOnce bool
  terminationMessagePath string =/dev/termination-log
  terminationMessagePolicy string =File enum=File|FallbackToLogsOnError
  tty bool
  volumeDevices []VolumeDevice merge=devicePath
  volumeMounts []VolumeMount merge=mountPath unique=mountPath
  workingDir string
EphemeralContainer
  args []string
  command []string
  env []EnvVar merge=name
  envFrom []EnvFromSource
  image string
  imagePullPolicy string enum=Always|IfNotPresent|Never
  lifecycle Lifecycle
  livenessProbe Probe
  name string required format=dns1123label
  ports []ContainerPort merge=containerPort keys=containerPort,protocol
  readinessProbe Probe
  resizePolicy []ContainerResizePolicy
  resources ResourceRequirements ={}
  restartPolicy string
  restartPolicyRules []any
  securityContext SecurityContext
  startupProbe Probe
  stdin bool
  stdinOnce bool
  targetContainerName string
  terminationMessagePath string =/dev/termination-log
  terminationMessagePolicy string =File enum=File|FallbackToLogsOnError
  tty bool
  volumeDevices []VolumeDevice merge=devicePath
  volumeMounts []VolumeMount merge=mountPath unique=mountPath
  workingDir string
ContainerPort
  containerPort int32 required format=port
  hostIP string format=ip
  hostPort int32 format=port
  name string format=portname
  protocol string =TCP enum=TCP|UDP|SCTP
EnvVar
  name string required format=envname
  value string
  valueFrom EnvVarSource
EnvVarSource
  configMapKeyRef KeySelector
  fieldRef ObjectFieldSelector
  fileKeyRef FileKeySelector
  resourceFieldRef ResourceFieldSelector
  secretKeyRef KeySelector
KeySelector
  key string required
  name string
  optional bool
FileKeySelector
  key string required
  optional bool
  path string required
  volumeName string required
ObjectFieldSelector
  apiVersion string =v1
  fieldPath string required
ResourceFieldSelector
  containerName string
  divisor quantity =0
  resource string required
EnvFromSource
  configMapRef OptionalReference
  prefix string
  secretRef OptionalReference
OptionalReference
  name string
  optional bool
ResourceRequirements
  claims []ResourceClaim keys=name
  limits map[string]quantity
  requests map[string]quantity
ResourceClaim
  name string required
  request string
ContainerResizePolicy
  resourceName string required
  restartPolicy string required
VolumeDevice
  devicePath string required
  name string required
VolumeMount
  mountPath string required
  mountPropagation string enum=None|HostToContainer|Bidirectional
  name string required
  readOnly bool
  recursiveReadOnly string enum=Disabled|IfPossible|Enabled
  subPath string
  subPathExpr string
Lifecycle
  postStart LifecycleHandler
  preStop LifecycleHandler
  stopSignal string
LifecycleHandler
  exec ExecAction
  httpGet HTTPGetAction
  sleep SleepAction
  tcpSocket TCPSocketAction
ExecAction
  command []string
SleepAction
  seconds int64 required min=0
HTTPGetAction
  host string
  httpHeaders []HTTPHeader
  path string =/
  port intstr required format=portnumberorname
  scheme string =HTTP enum=HTTP|HTTPS
HTTPHeader
  name string required
  value string
TCPSocketAction
  host string
  port intstr required format=portnumberorname
GRPCAction
  port int32 required format=port
  service string =
Probe
  exec ExecAction
  failureThreshold int32 ~3 min=1
  grpc GRPCAction
  httpGet HTTPGetAction
  initialDelaySeconds int32 min=0
  periodSeconds int32 ~10 min=1
  successThreshold int32 ~1 min=1
  tcpSocket TCPSocketAction
  terminationGracePeriodSeconds int64 min=1
  timeoutSeconds int32 ~1 min=1
SecurityContext
  allowPrivilegeEscalation bool
  appArmorProfile AppArmorProfile
  capabilities Capabilities
  privileged bool
  procMount string enum=Default|Unmasked
  readOnlyRootFilesystem bool
  runAsGroup int64 min=0
  runAsNonRoot bool
  runAsUser int64 min=0
  seLinuxOptions SELinuxOptions
  seccompProfile SeccompProfile
  windowsOptions WindowsSecurityContextOptions
Capabilities
  add []string
  drop []string
)";

}  // namespace fairlead::orchestrator::apiserver::schema
