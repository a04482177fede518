// SPDX-License-Identifier: Apache-2.0
// JSON documents at the API's door, and small helpers to walk them. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::orchestrator::apiserver {

using Json = nlohmann::json;

constexpr size_t kMaxJsonDepth = 64;

// Parses one document. Nested deeper than kMaxJsonDepth is kInvalid. Names given twice in one
// object: the last wins, and their paths go to `duplicates` ("spec.ports[0].name") when it is not
// null.
Result<Json> parse_json(std::string_view text, std::vector<std::string>* duplicates = nullptr);
// Invalid UTF-8 cannot get in, so this cannot fail.
std::string dump(const Json& json);
bool is_utf8(std::string_view text);  // as parse_json() judges
// As Go's %q for strings, plain for the rest.
std::string go_value(const Json& json);
// As Go's %+v of what it decodes JSON to: "map[spec:map[replicas:3]]".
std::string go_print(const Json& json);

// Member or null; json may be anything.
const Json& at(const Json& json, std::string_view name);
const Json& at_path(const Json& json, std::string_view dotted);
std::string string_at(const Json& json, std::string_view dotted);
int64_t int_at(const Json& json, std::string_view dotted, int64_t otherwise = 0);
bool bool_at(const Json& json, std::string_view dotted, bool otherwise = false);
// Empty, null or absent.
bool is_empty(const Json& json);

}  // namespace fairlead::orchestrator::apiserver
