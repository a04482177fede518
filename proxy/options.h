// SPDX-License-Identifier: Apache-2.0
// The command line of fairlead-proxy: kube-proxy's flags where both have them. Reads nothing but
// its arguments.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/result.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

struct Options {
  std::string kubeconfig;
  std::string master;
  std::string node_name;  // --hostname-override, else the host's name in lower case
  std::vector<Cidr> cluster_cidrs;
  std::vector<Cidr> service_cidrs;
  std::vector<Cidr> node_port_cidrs;
  std::vector<IpAddress> local_dns;
  std::string local_dns_ready_url = "http://127.0.0.1:8181/ready";
  bool masquerade_all = false;
  int masquerade_bit = 14;
  std::string healthz_address = "0.0.0.0:10256";  // empty: none
  std::string metrics_address = "127.0.0.1:10249";
  log::Level log_level = log::Level::kInfo;
  bool cleanup = false;

  // What a process that only prints (--help, --version) prints; then it ends with success.
  std::string print;

  // The ruleset configuration of one IP family.
  Config config(Family family) const;
};

// `host_name`: what the kernel calls this machine. An Error's message is one sentence for the user.
Result<Options> parse_options(const std::vector<std::string>& arguments,
                              const std::string& host_name);

}  // namespace fairlead::proxy
