// SPDX-License-Identifier: Apache-2.0
// core/v1 Service and Endpoints, discovery.k8s.io/v1 EndpointSlice.
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

const char* const kNetworkTypes = R"(
Service
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  spec ServiceSpec ={} #2
  status ServiceStatus #3
ServiceSpec
  allocateLoadBalancerNodePorts bool #20*
  clusterIP string #3
  clusterIPs []string #18
  externalIPs []string format=ips #5
  externalName string #10
  externalTrafficPolicy string enum=Cluster|Local #11
  healthCheckNodePort int32 min=0 max=65535 #12
  internalTrafficPolicy string enum=Cluster|Local #22*
  ipFamilies []string enum=IPv4|IPv6 #19
  ipFamilyPolicy string enum=SingleStack|PreferDualStack|RequireDualStack #17*
  loadBalancerClass string #21*
  loadBalancerIP string #8
  loadBalancerSourceRanges []string #9
  ports []ServicePort merge=port keys=port,protocol #1
  publishNotReadyAddresses bool #13
  selector map[string]string format=labels #2
  sessionAffinity string =None enum=ClientIP|None #7
  sessionAffinityConfig SessionAffinityConfig #14
  trafficDistribution string enum=PreferClose|PreferSameZone|PreferSameNode #23*
  type string =ClusterIP enum=ClusterIP|ExternalName|LoadBalancer|NodePort #4
ServicePort
  appProtocol string format=labelkey #6*
  name string format=dns1123label #1
  nodePort int32 min=0 max=65535 #5
  port int32 required format=port #3*
  protocol string =TCP enum=TCP|UDP|SCTP #2
  targetPort intstr format=portnumberorname #4
SessionAffinityConfig
  clientIP ClientIPConfig #1
ClientIPConfig
  timeoutSeconds int32 =10800 min=1 max=86400 #1*
ServiceStatus
  conditions []Condition merge=type #2
  loadBalancer LoadBalancerStatus #1
LoadBalancerStatus
  ingress []LoadBalancerIngress #1
LoadBalancerIngress
  hostname string #2
  ip string format=ip #1
  ipMode string enum=VIP|Proxy #3*
  ports []PortStatus #4
PortStatus
  error string #3*
  port int32 #1*
  protocol string #2*
EndpointSlice
  addressType string required enum=IPv4|IPv6|FQDN immutable #4*
  apiVersion string #-
  endpoints []Endpoint #2
  kind string #-
  metadata ObjectMeta #1
  ports []EndpointPort #3
Endpoint
  addresses []string required #1
  conditions EndpointConditions #2
  deprecatedTopology map[string]string #5
  hints EndpointHints #8
  hostname string format=dns1123label #3*
  nodeName string format=subdomain #6*
  targetRef ObjectReference #4
  zone string #7*
EndpointConditions
  ready bool #1*
  serving bool #2*
  terminating bool #3*
EndpointHints
  forNodes []HintEntry #2
  forZones []HintEntry #1
HintEntry
  name string required #1*
EndpointPort
  appProtocol string format=labelkey #4*
  name string = format=dns1123label #1*
  port int32 format=port #3*
  protocol string =TCP enum=TCP|UDP|SCTP #2*
Endpoints
  apiVersion string #-
  kind string #-
  metadata ObjectMeta #1
  subsets []EndpointSubset #2
EndpointSubset
  addresses []EndpointAddress #1
  notReadyAddresses []EndpointAddress #2
  ports []EndpointsPort #3
EndpointAddress
  hostname string format=dns1123label #3
  ip string required format=ip #1*
  nodeName string format=subdomain #4*
  targetRef ObjectReference #2
EndpointsPort
  appProtocol string format=labelkey #4*
  name string format=dns1123label #1
  port int32 required format=port #2*
  protocol string =TCP enum=TCP|UDP|SCTP #3
)";

}  // namespace fairlead::orchestrator::apiserver::schema
