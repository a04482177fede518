// SPDX-License-Identifier: Apache-2.0
// YAML documents at the API's door, brought to JSON as Kubernetes does (sigs.k8s.io/yaml: YAML 1.1
// scalars, keys become text, "<<" merges). Pure.
#pragma once

#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {

// What the anchors of a document may make of it: a body's limit, so that aliases cannot multiply.
constexpr size_t kMaxYamlExpansion = 3 * 1024 * 1024;

// Parses the first document of a stream. As parse_json: nesting is limited to kMaxJsonDepth, names
// given twice keep the last value and their paths go to `duplicates`. kInvalid names the line.
Result<Json> parse_yaml(std::string_view text, std::vector<std::string>* duplicates = nullptr);

}  // namespace fairlead::orchestrator::apiserver
