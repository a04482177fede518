// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/node_object.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_spec.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;

std::string first_line(const std::string& path) {
  const Result<std::string> text = files::read(path);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

int64_t memory_of_machine() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  int64_t kib = 0;
  while (file >> name >> kib) {
    if (name == "MemTotal:") return kib * 1024;
    file.ignore(100, '\n');
  }
  return 0;
}

std::string os_name() {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("PRETTY_NAME=")) {
      std::string name = line.substr(12);
      std::erase(name, '"');
      return name;
    }
  return "Linux";
}

std::string go_architecture(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

Json condition(const Json& previous, const std::string& type, bool status,
               const std::string& reason, const std::string& message, WallTime now) {
  const std::string state = status ? "True" : "False";
  Json out = {{"type", type},
              {"status", state},
              {"reason", reason},
              {"message", message},
              {"lastHeartbeatTime", format_time(now)},
              {"lastTransitionTime", format_time(now)}};
  for (const Json& old : json::items(previous, "conditions")) {
    if (json::text(old, "type") != type) continue;
    if (json::text(old, "status") == state)
      out["lastTransitionTime"] = json::text(old, "lastTransitionTime", format_time(now));
    if (json::text(old, "status") == state && json::text(old, "reason") == reason &&
        json::text(old, "message") == message)
      out["lastHeartbeatTime"] = json::text(old, "lastHeartbeatTime", format_time(now));
  }
  return out;
}

// The interface of the default route, from /proc/net/route.
std::string default_interface() {
  std::ifstream file("/proc/net/route");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name, destination, gateway, flags, refs, use, metric, mask;
    fields >> name >> destination >> gateway >> flags >> refs >> use >> metric >> mask;
    if (destination == "00000000" && mask == "00000000") return name;
  }
  return {};
}

}  // namespace

NodeInfo NodeInfo::read(const std::string& data_dir) {
  NodeInfo info;
  info.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  info.memory_bytes = memory_of_machine();
  struct statvfs disk {};
  if (statvfs(data_dir.c_str(), &disk) == 0)
    info.disk_bytes = static_cast<int64_t>(disk.f_blocks) * static_cast<int64_t>(disk.f_frsize);
  info.machine_id = first_line("/etc/machine-id");
  info.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (info.system_uuid.empty()) info.system_uuid = info.machine_id;
  info.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  utsname name{};
  uname(&name);
  info.kernel = name.release;
  info.architecture = go_architecture(name.machine);
  info.os_image = os_name();
  info.name = name.nodename;
  for (char& c : info.name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return info;
}

Result<IpAddress> default_node_ip() {
  const std::string wanted = default_interface();
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return Error::from_errno(errno, "list the addresses of this machine");
  std::optional<IpAddress> found, other;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    const IpAddress address = SocketAddress::from_sockaddr(entry->ifa_addr).address;
    if (address.is_loopback() || address.is_link_local()) continue;
    if (entry->ifa_name == wanted && !found)
      found = address;
    else if (!other)
      other = address;
  }
  freeifaddrs(list);
  if (found) return *found;
  if (other) return *other;
  return Error(
      ErrorCode::kNotFound,
      "this machine has no IPv4 address besides loopback: configure one, or give --node-ip");
}

Json node_labels(const NodeInfo& info) {
  return {{"kubernetes.io/hostname", info.name},
          {"kubernetes.io/os", "linux"},
          {"kubernetes.io/arch", info.architecture},
          {"beta.kubernetes.io/os", "linux"},
          {"beta.kubernetes.io/arch", info.architecture}};
}

Json node_object(const NodeInfo& info, const std::string& pod_cidr) {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", info.name}, {"labels", node_labels(info)}}},
          {"spec", {{"podCIDR", pod_cidr}, {"podCIDRs", Json::array({pod_cidr})}}}};
}

