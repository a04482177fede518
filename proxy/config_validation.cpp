// SPDX-License-Identifier: Apache-2.0
// What is wrong with a KubeProxyConfiguration: kube-proxy's own rules
// (pkg/proxy/apis/config/validation/validation.go), then what this program has not.
#include <algorithm>

#include "proxy/config.h"
#include "proxy/feature_gates.h"

namespace fairlead::proxy {

namespace {

class Complaints {
 public:
  using Name = std::function<std::string(const std::string&)>;
  explicit Complaints(const Name& name) : name_(name) {}
  void add(const std::string& path, const std::string& value, const std::string& complaint) {
    all_ += (all_.empty() ? "" : "; ") + (name_ ? name_(path) : path) + ": \"" + value + "\" " +
            complaint;
  }
  const std::string& all() const { return all_; }

 private:
  const Name& name_;
  std::string all_;
};

bool is_cidr(const std::string& text) {
  return Cidr::parse_lenient(text).ok();
}

void check_range(const char* path, int64_t value, int64_t low, int64_t high, Complaints& wrong) {
  if (value < low || value > high)
    wrong.add(path, std::to_string(value),
              "must be " + std::to_string(low) + " to " + std::to_string(high));
}

void check_address(const char* path, const std::string& address, Complaints& wrong) {
  const Result<SocketAddress> parsed = SocketAddress::parse(address);
  if (!address.empty() && (!parsed.ok() || parsed->port == 0))
    wrong.add(path, address, "must be IP:PORT");
}

void check_mode(const std::string& mode, Complaints& wrong) {
  for (const char* known : {"", "nftables", "iptables", "ipvs", "userspace"})
    if (mode == known) return;
  wrong.add("mode", mode,
            "must be nftables, or userspace; iptables, ipvs and nothing stand for nftables");
}

void check_cluster_cidr(const KubeProxyConfig& config, Complaints& wrong) {
  if (config.local_mode() != "ClusterCIDR" || config.cluster_cidr.empty()) return;
  const std::vector<std::string> items = split_list(config.cluster_cidr, ',');
  const std::vector<Cidr> cidrs = split_cidrs(config.cluster_cidr);
  if (cidrs.size() != items.size() || config.cluster_cidr.ends_with(','))
    wrong.add("clusterCIDR", config.cluster_cidr,
              "must be a CIDR such as 10.100.0.0/16, or one of each family with a comma between");
  else if (first_of_each_family(cidrs).size() != cidrs.size())
    wrong.add("clusterCIDR", config.cluster_cidr, "must have one CIDR of each family at most");
}

void check_detect_local(const KubeProxyConfig& config, Complaints& wrong) {
  const std::string mode = config.local_mode();
  constexpr size_t kLongestInterface = 15;  // IFNAMSIZ, linux/if.h
  const auto check_name = [&](const char* path, const std::string& name) {
    if (name.empty() || name.size() > kLongestInterface)
      wrong.add(path, name, "must be the name of an interface when detectLocalMode is " + mode);
  };
  if (mode == "BridgeInterface")
    check_name("detectLocal.bridgeInterface", config.bridge_interface);
  else if (mode == "InterfaceNamePrefix")
    check_name("detectLocal.interfaceNamePrefix", config.interface_name_prefix);
  else if (mode != "ClusterCIDR" && mode != "NodeCIDR")
    wrong.add("detectLocalMode", mode,
              "must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix");
}

void check_node_ports(const std::vector<std::string>& addresses, Complaints& wrong) {
  for (size_t i = 0; i < addresses.size(); ++i) {
    const std::string path = "nodePortAddresses[" + std::to_string(i) + "]";
    if (addresses[i] == "primary" && addresses.size() > 1)
      return wrong.add(path, addresses[i], "must stand alone, without CIDRs");
    if (addresses[i] != "primary" && !is_cidr(addresses[i]))
      wrong.add(path, addresses[i], "must be a CIDR, or \"primary\" alone");
  }
}

void check_ipvs(const KubeProxyConfig::Ipvs& ipvs, Complaints& wrong) {
  for (const auto& [path, value] : {std::pair{"ipvs.tcpTimeout", ipvs.tcp_timeout},
                                    std::pair{"ipvs.tcpFinTimeout", ipvs.tcp_fin_timeout},
                                    std::pair{"ipvs.udpTimeout", ipvs.udp_timeout}})
    if (value < Duration{}) wrong.add(path, format_duration(value), "must not be negative");
  for (const std::string& cidr : ipvs.exclude_cidrs)
    if (!is_cidr(cidr)) wrong.add("ipvs.excludeCIDRs", cidr, "must be a CIDR");
}

void check_conntrack(const KubeProxyConfig::Conntrack& conntrack, Complaints& wrong) {
  check_range("conntrack.maxPerCore", conntrack.max_per_core, 0, INT32_MAX, wrong);
  check_range("conntrack.min", conntrack.min, 0, INT32_MAX, wrong);
  for (const auto& [path, value] :
       {std::pair{"conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout},
        std::pair{"conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout},
        std::pair{"conntrack.udpTimeout", conntrack.udp_timeout},
        std::pair{"conntrack.udpStreamTimeout", conntrack.udp_stream_timeout}})
    if (value < Duration{}) wrong.add(path, format_duration(value), "must not be negative");
}

// Those of the mode count, as in kube-proxy.
void check_periods(const KubeProxyConfig& config, Complaints& wrong) {
  const bool ipvs = config.mode == "ipvs";
  const std::string section = config.nftables_mode() ? "nftables" : ipvs ? "ipvs" : "iptables";
  const Duration period = config.sync_period();
  const Duration least = config.nftables_mode() ? config.nftables.min_sync_period
                         : ipvs                 ? config.ipvs.min_sync_period
                                                : config.iptables.min_sync_period;
  if (period <= Duration{})
    wrong.add(section + ".syncPeriod", format_duration(period), "must be greater than 0");
  if (least < Duration{})
    wrong.add(section + ".minSyncPeriod", format_duration(least), "must not be negative");
  if (least > period)
    wrong.add(section + ".syncPeriod", format_duration(period),
              "must be at least " + section + ".minSyncPeriod");
  if (config.config_sync_period <= Duration{})
    wrong.add("configSyncPeriod", format_duration(config.config_sync_period),
              "must be greater than 0");
}

// "300-2000", "300+1700", "300" or nothing (k8s.io/apimachinery/pkg/util/net/port_range.go).
bool is_port_range(const std::string& text) {
  if (text.empty() || text == "-") return true;
  const auto number = [](std::string_view digits) {
    int value = digits.empty() ? -1 : 0;
    for (const char c : digits) {
      if (c < '0' || c > '9' || value > 65535) return -1;
      value = value * 10 + (c - '0');
    }
    return value > 65535 ? -1 : value;
  };
  const size_t sign = text.find_first_of("-+");
  const int low = number(std::string_view(text).substr(0, sign));
  if (sign == std::string::npos) return low >= 0;
  const int high = number(std::string_view(text).substr(sign + 1));
  return low >= 0 && high >= 0 && (text[sign] == '+' ? low + high <= 65535 : low <= high);
}

void check_logging(const KubeProxyConfig::Logging& logging, Complaints& wrong) {
  if (logging.format != "json" && logging.format != "text")
    wrong.add("logging.format", logging.format, "must be text or json");
  check_range("logging.verbosity", logging.verbosity, 0, INT32_MAX, wrong);
  if (logging.flush_frequency < Duration{})
    wrong.add("logging.flushFrequency", format_duration(logging.flush_frequency),
              "must not be negative");
}

}  // namespace

Result<void> validate(const KubeProxyConfig& config,
                      const std::function<std::string(const std::string&)>& name) {
  Complaints wrong(name);
  for (const auto& [gate, on] : config.feature_gates)
    if (!is_known_gate(gate) && !is_retired_gate(gate))
      wrong.add("featureGates", gate, "is no feature gate of 1.36");
  check_range("iptables.masqueradeBit", config.iptables.masquerade_bit, 0, 31, wrong);
  if (config.mode == "ipvs") check_ipvs(config.ipvs, wrong);
  if (config.nftables_mode())
    check_range("nftables.masqueradeBit", config.nftables.masquerade_bit, 0, 31, wrong);
  check_conntrack(config.conntrack, wrong);
  check_range("oomScoreAdj", config.oom_score_adj, -1000, 1000, wrong);
  check_mode(config.mode, wrong);
  check_range("clientConnection.burst", config.client.burst, 0, INT32_MAX, wrong);
  check_periods(config, wrong);
  if (!IpAddress::parse_lenient(config.bind_address).ok())
    wrong.add("bindAddress", config.bind_address, "must be an IP address");
  check_address("healthzBindAddress", config.healthz_bind_address, wrong);
  check_address("metricsBindAddress", config.metrics_bind_address, wrong);
  if (!is_port_range(config.port_range))
    wrong.add("portRange", config.port_range, "must be a range such as 300-2000");
  check_node_ports(config.node_port_addresses, wrong);
  // Only the minor version before may be shown (component-base/metrics/version_parser.go).
  if (!config.show_hidden_metrics_for_version.empty() &&
      config.show_hidden_metrics_for_version != "1.35")
    wrong.add("showHiddenMetricsForVersion", config.show_hidden_metrics_for_version,
              "must be 1.35, the version before");
  check_cluster_cidr(config, wrong);
  check_detect_local(config, wrong);
  check_logging(config.logging, wrong);
  if (wrong.all().empty()) return ok();
  return Error(ErrorCode::kInvalid, wrong.all());
}

}  // namespace fairlead::proxy
