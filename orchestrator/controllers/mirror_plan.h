// SPDX-License-Identifier: Apache-2.0
// EndpointSlices for what a user wrote as Endpoints, the older form, beside a Service without a
// selector. Pure.
//
// Semantics: KEP-752 and Kubernetes/pkg/controller/endpointslicemirroring. Addresses that offer the
// same ports share a slice of their family, with the labels and annotations of the Endpoints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

inline constexpr size_t kMaxMirroredAddresses = 1000;  // in one slice; more are left out
inline constexpr const char* kManagedByMirror = "endpointslicemirroring-controller.k8s.io";
inline constexpr const char* kSkipMirrorLabel = "endpointslice.kubernetes.io/skip-mirror";
inline constexpr const char* kLeaderAnnotation = "control-plane.alpha.kubernetes.io/leader";

// Not those of a Service whose slices others make, nor those that only hold a lock.
bool is_mirrored(const Endpoints& endpoints);

// {metadata: {labels, annotations}, addressType, ports, endpoints} of each slice; `document` is the
// Endpoints object. Addresses that are none are left out.
std::vector<nlohmann::json> mirrored_slices(const nlohmann::json& document);

// A merge patch that makes `slice` (as stored) say what `wanted` does; null: it says so already.
nlohmann::json mirror_patch(const nlohmann::json& slice, const nlohmann::json& wanted);

}  // namespace fairlead::orchestrator::controllers
