// SPDX-License-Identifier: Apache-2.0
// The volumes of a pod spec. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// One entry of spec.volumes; what cannot be done is added to `refused`.
VolumeSpec parse_volume(const nlohmann::json& volume, std::vector<std::string>& refused);

}  // namespace fairlead::orchestrator
