// SPDX-License-Identifier: Apache-2.0
// Forgiving reads of JSON documents for decoders: what is absent or of another type reads as empty.
// References live as long as the document. Include from .cpp files only where possible.
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

const Json& field(const Json& object, const char* name);  // null when absent
const std::string& text(const Json& object, const char* name);
int64_t number(const Json& object, const char* name, int64_t fallback);
bool flag(const Json& object, const char* name);
const Json& items(const Json& object, const char* name);  // an array; empty when absent
std::vector<std::string> texts(const Json& object, const char* name);
Labels labels(const Json& object, const char* name);
WallTime timestamp(const Json& object, const char* name);

// Error when metadata or its name is missing.
Result<Meta> read_meta(const Json& object);
LabelSelector read_selector(const Json& selector);
std::vector<Requirement> read_requirements(const Json& object, const char* name);
std::vector<Condition> read_conditions(const Json& status);
std::vector<Taint> read_taints(const Json& node_spec);
std::vector<Toleration> read_tolerations(const Json& pod_spec);

// 128 bits of the canonical text of a pod template without pod-template-hash.
std::string template_print(const Json& pod_template);

}  // namespace fairlead::orchestrator::controllers
