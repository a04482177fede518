// SPDX-License-Identifier: Apache-2.0
// The texts that fields must match, with Kubernetes' words for what is wrong
// (k8s.io/apimachinery pkg/util/validation). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kube/names.h"
#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver::schema {

using kube::check_dns1035_label;
using kube::check_dns1123_label;
using kube::check_dns1123_subdomain;
using kube::check_label_value;
using kube::check_qualified_name;
using kube::Complaint;

Complaint check_config_key(std::string_view text);
Complaint check_port_name(std::string_view text);

// By the name used in the schema's format=; an unknown name is a bug and asserts.
Complaint check_format(std::string_view format, const Json& value);

bool is_rfc3339(std::string_view text);
// Index of the first illegal byte; nullopt: it is base64.
std::optional<size_t> base64_error(std::string_view text);
std::string base64_encode(std::string_view bytes);
// Of what is base64; line breaks and padding are passed over.
std::string base64_decode(std::string_view text);
std::string lower_case(std::string text);  // ASCII

}  // namespace fairlead::orchestrator::apiserver::schema
