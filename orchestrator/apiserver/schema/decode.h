// SPDX-License-Identifier: Apache-2.0
// A document against its type: what Go's decoder does for Kubernetes. Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

// Whose words a wrong type is told in: encoding/json's, or those of the converter that the results
// of strategic patches go through (runtime.FromUnstructured).
enum class Words { kJson, kConverter };

// Checks every value's type and brings it to its normal form: null members go, and zeros as by
// drop_zeros(); numbers given for quantities become text, quantities and times become canonical.
// Members the type does not know are removed and their paths put into `unknown`
// ("spec.containers[0].foo"). A wrong type is an Error.
Result<void> decode(const Type& type, Json& value, std::vector<std::string>& unknown,
                    Words words = Words::kJson);
// Leaves out what Go does when it writes the object again: zeros of fields with omitempty that are
// no pointers, empty lists and maps. A template with "tty": false is the one without.
void drop_zeros(const Type& type, Json& value);

// Fills in what is absent, from the schema's data and the few conditional rules.
void apply_defaults(const Type& type, Json& value);

// Required, enum, range, format, uniqueness, and the rules between fields. `path` is "" at the top.
void validate(const Type& type, const Json& value, const std::string& path,
              std::vector<Cause>& causes);
// What an update must not change.
void validate_update(const Type& type, const Json& value, const Json& before,
                     const std::string& path, std::vector<Cause>& causes);

std::string join(const std::string& path, std::string_view name);
std::string indexed(const std::string& path, size_t index);

// Rules in code, by type name: defaults.cpp, type_rules.cpp.
using DefaultRule = void (*)(Json& value);
using ValidateRule = void (*)(const Json& value, const std::string& path,
                              std::vector<Cause>& causes);
ValidateRule find_validate_rule(std::string_view type_name);

}  // namespace fairlead::orchestrator::apiserver::schema
