// SPDX-License-Identifier: Apache-2.0
// What the server offers, for clients to find: legacy lists and aggregated discovery
// (apidiscovery.k8s.io v2, v2beta1), made from the kinds table. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {

inline constexpr const char* kGitVersion = "v1.36.2+fairlead";
Json version_info();

// "/", "/api", "/apis", "/apis/apps", "/api/v1", "/apis/apps/v1"; nullopt: there is no such group.
std::optional<Json> legacy_discovery(std::string_view path, const std::string& server_address);
// For "/api" and "/apis". `version`: "v2" or "v2beta1".
Json aggregated_discovery(std::string_view path, const std::string& version);

}  // namespace fairlead::orchestrator::apiserver
