// SPDX-License-Identifier: Apache-2.0
// The Node object this machine shows, and its lease. No I/O but in NodeInfo::read and
// default_node_ip.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "orchestrator/node/cri.h"

namespace fairlead::orchestrator {

// Facts of the machine.
struct NodeInfo {
  std::string name;
  std::string ip;
  int cpus = 1;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;  // of the file system that holds the data folder
  std::string machine_id;
  std::string system_uuid;
  std::string boot_id;
  std::string kernel;
  std::string os_image;
  std::string architecture;  // "amd64"
  RuntimeVersion runtime;
  int kubelet_port = 10250;

  static NodeInfo read(const std::string& data_dir);
};

inline constexpr int kMaxPods = 110;
inline constexpr char kKubeletVersion[] = "v1.36.0+fairlead";

// The address of the interface with the default route, else the first that is not loopback.
Result<IpAddress> default_node_ip();

nlohmann::json node_object(const NodeInfo& info, const std::string& pod_cidr);
// Labels of ours; others' stay.
nlohmann::json node_labels(const NodeInfo& info);
// `previous` is the object's status: times of conditions that did not change are kept.
nlohmann::json node_status(const NodeInfo& info, const RuntimeStatus& runtime,
                           const nlohmann::json& previous, WallTime now);
// The strategic merge patch that makes it so: conditions of others stay.
nlohmann::json node_status_patch(const NodeInfo& info, const nlohmann::json& status);
nlohmann::json lease_object(const std::string& node_name, WallTime now);

// The first /24 (or the whole of a smaller range) of `cluster` that is not in `taken`.
Result<Cidr> choose_pod_cidr(const Cidr& cluster, const std::vector<Cidr>& taken);

}  // namespace fairlead::orchestrator
