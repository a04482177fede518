// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/service_spec.h"

namespace fairlead::orchestrator::apiserver::schema {

bool has_cluster_ip(const Json& spec) {
  return string_at(spec, "type") != "ExternalName";
}

bool is_headless(const Json& spec) {
  return string_at(spec, "clusterIP") == "None";
}

bool is_selectorless(const Json& spec) {
  return is_headless(spec) && is_empty(at(spec, "selector"));
}

bool is_load_balancer(const Json& spec) {
  return string_at(spec, "type") == "LoadBalancer";
}

bool has_node_ports(const Json& spec) {
  return string_at(spec, "type") == "NodePort" || is_load_balancer(spec);
}

bool allocates_node_ports(const Json& spec) {
  return has_node_ports(spec) &&
         (!is_load_balancer(spec) || bool_at(spec, "allocateLoadBalancerNodePorts", true));
}

bool has_health_check_port(const Json& spec) {
  return is_load_balancer(spec) && string_at(spec, "externalTrafficPolicy") == "Local";
}

bool is_externally_accessible(const Json& spec) {
  return has_node_ports(spec) || (has_cluster_ip(spec) && !is_empty(at(spec, "externalIPs")));
}

}  // namespace fairlead::orchestrator::apiserver::schema
