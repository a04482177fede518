// SPDX-License-Identifier: Apache-2.0
// Every kind the API serves, as data. Read-only: any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver {

// A column of `kubectl get`. Priority 0 is shown always, 1 with -o wide.
struct Column {
  const char* name;
  const char* type;
  const char* format;
  int priority;
  const char* description;
  Json (*cell)(const Json& object, WallTime now);
};

// Kinds whose registry behaviour is more than data; each has rules in registry/.
enum class Behaviour { kPlain, kEvent, kNamespace, kNode, kPod, kService };

struct Kind {
  std::string group;
  std::string version;
  std::string kind;
  std::string plural;
  std::string singular;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  bool namespaced = true;
  bool has_status = false;
  bool keeps_status_on_create = false;  // written by its owner together with the object
  bool has_scale = false;
  bool has_generation = false;
  bool created_by_update = false;         // a PUT of one that is not there makes it
  bool updated_by_version_only = false;   // a PUT must say which version it replaces
  std::string name_format;                // schema::check_format's, of metadata.name
  std::vector<std::string> field_labels;  // beyond metadata.name and metadata.namespace
  std::span<const Column> columns;
  std::string deprecation = {};  // a warning with every answer
  Behaviour behaviour = Behaviour::kPlain;
  // Served from another kind's storage, its top-level members renamed: {stored, served}.
  std::string stored_group;
  std::vector<std::pair<std::string, std::string>> renames;
  const schema::Type* type = nullptr;         // of the stored form
  const schema::Type* served_type = nullptr;  // of the served form, in protobuf

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  std::string list_kind() const { return kind + "List"; }
  bool has_spec() const { return type->field("spec") != nullptr; }
  Resource resource() const { return {group, plural}; }
  Subject subject(std::string name) const { return {group, plural, kind, std::move(name)}; }
  bool supports_field(std::string_view path) const;

  // Keys in the store: "core/pods/", "core/pods/default/web-1".
  std::string prefix() const;
  std::string prefix(std::string_view ns) const;  // "" for all namespaces
  std::string key(std::string_view ns, std::string_view name) const;
};

class Kinds {
 public:
  static const Kinds& builtin();
  const Kind* find(const Resource& resource) const;
  const Kind* find(std::string_view group, std::string_view version, std::string_view plural) const;
  const Kind* of_key(std::string_view store_key) const;
  const std::vector<Kind>& all() const { return kinds_; }
  // {"", "v1"}, {"apps", "v1"}...; the core group first.
  std::vector<std::pair<std::string, std::string>> group_versions() const;

 private:
  std::vector<Kind> kinds_;
};

// "core/pods/default/web-1" -> {"default", "web-1"}; of a cluster-scoped kind {"", name}.
kube::ObjectKey object_key_of(std::string_view store_key);

// The form a client of this kind sees, from the stored form, and back.
Json to_served(const Kind& kind, Json stored);
Json to_stored(const Kind& kind, Json served);

}  // namespace fairlead::orchestrator::apiserver