Json node_status(const NodeInfo& info, const RuntimeStatus& runtime, const Json& previous,
                 WallTime now) {
  const std::string memory = std::to_string(info.memory_bytes / 1024) + "Ki";
  const Json resources = {{"cpu", std::to_string(info.cpus)},
                          {"memory", memory},
                          {"ephemeral-storage", std::to_string(info.disk_bytes / 1024) + "Ki"},
                          {"pods", std::to_string(kMaxPods)}};
  const bool ready = runtime.runtime_ready && runtime.network_ready;
  Json conditions = Json::array();
  conditions.push_back(condition(previous, "MemoryPressure", false, "KubeletHasSufficientMemory",
                                 "kubelet has sufficient memory available", now));
  conditions.push_back(condition(previous, "DiskPressure", false, "KubeletHasNoDiskPressure",
                                 "kubelet has no disk pressure", now));
  conditions.push_back(condition(previous, "PIDPressure", false, "KubeletHasSufficientPID",
                                 "kubelet has sufficient PID available", now));
  conditions.push_back(
      ready ? condition(previous, "Ready", true, "KubeletReady", "kubelet is posting ready status",
                        now)
            : condition(previous, "Ready", false, "KubeletNotReady",
                        runtime.message.empty() ? "container runtime is down" : runtime.message,
                        now));
  return {{"capacity", resources},
          {"allocatable", resources},
          {"conditions", conditions},
          {"addresses", Json::array({{{"type", "InternalIP"}, {"address", info.ip}},
                                     {{"type", "Hostname"}, {"address", info.name}}})},
          {"daemonEndpoints", {{"kubeletEndpoint", {{"Port", info.kubelet_port}}}}},
          {"nodeInfo",
           {{"machineID", info.machine_id},
            {"systemUUID", info.system_uuid},
            {"bootID", info.boot_id},
            {"kernelVersion", info.kernel},
            {"osImage", info.os_image},
            {"containerRuntimeVersion", info.runtime.name + "://" + info.runtime.version},
            {"kubeletVersion", kKubeletVersion},
            {"kubeProxyVersion", kKubeletVersion},
            {"operatingSystem", "linux"},
            {"architecture", info.architecture}}}};
}

Json node_status_patch(const NodeInfo& info, const Json& status) {
  Json patch = {{"metadata", {{"labels", node_labels(info)}}}, {"status", status}};
  patch["status"]["addresses"].push_back({{"$patch", "replace"}});
  return patch;
}

Json lease_object(const std::string& node_name, WallTime now) {
  std::string time = format_time_nanos(now);
  time.replace(time.size() - 4, 3, "");  // MicroTime has six digits
  return {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata", {{"name", node_name}, {"namespace", "kube-node-lease"}}},
      {"spec", {{"holderIdentity", node_name}, {"leaseDurationSeconds", 40}, {"renewTime", time}}}};
}

Result<Cidr> choose_pod_cidr(const Cidr& cluster, const std::vector<Cidr>& taken) {
  if (cluster.family() != Family::kIpv4)
    return Error(ErrorCode::kInvalid,
                 "--cluster-cidr must be an IPv4 range, not " + cluster.to_string());
  if (cluster.prefix_length() >= 24) {
    if (taken.empty()) return cluster;
    return Error(ErrorCode::kResourceExhausted,
                 "the cluster range " + cluster.to_string() + " has room for one node only");
  }
  const auto bytes = cluster.address().bytes();
  const uint32_t base =
      uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8;
  const uint32_t count = 1u << (24 - cluster.prefix_length());
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = base + (i << 8);
    const Cidr candidate(
        IpAddress::v4(static_cast<uint8_t>(at >> 24), static_cast<uint8_t>(at >> 16),
                      static_cast<uint8_t>(at >> 8), 0),
        24);
    const auto overlaps = [&](const Cidr& other) {
      return other.contains(candidate) || candidate.contains(other);
    };
    if (std::none_of(taken.begin(), taken.end(), overlaps)) return candidate;
  }
  return Error(
      ErrorCode::kResourceExhausted,
      "every /24 of the cluster range " + cluster.to_string() + " belongs to a node already");
}

}  // namespace fairlead::orchestrator
