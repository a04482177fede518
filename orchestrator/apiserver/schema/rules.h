// SPDX-License-Identifier: Apache-2.0
// Rules between the fields of one type, which data cannot say, by type. The words are Kubernetes'
// (pkg/apis/core/validation, pkg/apis/apps/validation, pkg/apis/discovery/validation), so that what
// is refused there is refused here and the other way round. Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver::schema {

using Causes = std::vector<Cause>;

// container_rules.cpp
void check_container(const Json& value, const std::string& path, Causes& causes);
void check_env_var(const Json& value, const std::string& path, Causes& causes);
void check_env_from(const Json& value, const std::string& path, Causes& causes);
void check_key_selector(const Json& value, const std::string& path, Causes& causes);
void check_handler(const Json& value, const std::string& path, Causes& causes);
void check_http_get(const Json& value, const std::string& path, Causes& causes);
void check_exec(const Json& value, const std::string& path, Causes& causes);
void check_security_context(const Json& value, const std::string& path, Causes& causes);
// "metadata.labels['app']": which paths there are depends on who asks.
void check_env_field(const Json& selector, const std::string& path, Causes& causes);
void check_file_field(const Json& selector, const std::string& path, Causes& causes);
void check_resource_field(const Json& selector, const std::string& path, Causes& causes);

// pod_rules.cpp
void check_pod(const Json& value, const std::string& path, Causes& causes);
void check_pod_template(const Json& value, const std::string& path, Causes& causes);
void check_pod_spec(const Json& value, const std::string& path, Causes& causes);
void check_dns_config(const Json& value, const std::string& path, Causes& causes);

// resource_rules.cpp
void check_resources(const Json& value, const std::string& path, Causes& causes);

// mount_rules.cpp
void check_volumes_of(const Json& container, const std::string& path, Causes& causes);

// pod_security_rules.cpp
void check_pod_security(const Json& spec, const std::string& path, Causes& causes);
void check_seccomp_profile(const Json& value, const std::string& path, Causes& causes);
void check_app_armor_profile(const Json& value, const std::string& path, Causes& causes);

// placement_rules.cpp
void check_placement(const Json& spec, const std::string& path, Causes& causes);
void check_toleration(const Json& value, const std::string& path, Causes& causes);
void check_requirement(const Json& value, const std::string& path, Causes& causes);
void check_label_requirement(const Json& value, const std::string& path, Causes& causes);
void check_node_selector(const Json& value, const std::string& path, Causes& causes);
void check_node_term(const Json& value, const std::string& path, Causes& causes);
void check_affinity_term(const Json& value, const std::string& path, Causes& causes);
void check_spread(const Json& value, const std::string& path, Causes& causes);

// status_rules.cpp
void check_pod_status(const Json& value, const std::string& path, Causes& causes);

// volume_rules.cpp
void check_volume(const Json& value, const std::string& path, Causes& causes);
void check_named_source(const Json& value, const std::string& path, Causes& causes);
void check_secret_source(const Json& value, const std::string& path, Causes& causes);
void check_key_to_path(const Json& value, const std::string& path, Causes& causes);
void check_field_file(const Json& value, const std::string& path, Causes& causes);
void check_host_path(const Json& value, const std::string& path, Causes& causes);
void check_empty_dir(const Json& value, const std::string& path, Causes& causes);
// A path below a volume: relative, and without "..".
void check_local_path(const std::string& text, const std::string& path, Causes& causes);

// service_rules.cpp
void check_service_spec(const Json& value, const std::string& path, Causes& causes);
void check_endpoint_slice(const Json& value, const std::string& path, Causes& causes);
void check_endpoint_subset(const Json& value, const std::string& path, Causes& causes);

}  // namespace fairlead::orchestrator::apiserver::schema
