// SPDX-License-Identifier: Apache-2.0
// What is taken but will hardly do what its writer thinks, in Kubernetes' words
// (pkg/api/{pod,service}/warnings.go): Warning headers, which kubectl shows. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver::schema {

// Of a valid Pod, Deployment, ReplicaSet or Service; of other kinds there is nothing to say.
std::vector<std::string> warnings_of(std::string_view kind, const Json& object);

}  // namespace fairlead::orchestrator::apiserver::schema
