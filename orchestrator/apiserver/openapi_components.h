// SPDX-License-Identifier: Apache-2.0
// The schema's types as OpenAPI schemas, in the dialect of version 2 (Swagger) or 3. Pure.
#pragma once

#include <set>
#include <string>

#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/kind.h"

namespace fairlead::orchestrator::apiserver {

enum class Dialect { kV2, kV3 };

// Gathers named schemas: those asked for and all they refer to.
class Components {
 public:
  explicit Components(Dialect dialect) : dialect_(dialect) {}

  // Adds a kind's schema with x-kubernetes-group-version-kind, by which clients find it. Returns a
  // reference to it: {"$ref": ...}.
  Json add(const Kind& kind);
  Json take() { return std::move(schemas_); }

 private:
  Json schema_of(const schema::Type& type);
  Json reference(const std::string& name) const;
  Json property(const schema::Field& field);
  Json structure(const schema::Type& type);
  Json alternatives(const std::string& name, const char* one, const char* other);

  const Dialect dialect_;
  std::set<std::string> seen_;
  Json schemas_ = Json::object();
};

Json group_version_kind(const Kind& kind);

}  // namespace fairlead::orchestrator::apiserver
