// SPDX-License-Identifier: Apache-2.0
// The Api of api.h over a Registry. One per Loop; it must be destroyed before its Loop and
// Registry.
#pragma once

#include "orchestrator/apiserver/api.h"
#include "orchestrator/apiserver/registry/registry.h"

namespace fairlead::orchestrator::apiserver {

std::unique_ptr<Api> make_in_process_api(Registry& registry, Loop& loop);

}  // namespace fairlead::orchestrator::apiserver
