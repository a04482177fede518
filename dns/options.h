// SPDX-License-Identifier: Apache-2.0
// The command line of fairlead-dns: CoreDNS's flags with a Corefile, or a few flags of ours that
// stand for a small one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/result.h"
#include "dns/name.h"

namespace fairlead::dns {

// fairlead-dns explain NAME [TYPE] [--from ADDR]
struct ExplainOptions {
  Name name;
  Type type = Type::kA;
  IpAddress from = IpAddress::v4(127, 0, 0, 1);
};

// fairlead-dns compare --against ADDR[:PORT]
struct CompareOptions {
  SocketAddress against;
  size_t sample = 1000;  // names that do not exist
};

struct Options {
  std::string kubeconfig;  // for a `kubernetes` that names none; empty: in-cluster
  std::string corefile;    // its path, or empty: `corefile_text`
  std::string corefile_text;
  uint16_t port = 53;  // of zones that name none (-dns.port)
  std::string pidfile;
  std::string handover;  // where servers hand over to one another; empty: nowhere
  size_t workers = 1;
  log::Level log_level = log::Level::kInfo;
  unsigned lameduck_seconds = 0;  // beside those of `health`
  // Instead of serving: the Corefile is read, and that is all; or asked.
  bool check = false;
  std::optional<ExplainOptions> explain;
  std::optional<CompareOptions> compare;
};

struct CommandLine {
  std::optional<Options> options;  // absent: print `output` and exit with `exit_code`
  std::string output;
  int exit_code = 0;
};

// `default_workers`: how many processors there are. Usage:
//   fairlead-dns [-conf Corefile] [-dns.port 53] ...    as CoreDNS
//   fairlead-dns check Corefile                         exit code 1 with the error if it is wrong
//   fairlead-dns explain NAME [TYPE] [--from ADDR] ...  why a question is answered as it is
//   fairlead-dns compare --against ADDR[:PORT] ...      what another server answers differently
//   fairlead-dns --cluster-domain cluster.local ...     the flags of docs/dns.md
CommandLine parse_command_line(const std::vector<std::string>& arguments, size_t default_workers);

}  // namespace fairlead::dns
