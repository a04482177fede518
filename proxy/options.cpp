// SPDX-License-Identifier: Apache-2.0
#include "proxy/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>

namespace fairlead::proxy {

namespace {

constexpr const char* kVersion = "fairlead-proxy 0.1.0 (Kubernetes 1.36)";

// Flags of kube-proxy 1.36 that this program does not have yet (cmd/kube-proxy/app/options.go).
constexpr const char* kNotYet[] = {"bind-address",
                                   "bind-address-hard-fail",
                                   "boot-id-file",
                                   "config",
                                   "config-sync-period",
                                   "conntrack-max-per-core",
                                   "conntrack-min",
                                   "conntrack-tcp-be-liberal",
                                   "conntrack-tcp-timeout-close-wait",
                                   "conntrack-tcp-timeout-established",
                                   "conntrack-udp-timeout",
                                   "conntrack-udp-timeout-stream",
                                   "detect-local-mode",
                                   "feature-gates",
                                   "init-only",
                                   "iptables-localhost-nodeports",
                                   "iptables-min-sync-period",
                                   "iptables-sync-period",
                                   "ipvs-exclude-cidrs",
                                   "ipvs-min-sync-period",
                                   "ipvs-scheduler",
                                   "ipvs-strict-arp",
                                   "ipvs-sync-period",
                                   "ipvs-tcp-timeout",
                                   "ipvs-tcpfin-timeout",
                                   "ipvs-udp-timeout",
                                   "kube-api-burst",
                                   "kube-api-content-type",
                                   "kube-api-qps",
                                   "log-flush-frequency",
                                   "logging-format",
                                   "machine-id-file",
                                   "oom-score-adj",
                                   "pod-bridge-interface",
                                   "pod-interface-name-prefix",
                                   "profiling",
                                   "show-hidden-metrics-for-version",
                                   "vmodule",
                                   "write-config-to"};

Error wrong(const std::string& what) {
  return Error(ErrorCode::kInvalid, what);
}

Result<std::vector<Cidr>> parse_cidrs(const std::string& flag,
                                      const std::vector<std::string>& texts) {
  std::vector<Cidr> cidrs;
  for (const std::string& text : texts) {
    const Result<Cidr> cidr = Cidr::parse_lenient(text);
    if (!cidr.ok()) return wrong(flag + ": \"" + text + "\" is not a CIDR such as 10.244.0.0/16");
    cidrs.push_back(*cidr);
  }
  return cidrs;
}

std::vector<Cidr> of_family(const std::vector<Cidr>& cidrs, Family family) {
  std::vector<Cidr> result;
  std::copy_if(cidrs.begin(), cidrs.end(), std::back_inserter(result),
               [&](const Cidr& cidr) { return cidr.family() == family; });
  return result;
}

// What CLI11 could not place: a flag of kube-proxy that is still to come, or a mistake.
Error unknown_argument(const std::string& argument) {
  std::string name = argument.substr(
      argument.find_first_not_of('-') == std::string::npos ? 0 : argument.find_first_not_of('-'));
  name = name.substr(0, name.find('='));
  const bool known = std::find(std::begin(kNotYet), std::end(kNotYet), name) != std::end(kNotYet);
  if (known) return wrong("--" + name + " of kube-proxy is not supported yet; leave it out");
  return wrong("unknown argument " + argument + "; --help lists what there is");
}

struct Texts {
  std::vector<std::string> cluster_cidrs, service_cidrs, node_port_addresses, local_dns;
  std::string mode = "nftables", log_level = "info", host_name;
  int verbosity = 0;
  bool version = false;
};

void declare(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("--kubeconfig", options.kubeconfig,
                 "how to reach the API server; without it the pod's service account");
  app.add_option("--master", options.master,
                 "address of the API server, instead of the kubeconfig's");
  app.add_option("--hostname-override", texts.host_name, "name of this node, if not the host's");
  app.add_option("--cluster-cidr", texts.cluster_cidrs,
                 "addresses of pods, both families; other sources are masqueraded")
      ->delimiter(',');
  app.add_option("--service-cidr", texts.service_cidrs,
                 "addresses of Services; those without a Service are dropped")
      ->delimiter(',');
  app.add_flag("--masquerade-all", options.masquerade_all,
               "masquerade everything sent to a Service");
  app.add_option("--nodeport-addresses", texts.node_port_addresses,
                 "CIDRs of node addresses with node ports; default all but loopback")
      ->delimiter(',');
  app.add_option("--iptables-masquerade-bit", options.masquerade_bit,
                 "bit of the packet mark to use, 0 to 31");
  app.add_option("--healthz-bind-address", options.healthz_address,
                 "where /healthz answers; empty for nowhere");
  app.add_option("--metrics-bind-address", options.metrics_address,
                 "where /metrics answers; empty for nowhere");
  app.add_option("--proxy-mode", texts.mode, "only nftables");
  app.add_option("--local-dns-address", texts.local_dns,
                 "address on which the DNS server of this node answers; may be given again");
  app.add_option("--local-dns-ready-url", options.local_dns_ready_url,
                 "answers 200 while that DNS server is ready");
  app.add_flag("--cleanup", options.cleanup, "remove everything this program made, and end");
  app.add_option("--log-level", texts.log_level, "debug, info, warn or error");
  app.add_option("-v,--v", texts.verbosity, "kube-proxy's log level; 4 and more is debug");
  app.add_flag("--version", texts.version, "print the version and end");
  app.allow_extras();
}

Result<void> interpret(Options& options, const Texts& texts) {
  for (const auto& [flag, from, to] :
       {std::tuple{"--cluster-cidr", &texts.cluster_cidrs, &options.cluster_cidrs},
        std::tuple{"--service-cidr", &texts.service_cidrs, &options.service_cidrs}}) {
    auto cidrs = parse_cidrs(flag, *from);
    if (!cidrs.ok()) return cidrs.error();
    *to = std::move(*cidrs);
  }
  for (const std::string& text : texts.node_port_addresses)
    if (text == "primary")
      return wrong("--nodeport-addresses=primary is not supported yet; give CIDRs");
  auto node_ports = parse_cidrs("--nodeport-addresses", texts.node_port_addresses);
  if (!node_ports.ok()) return node_ports.error();
  options.node_port_cidrs = std::move(*node_ports);
  for (const std::string& text : texts.local_dns) {
    const Result<IpAddress> address = IpAddress::parse(text);
    if (!address.ok()) return wrong("--local-dns-address: \"" + text + "\" is not an IP address");
    options.local_dns.push_back(*address);
  }
  if (texts.mode != "nftables")
    return wrong("--proxy-mode=" + texts.mode +
                 " is not supported; this program has only nftables");
  if (options.masquerade_bit < 0 || options.masquerade_bit > 31)
    return wrong("--iptables-masquerade-bit must be 0 to 31");
  for (const auto& [flag, address] :
       {std::pair{"--healthz-bind-address", &options.healthz_address},
        std::pair{"--metrics-bind-address", &options.metrics_address}})
    if (!address->empty() && !SocketAddress::parse(*address).ok())
      return wrong(std::string(flag) + ": \"" + *address + "\" is not IP:PORT");
  const Result<log::Level> level = log::parse_level(texts.log_level);
  if (!level.ok()) return wrong("--log-level: " + level.error().message());
  options.log_level = texts.verbosity >= 4 ? log::Level::kDebug : *level;
  if (!texts.host_name.empty()) options.node_name = texts.host_name;
  std::transform(options.node_name.begin(), options.node_name.end(), options.node_name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ok();
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments,
                              const std::string& host_name) {
  Options options;
  options.node_name = host_name;
  Texts texts;
  CLI::App app("Balances Kubernetes Services over their endpoints with nftables.",
               "fairlead-proxy");
  declare(app, options, texts);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    options.print = app.help();
    return options;
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  const std::vector<std::string> extras = app.remaining();
  if (!extras.empty()) return unknown_argument(extras.front());
  if (texts.version) {
    options.print = std::string(kVersion) + "\n";
    return options;
  }
  const Result<void> interpreted = interpret(options, texts);
  if (!interpreted.ok()) return interpreted.error();
  return options;
}

Config Options::config(Family family) const {
  Config config;
  config.family = family;
  config.cluster_cidrs = of_family(cluster_cidrs, family);
  config.service_cidrs = of_family(service_cidrs, family);
  config.node_port_cidrs = node_port_cidrs.empty() ? std::vector{Cidr(IpAddress::any(family), 0)}
                                                   : of_family(node_port_cidrs, family);
  for (const IpAddress& address : local_dns)
    if (address.family() == family) config.local_dns.push_back(address);
  config.masquerade_all = masquerade_all;
  config.masquerade_mark = 1u << masquerade_bit;
  return config;
}

}  // namespace fairlead::proxy
