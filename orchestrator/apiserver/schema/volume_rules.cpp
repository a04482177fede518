// SPDX-License-Identifier: Apache-2.0
// Volumes and the files in them.
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

// A part of the path is "..".
bool climbs(const std::string& text) {
  const std::string inside = "/" + text + "/";
  return inside.find("/../") != inside.npos;
}

// A file's own name is not to look like one of those that volumes are exchanged with ("..data").
void check_file_path(const Json& value, const std::string& path, Causes& causes) {
  const std::string text = string_at(value, "path");
  check_local_path(text, join(path, "path"), causes);
  if (text.starts_with("..") && !climbs(text))
    causes.push_back(invalid_value(join(path, "path"), go_value(text), "must not start with '..'"));
}

}  // namespace

void check_local_path(const std::string& text, const std::string& path, Causes& causes) {
  if (text.starts_with('/'))
    causes.push_back(invalid_value(path, go_value(text), "must be a relative path"));
  if (climbs(text)) causes.push_back(invalid_value(path, go_value(text), "must not contain '..'"));
}

void check_volume(const Json& value, const std::string& path, Causes& causes) {
  const size_t sources = value.size() - (value.contains("name") ? 1 : 0);
  if (sources == 0) causes.push_back(required(path, "must specify a volume type"));
  if (sources > 1)
    causes.push_back(forbidden_field(path, "may not specify more than 1 volume type"));
}

void check_named_source(const Json& value, const std::string& path, Causes& causes) {
  if (is_empty(at(value, "name"))) causes.push_back(required(join(path, "name")));
}

void check_secret_source(const Json& value, const std::string& path, Causes& causes) {
  if (is_empty(at(value, "secretName"))) causes.push_back(required(join(path, "secretName")));
}

void check_key_to_path(const Json& value, const std::string& path, Causes& causes) {
  check_file_path(value, path, causes);
}

void check_field_file(const Json& value, const std::string& path, Causes& causes) {
  check_file_path(value, path, causes);
  const bool field = value.contains("fieldRef");
  const bool resource = value.contains("resourceFieldRef");
  if (field && resource)
    causes.push_back(invalid_value(
        path, "\"resource\"", "fieldRef and resourceFieldRef can not be specified simultaneously"));
  if (!field && !resource)
    causes.push_back(required(path, "one of fieldRef and resourceFieldRef is required"));
  if (field) check_file_field(value["fieldRef"], join(path, "fieldRef"), causes);
  if (!resource) return;
  const std::string where = join(path, "resourceFieldRef");
  if (is_empty(at(value["resourceFieldRef"], "containerName")))
    causes.push_back(required(join(where, "containerName")));
  else
    check_resource_field(value["resourceFieldRef"], where, causes);
}

void check_host_path(const Json& value, const std::string& path, Causes& causes) {
  const std::string text = string_at(value, "path");
  if (climbs(text))
    causes.push_back(invalid_value(join(path, "path"), go_value(text), "must not contain '..'"));
}

void check_empty_dir(const Json& value, const std::string& path, Causes& causes) {
  if (string_at(value, "sizeLimit").starts_with('-'))
    causes.push_back(forbidden_field(join(path, "sizeLimit"),
                                     "SizeLimit field must be a valid resource quantity"));
}

}  // namespace fairlead::orchestrator::apiserver::schema
