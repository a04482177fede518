// SPDX-License-Identifier: Apache-2.0
// Which fields a Service's spec has by its type: the one condition of each, for defaults,
// validation, updates and allocation (Kubernetes pkg/api/service, pkg/registry/core/service).
// Pure.
#pragma once

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver::schema {

// "None" counts as one.
bool has_cluster_ip(const Json& spec);
bool is_headless(const Json& spec);
// Its endpoints are the client's own: headless and without selector.
bool is_selectorless(const Json& spec);
// ports[].nodePort may be there; whether it is filled in where it is not.
bool has_node_ports(const Json& spec);
bool allocates_node_ports(const Json& spec);
bool is_load_balancer(const Json& spec);
// healthCheckNodePort is there.
bool has_health_check_port(const Json& spec);
// externalTrafficPolicy is there.
bool is_externally_accessible(const Json& spec);

}  // namespace fairlead::orchestrator::apiserver::schema
