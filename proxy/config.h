// SPDX-License-Identifier: Apache-2.0
// KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1, as kube-proxy 1.36 has it: every field
// by its path, defaults, text in YAML or JSON both ways, and what makes a configuration wrong.
// Pure.
//
// One table of fields (config_fields) serves the decoder, the writer, the flags and the list of
// what has no effect here. Stricter than kube-proxy in one thing: a field that is not in the table
// is an error that names its path, where kube-proxy logs a warning and goes on without it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"

namespace fairlead::proxy {

// The values are kube-proxy's defaults (pkg/proxy/apis/config/v1alpha1/defaults.go).
struct KubeProxyConfig {
  struct Client {
    std::string kubeconfig;
    std::string accept_content_types;
    std::string content_type = "application/vnd.kubernetes.protobuf";
    double qps = 5;
    int32_t burst = 10;
  };
  struct LogStream {
    bool split_stream = false;
    std::string info_buffer_size = "0";
  };
  struct Logging {
    std::string format = "text";
    Duration flush_frequency = std::chrono::seconds(5);
    int32_t verbosity = 0;
    std::vector<std::string> vmodule;  // "pattern=level"
    LogStream text, json;
  };
  struct Iptables {
    int32_t masquerade_bit = 14;
    bool masquerade_all = false;
    bool localhost_node_ports = true;
    Duration sync_period = std::chrono::seconds(30);
    Duration min_sync_period = std::chrono::seconds(1);
  };
  struct Ipvs {
    Duration sync_period = std::chrono::seconds(30);
    Duration min_sync_period{};
    std::string scheduler;
    std::vector<std::string> exclude_cidrs;
    bool strict_arp = false;
    Duration tcp_timeout{}, tcp_fin_timeout{}, udp_timeout{};
  };
  struct Nftables {
    int32_t masquerade_bit = 14;
    bool masquerade_all = false;
    Duration sync_period = std::chrono::seconds(30);
    Duration min_sync_period = std::chrono::seconds(1);
  };
  struct Winkernel {
    std::string network_name, source_vip, root_hns_endpoint_name;
    bool enable_dsr = false, forward_health_check_vip = false;
  };
  struct Conntrack {
    int32_t max_per_core = 32 * 1024;
    int32_t min = 128 * 1024;
    Duration tcp_established_timeout = std::chrono::hours(24);
    Duration tcp_close_wait_timeout = std::chrono::hours(1);
    bool tcp_be_liberal = false;
    Duration udp_timeout{}, udp_stream_timeout{};
  };

  std::map<std::string, bool> feature_gates;
  Client client;
  Logging logging;
  std::string hostname_override;
  std::string bind_address = "0.0.0.0";
  std::string healthz_bind_address = "0.0.0.0:10256";
  std::string metrics_bind_address = "127.0.0.1:10249";
  bool bind_address_hard_fail = false;
  bool enable_profiling = false;
  std::string show_hidden_metrics_for_version;
  std::string mode;
  Iptables iptables;
  Ipvs ipvs;
  Nftables nftables;
  Winkernel winkernel;
  std::string detect_local_mode;
  std::string bridge_interface, interface_name_prefix;  // detectLocal
  std::string cluster_cidr;
  std::vector<std::string> node_port_addresses;
  int32_t oom_score_adj = -999;
  Conntrack conntrack;
  Duration config_sync_period = std::chrono::minutes(15);
  std::string port_range;
  bool windows_run_as_service = false;

  // In nftables mode these come from `nftables`, in the others from `iptables`, as kube-proxy reads
  // them (pkg/proxy/apis/config/v1alpha1/conversion.go).
  bool nftables_mode() const { return mode == "nftables"; }
  // The one of the mode (pkg/proxy/apis/config/v1alpha1/conversion.go).
  Duration sync_period() const {
    return nftables_mode()  ? nftables.sync_period
           : mode == "ipvs" ? ipvs.sync_period
                            : iptables.sync_period;
  }
  // No rules: this process relays (proxy/stream/).
  bool userspace_mode() const { return mode == "userspace"; }
  bool masquerade_all() const {
    return nftables_mode() ? nftables.masquerade_all : iptables.masquerade_all;
  }
  int32_t masquerade_bit() const {
    return nftables_mode() ? nftables.masquerade_bit : iptables.masquerade_bit;
  }
  // "" is ClusterCIDR.
  std::string local_mode() const {
    return detect_local_mode.empty() ? "ClusterCIDR" : detect_local_mode;
  }
};

// One field: where it is in the text, and where in the struct.
struct ConfigField {
  enum class Form : uint8_t {
    kPlain,
    kNullable,    // a pointer in kube-proxy: what is given counts even when it is zero or empty
    kNanoOrText,  // a Duration, also as a number of nanoseconds
    kQuantity,    // a string, also as a number
    kVmodule,     // list of {filePattern, verbosity}
  };
  using Value = std::variant<bool*, int32_t*, double*, std::string*, Duration*,
                             std::vector<std::string>*, std::map<std::string, bool>*>;
  const char* path;  // "conntrack.maxPerCore"
  Value value;
  bool acts = true;  // false: nothing in this program depends on it
  Form form = Form::kPlain;
};
// Every field of `config`, in the order of paths; the pointers are into it.
std::vector<ConfigField> config_fields(KubeProxyConfig& config);

// YAML or JSON, at most 1 MiB, one document. What is absent, null or (except where it means
// something) zero has its default. An Error names the field's path:
// "nftables.masqueradeBits: unknown field, did you mean masqueradeBit?". Not yet validated.
Result<KubeProxyConfig> parse_config(std::string_view text);
// One field from a flag's text: "true", "30s", "a,b", "X=true,Y=false".
Result<void> set_field(const ConfigField& field, const std::string& text);
// What a flag would have to say.
std::string field_text(const ConfigField& field);

// What kube-proxy refuses (pkg/proxy/apis/config/validation/validation.go) and what this program
// cannot do; all complaints in one Error, each with its path, or what `name` makes of it.
Result<void> validate(const KubeProxyConfig& config,
                      const std::function<std::string(const std::string& path)>& name = nullptr);
// Fields with another value than their default that change nothing here.
std::vector<std::string> without_effect(const KubeProxyConfig& config);

// With every field, as kube-proxy writes it.
std::string to_yaml(const KubeProxyConfig& config);
std::string to_json(const KubeProxyConfig& config);

// Go's time.ParseDuration and Duration.String: "1h30m", "250ms", "24h0m0s".
Result<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);

// One CIDR of each family at most: the first, as kube-proxy takes them.
std::vector<Cidr> first_of_each_family(const std::vector<Cidr>& cidrs);
// "10.244.0.0/16,fd00:10::/64"; what does not parse is left out: validate() complained.
std::vector<Cidr> split_cidrs(const std::string& text);
std::vector<std::string> split_list(std::string_view text, char separator);
// "10.0.0.1" -> "10.0.0.1:`port`", as kube-proxy completes what has no port.
std::string with_port(const std::string& address, uint16_t port);

}  // namespace fairlead::proxy
