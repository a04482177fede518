// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/status_compare.h"

#include <algorithm>

#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

using json::Json;

namespace {

// A null in a patch takes a member away: it says the same as none.
Json without_nulls(Json object) {
  for (auto it = object.begin(); it != object.end();) it = it->is_null() ? object.erase(it) : ++it;
  return object;
}

}  // namespace

bool contains_members(const Json& object, const Json& wanted) {
  for (const auto& [key, value] : wanted.items())
    if (json::member(object, key.c_str()) != value) return false;
  return true;
}

bool contains_status(const Json& status, const Json& wanted) {
  std::vector<Json> have;
  for (const Json& condition : json::items(status, "conditions"))
    have.push_back(without_nulls(condition));
  for (const Json& condition : json::items(wanted, "conditions"))
    if (std::find(have.begin(), have.end(), without_nulls(condition)) == have.end()) return false;
  Json others = wanted;
  others.erase("conditions");
  return contains_members(status, others);
}

}  // namespace fairlead::orchestrator
