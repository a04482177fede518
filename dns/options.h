// SPDX-License-Identifier: Apache-2.0
// The command line of fairlead-dns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/result.h"
#include "dns/name.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct Options {
  std::string kubeconfig;  // empty: in-cluster
  Name cluster_domain;
  std::vector<SocketAddress> listen;
  bool listen_defaulted = true;
  std::vector<SocketAddress> forward;  // empty: from resolv_conf
  std::string resolv_conf = "/etc/resolv.conf";
  UpstreamPolicy policy = UpstreamPolicy::kRandom;
  bool pods_insecure = true;
  size_t workers = 1;
  std::optional<SocketAddress> health;
  std::optional<SocketAddress> ready;
  std::optional<SocketAddress> metrics;
  unsigned lameduck_seconds = 5;
  log::Level log_level = log::Level::kInfo;
};

struct CommandLine {
  std::optional<Options> options;  // absent: print `output` and exit with `exit_code`
  std::string output;
  int exit_code = 0;
};

// `default_workers`: how many processors there are.
CommandLine parse_command_line(const std::vector<std::string>& arguments, size_t default_workers);

}  // namespace fairlead::dns
