// SPDX-License-Identifier: Apache-2.0
// What the command line of `fairlead` says. Values.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"

namespace fairlead::orchestrator {

struct ClusterOptions {
  std::string data_dir = "/var/lib/fairlead";
  std::string run_dir = "/run/fairlead";
  std::string pod_log_dir = "/var/log/pods";
  std::string log_link_dir = "/var/log/containers";
  std::string bin_dir;  // of fairlead-proxy and fairlead-dns; empty: beside this program
  Cidr cluster_cidr;
  Cidr service_cidr;
  std::string cluster_domain = "cluster.local";
  std::string write_kubeconfig;      // a copy of the administrator's; empty: none
  std::string kubeconfig;            // `node`: how to reach the API server
  std::string server_url;            // `node-kubeconfig`: what stands in it
  std::string node_name;             // empty: the host's
  std::optional<IpAddress> node_ip;  // none: the address of the default route
  IpAddress bind_address;
  uint16_t secure_port = 6443;
  uint16_t kubelet_port = 10250;
  std::string containerd_socket;  // of an existing one; empty: our own
  bool proxy = true;              // false: no fairlead-proxy
  bool dns = true;                // false: no fairlead-dns

  std::string log_dir() const { return data_dir + "/log"; }
  std::string pki_dir() const { return data_dir + "/pki"; }
  // The tenth address of the service range is the cluster DNS', the first the API server's.
  IpAddress service_address(uint8_t index) const;
};

}  // namespace fairlead::orchestrator
