// SPDX-License-Identifier: Apache-2.0
// Whether the API server has what the node would write. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace fairlead::orchestrator {

// Whether every member of `wanted` is the same in `object`.
bool contains_members(const nlohmann::json& object, const nlohmann::json& wanted);
// The same for a status, whose conditions may come in another order, and others' among them.
bool contains_status(const nlohmann::json& status, const nlohmann::json& wanted);

}  // namespace fairlead::orchestrator
