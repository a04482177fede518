// SPDX-License-Identifier: Apache-2.0
// The kernel's connection tracking, sized and timed as kube-proxy does
// (pkg/proxy/conntrack/sysctls.go). What to write is pure; writing blocks for a moment.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "proxy/config.h"

namespace fairlead::proxy {

struct Sysctl {
  std::string name;  // below net/netfilter: "nf_conntrack_max"
  int64_t value = 0;
  bool operator==(const Sysctl&) const = default;
};

// maxPerCore times `cpus`, at least min and at most 1,048,576; 0: as it is. Then the time-outs that
// are set, in whole seconds.
std::vector<Sysctl> conntrack_sysctls(const KubeProxyConfig::Conntrack& config, int cpus);

// One that could not be written.
struct SysctlFailure {
  enum class Kind : uint8_t {
    kMissing,    // connection tracking is not loaded yet: worth another try once rules are there
    kForbidden,  // read-only file system, no capability, or another network namespace's to decide
    kFailed,     // the value itself was refused, or worse
  };
  Kind kind;
  Error error;
};

// Writes those that differ; nf_conntrack_max also enlarges the hash table to a quarter of it. Goes
// on after a failure. `root` stands before /proc and /sys.
std::vector<SysctlFailure> write_sysctls(const std::vector<Sysctl>& sysctls,
                                         const std::string& root = "");

// net.ipv4.tcp_tw_reuse = 1, of both families: a connection of this host's may begin with the ports
// of one that it has ended a second ago or longer, where both ends tell time (RFC 6191). A relay
// whose clients close first has nothing but such connections: without, it runs out of ports to an
// endpoint at some 470 connections a second.
Result<void> let_ports_be_used_again(const std::string& root = "");

// A time-out of connection tracking that is in force, "nf_conntrack_udp_timeout"; nullopt: there is
// none.
std::optional<Duration> conntrack_timeout(const std::string& name, const std::string& root = "");

// Ports that the kernel gives to sockets which do not ask for one: the first and the last of them
// (net.ipv4.ip_local_port_range, of both families).
std::pair<uint16_t, uint16_t> local_ports(const std::string& root = "");

// CPUs online.
int cpu_count();

}  // namespace fairlead::proxy
