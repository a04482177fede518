// SPDX-License-Identifier: Apache-2.0
// The texts that names and labels must match, with Kubernetes' words for what is wrong
// (k8s.io/apimachinery pkg/util/validation). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::kube {

// What is wrong with the text; nullopt: nothing.
using Complaint = std::optional<std::string>;

Complaint check_dns1123_label(std::string_view text);
Complaint check_dns1123_subdomain(std::string_view text);
Complaint check_dns1035_label(std::string_view text);
Complaint check_qualified_name(std::string_view text);  // label and annotation keys
Complaint check_label_value(std::string_view text);

}  // namespace fairlead::kube
