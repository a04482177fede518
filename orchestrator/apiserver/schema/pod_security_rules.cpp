// SPDX-License-Identifier: Apache-2.0
// What a pod shares with its host, the kernel's parameters, and what only one operating system has.
#include <algorithm>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr int64_t kMaxId = 2147483647;
constexpr size_t kMaxSysctlName = 253;

constexpr const char* kPodNotOnWindows[] = {"hostUsers", "hostPID", "hostIPC",
                                            "shareProcessNamespace"};
constexpr const char* kPodSecurityNotOnWindows[] = {
    "appArmorProfile",     "seLinuxOptions",
    "seccompProfile",      "fsGroup",
    "fsGroupChangePolicy", "sysctls",
    "runAsUser",           "runAsGroup",
    "supplementalGroups",  "supplementalGroupsPolicy",
    "seLinuxChangePolicy"};
constexpr const char* kSecurityNotOnWindows[] = {"appArmorProfile",
                                                 "seLinuxOptions",
                                                 "seccompProfile",
                                                 "capabilities",
                                                 "readOnlyRootFilesystem",
                                                 "privileged",
                                                 "allowPrivilegeEscalation",
                                                 "procMount",
                                                 "runAsUser",
                                                 "runAsGroup"};

// ([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?
bool is_sysctl_name(std::string_view name) {
  const auto edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.size() > kMaxSysctlName) return false;
  for (;;) {
    const size_t end = std::min(name.find_first_of("./"), name.size());
    const std::string_view part = name.substr(0, end);
    if (part.empty() || !edge(part.front()) || !edge(part.back())) return false;
    if (!std::ranges::all_of(part, [&](char c) { return edge(c) || c == '-' || c == '_'; }))
      return false;
    if (end == name.size()) return true;
    name.remove_prefix(end + 1);
  }
}

// "net/ipv4/tcp_syncookies" is "net.ipv4.tcp_syncookies" (sysctl.d).
std::string namespace_of(std::string name) {
  std::ranges::replace(name, '/', '.');
  if (name.starts_with("net.")) return "hostNetwork";
  for (const char* ipc : {"kernel.shm", "kernel.msg", "fs.mqueue."})
    if (name.starts_with(ipc)) return "hostIPC";
  return name == "kernel.sem" ? "hostIPC" : "";
}

