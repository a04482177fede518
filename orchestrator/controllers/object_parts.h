// SPDX-License-Identifier: Apache-2.0
// Parts of API objects that several decoders read, from JSON to values. Forgiving as
// orchestrator/values/json_reader.h, on which they stand. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

using Json = nlohmann::json;

// The document, or an Error that says it is no JSON object.
Result<Json> parse_object(const Bytes& bytes);

Labels labels(const Json& object, const char* name);
WallTime timestamp(const Json& object, const char* name);

// Error when metadata or its name is missing.
Result<Meta> read_meta(const Json& object);
LabelSelector read_selector(const Json& selector);
std::vector<Requirement> read_requirements(const Json& object, const char* name);
std::vector<Condition> read_conditions(const Json& status);
std::vector<Taint> read_taints(const Json& node_spec);
std::vector<Toleration> read_tolerations(const Json& pod_spec);

// 128 bits of the canonical text of a value.
std::string fingerprint(const Json& json);
// The same of a pod template without pod-template-hash.
std::string template_print(const Json& pod_template);

}  // namespace fairlead::orchestrator::controllers
