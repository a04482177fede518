// SPDX-License-Identifier: Apache-2.0
// What is taken of Kubernetes' objects for the DNS. Pure.
#pragma once

#include <string>
#include <string_view>

#include "dns/zone/records.h"
#include "kube/objects.h"

namespace fairlead::dns {

// Kubernetes names are lower-case labels (RFC 1123); two that differ by case alone would be one
// name.
bool is_label(std::string_view text);
std::string lower(std::string_view text);

// All of a Service but its endpoints.
ServiceDraft draft_of(const kube::Service& service);

// A topology zone as the labels it has in a name, in lower case; empty when it has none.
std::string topology_labels(const std::string& zone);

// What an endpoint is called other than by its address; nullptr: nothing. `pod_names`: like its
// pod, where it has no host name. A pod's name with dots is no label.
const std::string* label_of(const kube::Endpoint& endpoint, bool pod_names);

}  // namespace fairlead::dns
