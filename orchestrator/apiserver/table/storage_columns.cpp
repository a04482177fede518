// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

Json drivers_cell(const Json& node, WallTime) {
  const Json& drivers = at_path(node, "spec.drivers");
  return drivers.is_array() ? drivers.size() : size_t{0};
}
Json attach_cell(const Json& driver, WallTime) {
  return bool_at(driver, "spec.attachRequired");
}
Json pod_info_cell(const Json& driver, WallTime) {
  return bool_at(driver, "spec.podInfoOnMount");
}
Json capacity_cell(const Json& driver, WallTime) {
  return bool_at(driver, "spec.storageCapacity");
}
Json republish_cell(const Json& driver, WallTime) {
  return bool_at(driver, "spec.requiresRepublish");
}
Json tokens_cell(const Json& driver, WallTime) {
  std::vector<std::string> audiences;
  const Json& requests = at_path(driver, "spec.tokenRequests");
  if (requests.is_array())
    for (const Json& request : requests) audiences.push_back(string_at(request, "audience"));
  return audiences.empty() ? "<unset>" : comma_joined(audiences);
}
Json modes_cell(const Json& driver, WallTime) {
  std::vector<std::string> modes;
  const Json& list = at_path(driver, "spec.volumeLifecycleModes");
  if (list.is_array())
    for (const Json& mode : list)
      if (mode.is_string()) modes.push_back(mode.get<std::string>());
  return modes.empty() ? "<none>" : comma_joined(modes);
}
Json handler_cell(const Json& runtime, WallTime) {
  return string_at(runtime, "handler");
}

constexpr Column kCsiNode[] = {
    kNameColumn,
    {"Drivers", "integer", "", 0, "How many drivers run on the node.", drivers_cell},
    kAgeColumn,
};
constexpr Column kCsiDriver[] = {
    kNameColumn,
    {"AttachRequired", "boolean", "", 0, "Whether volumes are attached first.", attach_cell},
    {"PodInfoOnMount", "boolean", "", 0, "Whether the driver is told of the pod.", pod_info_cell},
    {"StorageCapacity", "boolean", "", 0, "Whether capacity is considered.", capacity_cell},
    {"TokenRequests", "string", "", 0, "Audiences of the tokens it is given.", tokens_cell},
    {"RequiresRepublish", "boolean", "", 0, "Whether it is asked again.", republish_cell},
    {"Modes", "string", "", 0, "Lifecycles of volumes that it knows.", modes_cell},
    kAgeColumn,
};
constexpr Column kRuntimeClass[] = {
    kNameColumn,
    {"Handler", "string", "", 0, "The runtime's name for it.", handler_cell},
    kAgeColumn,
};

}  // namespace

const std::span<const Column> kCsiNodeColumns = kCsiNode;
const std::span<const Column> kCsiDriverColumns = kCsiDriver;
const std::span<const Column> kRuntimeClassColumns = kRuntimeClass;

}  // namespace fairlead::orchestrator::apiserver
