// SPDX-License-Identifier: Apache-2.0
// Where a container finds its volumes: as folders (volumeMounts) and as devices.
#include <algorithm>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

bool any_has(const Json& list, const char* member, const Json& value) {
  return std::any_of(list.begin(), list.end(),
                     [&](const Json& one) { return !value.is_null() && at(one, member) == value; });
}

// Says of one item what is wrong with one of its members.
struct Refusal {
  const Json& item;
  const std::string& where;
  Causes& causes;
  void operator()(const char* member, const char* why) const {
    causes.push_back(invalid_value(join(where, member), go_value(at(item, member)), why));
  }
};

void check_read_only(const Json& mount, const std::string& where, Causes& causes) {
  const std::string mode = string_at(mount, "recursiveReadOnly");
  if (mode.empty() || mode == "Disabled") return;
  const std::string path = join(where, "recursiveReadOnly");
  if (!bool_at(mount, "readOnly"))
    causes.push_back(forbidden_field(path, "may only be specified when readOnly is true"));
  const std::string propagation = string_at(mount, "mountPropagation");
  if (!propagation.empty() && propagation != "None")
    causes.push_back(forbidden_field(
        path, "may only be specified when mountPropagation is None or not specified"));
}

void check_mount(const Json& mount, const Json& container, const std::string& where,
                 Causes& causes) {
  const Refusal refuse{mount, where, causes};
  const Json& devices = at(container, "volumeDevices");
  if (any_has(devices, "name", at(mount, "name")))
    refuse("name", "must not already exist in volumeDevices");
  if (any_has(devices, "devicePath", at(mount, "mountPath")))
    refuse("mountPath", "must not already exist as a path in volumeDevices");
  for (const char* name : {"subPath", "subPathExpr"})
    check_local_path(string_at(mount, name), join(where, name), causes);
  if (!is_empty(at(mount, "subPath")) && !is_empty(at(mount, "subPathExpr")))
    refuse("subPathExpr", "subPathExpr and subPath are mutually exclusive");
  if (string_at(mount, "mountPropagation") == "Bidirectional" &&
      !bool_at(container, "securityContext.privileged"))
    causes.push_back(
        forbidden_field(join(where, "mountPropagation"),
                        "Bidirectional mount propagation is available only to privileged "
                        "containers"));
  check_read_only(mount, where, causes);
}

void check_device(const Json& device, const Json& container, const std::string& where,
                  Causes& causes) {
  const Refusal refuse{device, where, causes};
  const std::string path = "/" + string_at(device, "devicePath") + "/";
  if (path.find("/../") != path.npos) refuse("devicePath", "can not contain backsteps ('..')");
  const Json& mounts = at(container, "volumeMounts");
  if (any_has(mounts, "name", at(device, "name")))
    refuse("name", "must not already exist in volumeMounts");
  if (any_has(mounts, "mountPath", at(device, "devicePath")))
    refuse("devicePath", "must not already exist as a path in volumeMounts");
}

}  // namespace

void check_volumes_of(const Json& container, const std::string& path, Causes& causes) {
  std::set<std::string> places, devices, names;
  const auto again = [](std::set<std::string>& seen, const std::string& text) {
    return !text.empty() && !seen.insert(text).second;
  };
  for (size_t i = 0; i < at(container, "volumeMounts").size(); ++i) {
    const Json& mount = container["volumeMounts"][i];
    const std::string where = indexed(join(path, "volumeMounts"), i);
    if (again(places, string_at(mount, "mountPath")))
      Refusal{mount, where, causes}("mountPath", "must be unique");
    check_mount(mount, container, where, causes);
  }
  for (size_t i = 0; i < at(container, "volumeDevices").size(); ++i) {
    const Json& device = container["volumeDevices"][i];
    const std::string where = indexed(join(path, "volumeDevices"), i);
    const Refusal refuse{device, where, causes};
    if (again(names, string_at(device, "name"))) refuse("name", "must be unique");
    if (again(devices, string_at(device, "devicePath"))) refuse("devicePath", "must be unique");
    check_device(device, container, where, causes);
  }
}

}  // namespace fairlead::orchestrator::apiserver::schema
