// SPDX-License-Identifier: Apache-2.0
// /healthz, /livez and /readyz as Kubernetes answers them (apiserver pkg/server/healthz): "ok", one
// check by its name (/readyz/etcd), all of them with ?verbose, without some with ?exclude=NAME.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::orchestrator::apiserver {

// Nothing: the path is none of these. A server that answers at all has its store open and its
// bootstrap behind it, so there is nothing that could fail here.
std::optional<std::string> health_text(
    std::string_view path, const std::vector<std::pair<std::string, std::string>>& query);

}  // namespace fairlead::orchestrator::apiserver
