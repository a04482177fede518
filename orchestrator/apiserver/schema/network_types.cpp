// SPDX-License-Identifier: Apache-2.0
// core/v1 Service and Endpoints, discovery.k8s.io/v1 EndpointSlice.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kNetworkTypes = R"(
Service
  apiVersion string
  kind string
  metadata ObjectMeta
  spec ServiceSpec ={}
  status ServiceStatus
ServiceSpec
  allocateLoadBalancerNodePorts bool
  clusterIP string
  clusterIPs []string
  externalIPs []string format=ips
  externalName string
  externalTrafficPolicy string enum=Cluster|Local
  healthCheckNodePort int32 min=0 max=65535
  internalTrafficPolicy string enum=Cluster|Local
  ipFamilies []string enum=IPv4|IPv6
  ipFamilyPolicy string enum=SingleStack|PreferDualStack|RequireDualStack
  loadBalancerClass string
  loadBalancerIP string
  loadBalancerSourceRanges []string
  ports []ServicePort merge=port keys=port,protocol
  publishNotReadyAddresses bool
  selector map[string]string format=labels
  sessionAffinity string =None enum=ClientIP|None
  sessionAffinityConfig SessionAffinityConfig
  trafficDistribution string enum=PreferClose|PreferSameZone|PreferSameNode
  type string =ClusterIP enum=ClusterIP|ExternalName|LoadBalancer|NodePort
ServicePort
  appProtocol string format=labelkey
  name string format=dns1123label
  nodePort int32 min=0 max=65535
  port int32 required format=port
  protocol string =TCP enum=TCP|UDP|SCTP
  targetPort intstr format=portnumberorname
SessionAffinityConfig
  clientIP ClientIPConfig
ClientIPConfig
  timeoutSeconds int32 =10800 min=1 max=86400
ServiceStatus
  conditions []Condition merge=type
  loadBalancer LoadBalancerStatus
LoadBalancerStatus
  ingress []LoadBalancerIngress
LoadBalancerIngress
  hostname string
  ip string format=ip
  ipMode string enum=VIP|Proxy
  ports []PortStatus
PortStatus
  error string
  port int32
  protocol string
EndpointSlice
  addressType string required enum=IPv4|IPv6|FQDN immutable
  apiVersion string
  endpoints []Endpoint
  kind string
  metadata ObjectMeta
  ports []EndpointPort
Endpoint
  addresses []string required
  conditions EndpointConditions
  deprecatedTopology map[string]string
  hints EndpointHints
  hostname string format=dns1123label
  nodeName string
  targetRef ObjectReference
  zone string
EndpointConditions
  ready bool
  serving bool
  terminating bool
EndpointHints
  forNodes []HintEntry
  forZones []HintEntry
HintEntry
  name string required
EndpointPort
  appProtocol string format=labelkey
  name string = format=dns1123label
  port int32 format=port
  protocol string =TCP enum=TCP|UDP|SCTP
Endpoints
  apiVersion string
  kind string
  metadata ObjectMeta
  subsets []EndpointSubset
EndpointSubset
  addresses []EndpointAddress
  notReadyAddresses []EndpointAddress
  ports []EndpointsPort
EndpointAddress
  hostname string format=dns1123label
  ip string required format=ip
  nodeName string
  targetRef ObjectReference
EndpointsPort
  appProtocol string
  name string format=dns1123label
  port int32 required format=port
  protocol string =TCP enum=TCP|UDP|SCTP
)";

}  // namespace fairlead::orchestrator::apiserver::schema
