// SPDX-License-Identifier: Apache-2.0
// resolv.conf(5) of the host, and the DNS configuration and /etc/hosts a pod gets from it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/node/cri.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// Lines that are not understood are skipped, as the C library does. The last "search" or "domain"
// wins.
DnsConfig parse_resolv_conf(std::string_view text);

// Whether a pod, whose loopback is its own, can ask none of these: a resolver of the host alone.
bool only_loopback(const DnsConfig& dns);

struct ClusterDns {
  std::string server;  // empty: the cluster has none
  std::string domain = "cluster.local";
};

// By the pod's dnsPolicy, its dnsConfig merged in (kubelet network/dns). Limits: 3 servers, 32
// search domains of 2048 bytes in sum, as in Kubernetes; what is beyond is left out.
DnsConfig pod_dns(const PodSpec& pod, const ClusterDns& cluster, const DnsConfig& host);

// The content of /etc/hosts. `host_file`: the node's own, for pods with the host's network.
std::string pod_hosts(const PodSpec& pod, const std::vector<std::string>& pod_ips,
                      const std::string& cluster_domain, const std::string& host_file);

}  // namespace fairlead::orchestrator
