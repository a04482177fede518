// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_volume_spec.h"

#include "orchestrator/values/json_reader.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;

std::vector<VolumeItem> parse_items(const Json& source) {
  std::vector<VolumeItem> items;
  for (const Json& entry : json::items(source, "items")) {
    VolumeItem item;
    item.path = json::text(entry, "path");
    if (const auto mode = json::number(entry, "mode")) item.mode = static_cast<int>(*mode);
    item.key = json::text(entry, "key");
    if (const Json& field = json::member(entry, "fieldRef"); field.is_object())
      item.key = json::text(field, "fieldPath");
    if (const Json& resource = json::member(entry, "resourceFieldRef"); resource.is_object()) {
      item.resource = true;
      item.key = json::text(resource, "resource");
      item.container = json::text(resource, "containerName");
      const Result<Quantity> divisor = Quantity::parse(json::text(resource, "divisor", "0"));
      item.divisor = divisor.ok() ? divisor->milli() : 0;
    }
    items.push_back(std::move(item));
  }
  return items;
}

// configMap, secret, downwardAPI: as a volume and as a source of a projected one; false for others.
bool parse_object_source(const Json& volume, VolumeSource& source) {
  struct Row {
    const char* field;
    VolumeSource::Kind kind;
  };
  static constexpr Row kRows[] = {{"configMap", VolumeSource::Kind::kConfigMap},
                                  {"secret", VolumeSource::Kind::kSecret},
                                  {"downwardAPI", VolumeSource::Kind::kDownwardApi}};
  for (const Row& row : kRows) {
    const Json& from = json::member(volume, row.field);
    if (!from.is_object()) continue;
    source.kind = row.kind;
    source.object = json::text(from, "name", json::text(from, "secretName"));
    source.optional = json::flag(from, "optional");
    source.items = parse_items(from);
    source.default_mode = static_cast<int>(json::number_or(from, "defaultMode", 0644));
    return true;
  }
  return false;
}

bool parse_projected(const Json& volume, const std::string& name, VolumeSource& source,
                     std::vector<std::string>& refused) {
  const Json& projected = json::member(volume, "projected");
  if (!projected.is_object()) return false;
  source.kind = VolumeSource::Kind::kProjected;
  source.default_mode = static_cast<int>(json::number_or(projected, "defaultMode", 0644));
  for (const Json& entry : json::items(projected, "sources")) {
    VolumeSource part;
    if (parse_object_source(entry, part)) {
      part.default_mode = source.default_mode;
      source.sources.push_back(std::move(part));
    } else {
      refused.push_back(
          "volume " + name +
          ": of projected sources only configMap, secret and downwardAPI are supported");
    }
  }
  return true;
}

}  // namespace

VolumeSpec parse_volume(const Json& volume, std::vector<std::string>& refused) {
  VolumeSpec spec;
  spec.name = json::text(volume, "name");
  VolumeSource& source = spec.source;
  if (const Json& empty = json::member(volume, "emptyDir"); empty.is_object()) {
    source.kind = VolumeSource::Kind::kEmptyDir;
    const std::string medium = json::text(empty, "medium");
    source.memory = medium == "Memory";
    if (!medium.empty() && !source.memory)
      refused.push_back("volume " + spec.name + ": emptyDir of medium " + medium +
                        " is not supported");
    const Result<Quantity> limit = Quantity::parse(json::text(empty, "sizeLimit", "0"));
    source.size_limit = limit.ok() ? limit->value() : 0;
    return spec;
  }
  if (const Json& host = json::member(volume, "hostPath"); host.is_object()) {
    source.kind = VolumeSource::Kind::kHostPath;
    source.host_path = json::text(host, "path");
    source.host_path_type = json::text(host, "type");
    return spec;
  }
  if (parse_object_source(volume, source) || parse_projected(volume, spec.name, source, refused))
    return spec;
  // A volume that names no source is an emptyDir (the API's default).
  if (!volume.is_object() || volume.size() <= 1) return spec;
  std::string kind = "unknown";
  for (const auto& [key, value] : volume.items())
    if (key != "name") kind = key;
  refused.push_back("volume " + spec.name + ": " + kind + " volumes are not supported");
  return spec;
}

}  // namespace fairlead::orchestrator