void check_sysctls(const Json& spec, const std::string& path, Causes& causes) {
  const Json& list = at_path(spec, "securityContext.sysctls");
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = string_at(list[i], "name");
    const std::string where = join(indexed(join(path, "securityContext.sysctls"), i), "name");
    if (name.empty()) continue;  // said already: it is required
    if (!is_sysctl_name(name))
      causes.push_back(
          invalid_value(where, go_value(name),
                        "must have at most 253 characters and match regex "
                        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"));
    else if (!seen.insert(name).second)
      causes.push_back(duplicate(where, go_value(name)));
    const std::string shared = namespace_of(name);
    if (!shared.empty() && bool_at(spec, shared))
      causes.push_back(invalid_value(where, go_value(name),
                                     "may not be specified when '" + shared + "' is true"));
  }
}

void check_namespaces(const Json& spec, const std::string& path, Causes& causes) {
  if (bool_at(spec, "shareProcessNamespace") && bool_at(spec, "hostPID"))
    causes.push_back(invalid_value(join(path, "securityContext.shareProcessNamespace"), "true",
                                   "ShareProcessNamespace and HostPID cannot both be enabled"));
  if (bool_at(spec, "hostUsers", true)) return;
  // The two odd names are Kubernetes'.
  for (const auto& [name, shown] :
       {std::pair("hostNetwork", "hostNetwork"), std::pair("hostPID", "HostPID"),
        std::pair("hostIPC", "HostIPC")})
    if (bool_at(spec, name))
      causes.push_back(forbidden_field(join(path, shown), "when `hostUsers` is false"));
}

void check_groups(const Json& spec, const std::string& path, Causes& causes) {
  const Json& groups = at_path(spec, "securityContext.supplementalGroups");
  for (size_t i = 0; i < groups.size(); ++i)
    if (groups[i] < 0 || groups[i] > kMaxId)
      causes.push_back(invalid_value(indexed(join(path, "securityContext.supplementalGroups"), i),
                                     go_value(groups[i]),
                                     "must be between 0 and 2147483647, inclusive"));
}

// Of `object` what is there, or on, of `names`.
template <size_t N>
void forbid(const Json& object, const char* const (&names)[N], const std::string& path,
            const std::string& why, Causes& causes) {
  for (const char* name : names) {
    const Json& value = at(object, name);
    const bool host = std::string_view(name) == "hostPID" || std::string_view(name) == "hostIPC";
    if (!value.is_null() && !(value.is_array() && value.empty()) && !(host && value == false))
      causes.push_back(forbidden_field(join(path, name), why));
  }
}

void check_os(const Json& spec, const std::string& path, Causes& causes) {
  const std::string os = string_at(spec, "os.name");
  if (os != "linux" && os != "windows") return;
  constexpr const char* kWindowsOnly[] = {"windowsOptions"};
  const std::string why = os == "linux" ? "windows options cannot be set for a linux pod"
                                        : "cannot be set for a windows pod";
  const Json& of_pod = at(spec, "securityContext");
  const std::string at_pod = join(path, "securityContext");
  if (os == "linux") {
    forbid(of_pod, kWindowsOnly, at_pod, why, causes);
  } else {
    forbid(of_pod, kPodSecurityNotOnWindows, at_pod, why, causes);
    forbid(spec, kPodNotOnWindows, path, why, causes);
  }
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"})
    for (size_t i = 0; i < at(spec, list).size(); ++i) {
      const Json& context = at(spec[list][i], "securityContext");
      const std::string where = join(indexed(join(path, list), i), "securityContext");
      if (os == "linux")
        forbid(context, kWindowsOnly, where, why, causes);
      else
        forbid(context, kSecurityNotOnWindows, where, why, causes);
    }
}

void check_proc_mounts(const Json& spec, const std::string& path, Causes& causes) {
  if (!bool_at(spec, "hostUsers", true)) return;
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"})
    for (size_t i = 0; i < at(spec, list).size(); ++i)
      if (string_at(spec[list][i], "securityContext.procMount") == "Unmasked")
        causes.push_back(
            invalid_value(join(indexed(join(path, list), i), "securityContext.procMount"),
                          "\"Unmasked\"", "`hostUsers` must be false to use `Unmasked`"));
}

void check_profile(const Json& profile, const std::string& kind, const std::string& path,
                   Causes& causes) {
  const bool local = string_at(profile, "type") == "Localhost";
  const bool given = profile.contains("localhostProfile");
  const std::string where = join(path, "localhostProfile");
  if (local && !given)
    causes.push_back(required(where, "must be set when " + kind + " type is Localhost"));
  if (!local && given)
    causes.push_back(invalid_value(
        where, go_value(kind == "seccomp" ? profile : at(profile, "localhostProfile")),
        "can only be set when " + kind + " type is Localhost"));
}

}  // namespace

void check_pod_security(const Json& spec, const std::string& path, Causes& causes) {
  check_groups(spec, path, causes);
  check_sysctls(spec, path, causes);
  check_namespaces(spec, path, causes);
  check_proc_mounts(spec, path, causes);
  check_os(spec, path, causes);
}

void check_seccomp_profile(const Json& value, const std::string& path, Causes& causes) {
  check_profile(value, "seccomp", path, causes);
  if (string_at(value, "type") == "Localhost")
    check_local_path(string_at(value, "localhostProfile"), join(path, "localhostProfile"), causes);
}

void check_app_armor_profile(const Json& value, const std::string& path, Causes& causes) {
  check_profile(value, "AppArmor", path, causes);
}

}  // namespace fairlead::orchestrator::apiserver::schema
