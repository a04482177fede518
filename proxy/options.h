// SPDX-License-Identifier: Apache-2.0
// The command line of fairlead-proxy: kube-proxy's flags, and a few of our own. Reads nothing but
// its arguments and, through the reader it is given, the file --config names.
//
// With --config the file decides, and flags for what it says are ignored, as kube-proxy does it:
// all but --hostname-override, --master, the flags of logging and those kube-proxy has not.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/result.h"
#include "proxy/config.h"
#include "proxy/ruleset.h"
#include "proxy/stream/balance.h"
#include "proxy/sysctls.h"

namespace fairlead::proxy {

inline constexpr const char* kVersion = "fairlead-proxy 0.1.0 (Kubernetes 1.36)";

struct Options {
  KubeProxyConfig kube;     // what holds in the end, valid
  std::string config_file;  // empty: flags only
  std::string config_text;  // what it said
  std::string write_config_to;
  std::string master;
  std::string node_name;  // --hostname-override, hostnameOverride, the host's name; in lower case
  std::vector<Cidr> service_cidrs;
  std::vector<IpAddress> local_dns;
  std::string local_dns_ready_url = "http://127.0.0.1:8181/ready";
  log::Level log_level = log::Level::kInfo;
  bool cleanup = false;
  bool init_only = false;
  bool service_bytes = false;               // count what flows carry
  bool service_metrics = false;             // series for each service port
  bool shadow = false;                      // see shadow_command.h
  std::vector<std::string> shadow_rules;    // files
  std::vector<std::string> take_over_from;  // as Config has it

  // Of mode userspace.
  std::string handover;  // where programs in mode userspace hand over; empty: nowhere
  stream::Policy stream_policy = stream::Policy::kTwoChoices;
  Duration stream_connect_timeout = std::chrono::seconds(3);
  Duration stream_drain_timeout = std::chrono::seconds(20);

  // To be logged once: what is ignored, or done otherwise than asked for.
  std::vector<std::string> notices;
  // Every flag and its value, for /flagz.
  std::vector<std::pair<std::string, std::string>> flags;
  // What a process that only prints (--help, --version) prints; then it ends with success.
  std::string print;

  // The ruleset configuration of one IP family. `pod_cidrs`: of this node, for NodeCIDR.
  Config config(Family family, const std::vector<Cidr>& pod_cidrs = {}) const;
  // The sysctls of connection tracking: the configuration's, and what service_bytes needs.
  std::vector<Sysctl> conntrack_sysctls(int cpus) const;
  // Addresses of this node that have node ports. nullopt: its primary ones; one of length 0: all
  // but loopback; never empty. kube-proxy's nftables mode defaults to the first, its other modes to
  // the second; so does this program, by the mode it is asked for.
  std::optional<std::vector<Cidr>> node_port_cidrs(Family family) const;
};

using FileReader = std::function<Result<std::string>(const std::string& path)>;

// `host_name`: what the kernel calls this machine. An Error's message is one sentence for the user.
Result<Options> parse_options(const std::vector<std::string>& arguments,
                              const std::string& host_name, const FileReader& reader = nullptr);

}  // namespace fairlead::proxy
