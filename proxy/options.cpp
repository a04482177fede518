// SPDX-License-Identifier: Apache-2.0
#include "proxy/options.h"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "proxy/feature_gates.h"

namespace fairlead::proxy {

namespace {

// A flag is a field of the configuration, or (path null) one of Own's.
struct Flag {
  const char* name;
  const char* path;
  const char* help;
  bool logging = false;  // holds beside --config too
};

constexpr Flag kFlags[] = {
    {"bind-address", "bindAddress", "the primary address of this node, if not its Node's"},
    {"bind-address-hard-fail", "bindAddressHardFail", "end when a port cannot be bound"},
    {"boot-id-file", nullptr, "no effect"},
    {"cleanup", nullptr, "remove everything this program made, and end"},
    {"cluster-cidr", "clusterCIDR",
     "addresses of pods, one CIDR of each family; other sources are masqueraded"},
    {"config", nullptr, "file with a KubeProxyConfiguration; it wins over flags"},
    {"config-sync-period", "configSyncPeriod", "no effect: changes are pushed"},
    {"conntrack-max-per-core", "conntrack.maxPerCore", "tracked connections per CPU; 0: as it is"},
    {"conntrack-min", "conntrack.min", "tracked connections at least"},
    {"conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal", "accept packets outside the window"},
    {"conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout", "0: as it is"},
    {"conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout", "0: as it is"},
    {"conntrack-udp-timeout", "conntrack.udpTimeout", "0: as it is"},
    {"conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout", "0: as it is"},
    {"detect-local-mode", "detectLocalMode",
     "how pods are known: ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix"},
    {"feature-gates", "featureGates", "NAME=true,NAME=false"},
    {"handover", nullptr,
     "in mode userspace: a Unix socket; programs with the same path take over from one another"},
    {"healthz-bind-address", "healthzBindAddress", "where /healthz answers"},
    {"healthz-port", nullptr, "deprecated: the port of --healthz-bind-address"},
    {"help", nullptr, "print this and end"},
    {"hostname-override", nullptr, "name of this node, if not the host's"},
    {"init-only", nullptr, "do what needs all of root, and end"},
    {"iptables-localhost-nodeports", "iptables.localhostNodePorts", "no effect"},
    {"iptables-masquerade-bit", "iptables.masqueradeBit", "bit of the packet mark to use, 0 to 31"},
    {"iptables-min-sync-period", "iptables.minSyncPeriod", "no effect: changes act at once"},
    {"iptables-sync-period", "iptables.syncPeriod",
     "in its mode: half of what a change may wait until /healthz says so"},
    {"ipvs-exclude-cidrs", "ipvs.excludeCIDRs", "no effect"},
    {"ipvs-min-sync-period", "ipvs.minSyncPeriod", "no effect"},
    {"ipvs-scheduler", "ipvs.scheduler", "no effect"},
    {"ipvs-strict-arp", "ipvs.strictARP", "no effect"},
    {"ipvs-sync-period", "ipvs.syncPeriod",
     "in its mode: half of what a change may wait until /healthz says so"},
    {"ipvs-tcp-timeout", "ipvs.tcpTimeout", "no effect"},
    {"ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", "no effect"},
    {"ipvs-udp-timeout", "ipvs.udpTimeout", "no effect"},
    {"kube-api-burst", "clientConnection.burst", "no effect"},
    {"kube-api-content-type", "clientConnection.contentType", "no effect: JSON is asked for"},
    {"kube-api-qps", "clientConnection.qps", "no effect"},
    {"kubeconfig", "clientConnection.kubeconfig",
     "how to reach the API server; without it the pod's service account"},
    {"local-dns-address", nullptr, "where the DNS server of this node answers; may be repeated"},
    {"local-dns-ready-url", nullptr, "answers 200 while that DNS server is ready"},
    {"log-flush-frequency", "logging.flushFrequency", "no effect: lines are written at once", true},
    {"log-json-info-buffer-size", "logging.options.json.infoBufferSize", "no effect", true},
    {"log-json-split-stream", "logging.options.json.splitStream", "no effect", true},
    {"log-level", nullptr, "debug, info, warn or error"},
    {"log-text-info-buffer-size", "logging.options.text.infoBufferSize", "no effect", true},
    {"log-text-split-stream", "logging.options.text.splitStream", "no effect", true},
    {"logging-format", "logging.format", "text or json", true},
    {"machine-id-file", nullptr, "no effect"},
    {"masquerade-all", "iptables.masqueradeAll", "masquerade everything sent to a Service"},
    {"master", nullptr, "address of the API server, instead of the kubeconfig's"},
    {"metrics-bind-address", "metricsBindAddress", "where /metrics answers; empty for nowhere"},
    {"metrics-port", nullptr, "deprecated: the port of --metrics-bind-address"},
    {"nodeport-addresses", "nodePortAddresses",
     "CIDRs of node addresses with node ports, or primary"},
    {"oom-score-adj", "oomScoreAdj", "-1000 to 1000"},
    {"pod-bridge-interface", "detectLocal.bridgeInterface", "for mode BridgeInterface"},
    {"pod-interface-name-prefix", "detectLocal.interfaceNamePrefix",
     "for mode InterfaceNamePrefix"},
    {"profiling", "enableProfiling", "no effect: perf(1) profiles this program"},
    {"proxy-port-range", "portRange", "no effect"},
    {"proxy-mode", "mode",
     "nftables; iptables and ipvs are taken for it; userspace: relay, without any rule"},
    {"service-bytes", nullptr,
     "count what ended flows of each Service carried; sets nf_conntrack_acct"},
    {"service-cidr", nullptr, "addresses of Services, beside the API's ServiceCIDRs"},
    {"service-metrics", nullptr, "series in /metrics for each Service port that has traffic"},
    {"shadow", nullptr,
     "program nothing: compare with the rules of the kube-proxy that runs here, and end"},
    {"shadow-rules", nullptr,
     "files of iptables-save text to compare with, for kube-proxy's iptables mode"},
    {"show-hidden-metrics-for-version", "showHiddenMetricsForVersion", "no effect"},
    {"stream-balance", nullptr,
     "of what is relayed: two-choices, round-robin, random, least-connections or source-hash"},
    {"stream-connect-timeout", nullptr, "of what is relayed: of one endpoint"},
    {"stream-drain-timeout", nullptr, "of what is relayed: how long open connections keep the end"},
    {"take-over-from", nullptr,
     "nftables tables of another proxy, removed in the moment ours act (kube-proxy)"},
    {"v", "logging.verbosity", "4 and more: debug", true},
    {"version", nullptr, "print the version and end"},
    {"vmodule", "logging.vmodule", "no effect", true},
    {"write-config-to", nullptr, "write the configuration to this file, and end"},
};

// Values of flags that are no field of the configuration.
struct Own {
  std::map<std::string, std::string> text = {
      {"boot-id-file", "/proc/sys/kernel/random/boot_id"},
      {"config", ""},
      {"handover", ""},
      {"healthz-port", "10256"},
      {"hostname-override", ""},
      {"local-dns-address", ""},
      {"local-dns-ready-url", "http://127.0.0.1:8181/ready"},
      {"log-level", "info"},
      {"machine-id-file", "/etc/machine-id,/var/lib/dbus/machine-id"},
      {"master", ""},
      {"metrics-port", "10249"},
      {"service-cidr", ""},
      {"shadow-rules", ""},
      {"stream-balance", "two-choices"},
      {"stream-connect-timeout", "3s"},
      {"stream-drain-timeout", "20s"},
      {"take-over-from", ""},
      {"write-config-to", ""}};
  std::map<std::string, bool> flag = {
      {"cleanup", false},         {"help", false},   {"init-only", false}, {"service-bytes", false},
      {"service-metrics", false}, {"shadow", false}, {"version", false}};
};

constexpr const char* kLists[] = {"nodeport-addresses", "ipvs-exclude-cidrs", "service-cidr",
                                  "local-dns-address",  "feature-gates",      "shadow-rules",
                                  "take-over-from"};

Error wrong(const std::string& what) {
  return Error(ErrorCode::kInvalid, what);
}

const Flag* find_flag(const std::string& name) {
  const auto found = std::find_if(std::begin(kFlags), std::end(kFlags),
                                  [&](const Flag& flag) { return flag.name == name; });
  return found == std::end(kFlags) ? nullptr : found;
}

// The field of `config` that a flag is.
ConfigField field_of(const Flag& flag, KubeProxyConfig& config) {
  const std::vector<ConfigField> fields = config_fields(config);
  return *std::find_if(fields.begin(), fields.end(), [&](const ConfigField& field) {
    return std::string_view(field.path) == flag.path;
  });
}

// What was said, as pflag splits it: "--name value", "--name=value", "--switch", "-v 4", "-v=4",
// "-v4"; the last of several counts, lists add up; '_' is '-' in names.
class Arguments {
 public:
  Result<void> parse(const std::vector<std::string>& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i].empty()) continue;  // as of a variable that is not set
      Result<std::pair<std::string, std::string>> word = split(arguments[i]);
      if (!word.ok()) return word.error();
      auto& [name, value] = *word;
      const Flag* flag = find_flag(name);
      if (flag == nullptr)
        return wrong("unknown argument " + arguments[i] + "; --help lists what there is");
      const bool valued = arguments[i].find('=') != std::string::npos || !value.empty();
      if (!valued && is_switch(*flag)) {
        value = "true";
      } else if (!valued) {
        if (++i == arguments.size()) return wrong("--" + name + " needs a value");
        value = arguments[i];
      }
      store(name, value);
    }
    return ok();
  }
  const std::map<std::string, std::string>& values() const { return values_; }

 private:
  static bool is_switch(const Flag& flag) {
    if (flag.path == nullptr) return Own().flag.contains(flag.name);
    KubeProxyConfig defaults;
    return std::holds_alternative<bool*>(field_of(flag, defaults).value);
  }
  static Result<std::pair<std::string, std::string>> split(const std::string& argument) {
    if (argument == "-h") return std::pair<std::string, std::string>("help", "");
    if (argument.starts_with("-v") && !argument.starts_with("-version"))
      return std::pair<std::string, std::string>(
          "v", argument.substr(std::min(argument.size(), argument.starts_with("-v=") ? 3ul : 2ul)));
    if (!argument.starts_with("--"))
      return wrong("unknown argument " + argument + "; flags begin with --");
    const size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::replace(name.begin(), name.end(), '_', '-');
    return std::pair(name, equals == std::string::npos ? "" : argument.substr(equals + 1));
  }
  void store(const std::string& name, const std::string& value) {
    const bool list = std::find(std::begin(kLists), std::end(kLists), name) != std::end(kLists);
    const auto [at, fresh] = values_.emplace(name, value);
    if (fresh) return;
    at->second = list ? at->second + "," + value : value;
  }

  std::map<std::string, std::string> values_;
};

Result<void> apply(const Flag& flag, const std::string& value, KubeProxyConfig& config, Own& own) {
  const std::string name = std::string("--") + flag.name;
  // As of an environment variable that is not set (pkg/util/flag, IPVar and IPPortVar).
  if ((name == "--bind-address" || name == "--healthz-bind-address") && value.empty()) return ok();
  if (flag.path != nullptr) {
    const Result<void> set = set_field(field_of(flag, config), value);
    if (!set.ok()) return set.error().with_context(name);
    if (std::string_view(flag.name) == "masquerade-all")  // one flag for every mode
      config.nftables.masquerade_all = config.iptables.masquerade_all;
    return ok();
  }
  const auto text = own.text.find(flag.name);
  if (text != own.text.end()) return text->second = value, ok();
  if (std::string_view(flag.name) == "version" && value == "raw")
    return own.flag["version"] = true, ok();
  const ConfigField field{flag.name, &own.flag[flag.name]};
  const Result<void> set = set_field(field, value);
  return set.ok() ? set : set.error().with_context(name);
}

Result<KubeProxyConfig> read_config(const std::string& path, const FileReader& reader,
                                    std::string& said) {
  Result<std::string> text =
      reader ? reader(path) : Error(ErrorCode::kUnsupported, "files are not read here");
  if (!text.ok()) return text.error().with_context("--config");
  said = *std::move(text);
  Result<KubeProxyConfig> config = parse_config(said);
  if (!config.ok()) return config.error().with_context(path);
  return config;
}

// --healthz-port and --metrics-port: 0 is nowhere, else the port where the address has none.
Result<void> complete_address(std::string& address, const std::string& flag,
                              const std::string& port) {
  const Result<SocketAddress> parsed = SocketAddress::parse("0.0.0.0:" + port);
  if (!parsed.ok()) return wrong("--" + flag + ": \"" + port + "\" is not a port");
  address = parsed->port == 0 ? "" : with_port(address, parsed->port);
  return ok();
}

// What has to do with another proxy on this node.
Result<void> interpret_switch(Options& options, const Own& own) {
  options.shadow_rules = split_list(own.text.at("shadow-rules"), ',');
  options.shadow = own.flag.at("shadow") || !options.shadow_rules.empty();
  options.take_over_from = split_list(own.text.at("take-over-from"), ',');
  if (options.shadow && !options.take_over_from.empty())
    return wrong("--shadow changes nothing, --take-over-from removes tables: one or the other");
  for (const std::string& table : options.take_over_from)
    if (table == kTableName || table.size() >= NFT_TABLE_MAXNAMELEN)
      return wrong("--take-over-from: \"" + table + "\" is no table of another proxy");
  return ok();
}

// Mode userspace has settings of its own, and lacks what is done by rules.
Result<void> interpret_userspace(Options& options, const Own& own) {
  const std::string& policy = own.text.at("stream-balance");
  const auto parsed = stream::parse_policy(policy);
  if (!parsed) return wrong("--stream-balance: \"" + policy + "\" is no way to balance");
  options.stream_policy = *parsed;
  for (auto [flag, into] : {std::pair{"stream-connect-timeout", &options.stream_connect_timeout},
                            std::pair{"stream-drain-timeout", &options.stream_drain_timeout}}) {
    const Result<Duration> duration = parse_duration(own.text.at(flag));
    if (!duration.ok()) return duration.error().with_context(std::string("--") + flag);
    *into = *duration;
  }
  if (options.stream_connect_timeout <= Duration{})
    return wrong("--stream-connect-timeout must be greater than 0");
  if (options.stream_drain_timeout < Duration{})
    return wrong("--stream-drain-timeout must not be negative");
  options.handover = own.text.at("handover");
  if (!options.kube.userspace_mode())
    return options.handover.empty()
               ? ok()
               : wrong("--handover needs mode userspace: in mode nftables the rules stay");
  if (options.shadow) return wrong("--shadow compares rules, and mode userspace has none");
  if (!options.take_over_from.empty())
    return wrong("--take-over-from needs mode nftables; in mode userspace end the other proxy");
  if (!options.local_dns.empty()) return wrong("--local-dns-address needs mode nftables");
  return ok();
}

Result<void> interpret(Options& options, const Own& own) {
  for (const std::string& text : split_list(own.text.at("service-cidr"), ',')) {
    const Result<Cidr> cidr = Cidr::parse_lenient(text);
    if (!cidr.ok())
      return wrong("--service-cidr: \"" + text + "\" is not a CIDR such as 10.96.0.0/16");
    options.service_cidrs.push_back(*cidr);
  }
  for (const std::string& text : split_list(own.text.at("local-dns-address"), ',')) {
    const Result<IpAddress> address = IpAddress::parse(text);
    if (!address.ok()) return wrong("--local-dns-address: \"" + text + "\" is not an IP address");
    options.local_dns.push_back(*address);
  }
  options.local_dns_ready_url = own.text.at("local-dns-ready-url");
  const Result<log::Level> level = log::parse_level(own.text.at("log-level"));
  if (!level.ok()) return wrong("--log-level: " + level.error().message());
  options.log_level = options.kube.logging.verbosity >= 4 ? log::Level::kDebug : *level;
  options.master = own.text.at("master");
  options.write_config_to = own.text.at("write-config-to");
  options.cleanup = own.flag.at("cleanup");
  options.init_only = own.flag.at("init-only");
  options.service_bytes = own.flag.at("service-bytes");
  options.service_metrics = own.flag.at("service-metrics");
  if (const Result<void> done = interpret_switch(options, own); !done.ok()) return done;
  return interpret_userspace(options, own);
}

std::string node_name(const std::string& override, const std::string& host_name) {
  std::string name = override.empty() ? host_name : override;
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!name.empty() && space(name.back())) name.pop_back();
  name.erase(name.begin(), std::find_if_not(name.begin(), name.end(), space));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

void take_notice(Options& options, const std::vector<std::string>& ignored) {
  const auto list = [](const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
  };
  const std::string& mode = options.kube.mode;
  if (mode == "iptables" || mode == "ipvs")
    options.notices.push_back("mode " + mode + " is asked for; nftables is used in its place");
  if (options.kube.userspace_mode())
    options.notices.push_back(
        "mode userspace: endpoints see this node's address, whatever the traffic policy (the PROXY "
        "protocol tells the client's to those of Services that ask for it); SCTP is not served");
  if (!ignored.empty()) options.notices.push_back("ignored beside --config: " + list(ignored));
  const std::vector<std::string> idle = without_effect(options.kube);
  if (!idle.empty()) options.notices.push_back("without effect here: " + list(idle));
  std::vector<std::string> retired;
  for (const auto& [gate, on] : options.kube.feature_gates)
    if (is_retired_gate(gate)) retired.push_back(gate);
  if (!retired.empty())
    options.notices.push_back("feature gates of earlier versions, without effect: " +
                              list(retired));
  if (!external_ips_enabled(options.kube.feature_gates))
    options.notices.push_back("externalIPs of Services are not served (AllowServiceExternalIPs)");
}

// "clusterCIDR" -> "--cluster-cidr"
std::string flag_for(const std::string& path) {
  const std::string field = path.substr(0, path.find('['));
  for (const Flag& flag : kFlags)
    if (flag.path != nullptr && field == flag.path) return std::string("--") + flag.name;
  return path;
}

std::string help() {
  std::string text =
      "Balances Kubernetes Services over their endpoints with nftables, or by relaying.\n\n"
      "fairlead-proxy [flags]\n"
      "fairlead-proxy trace --help: where would a packet go?\n"
      "fairlead-proxy stat --help: what do Services do now?\n\n";
  KubeProxyConfig defaults;
  const Own own;
  for (const Flag& flag : kFlags) {
    std::string value = flag.path != nullptr ? field_text(field_of(flag, defaults)) : "";
    if (own.text.contains(flag.name)) value = own.text.at(flag.name);
    text += "  --" + std::string(flag.name);
    text += std::string(
        text.size() - text.rfind('\n') < 40 ? 40 - (text.size() - text.rfind('\n')) : 1, ' ');
    text += std::string(flag.help) + (value.empty() || value == "false" ? "" : " (" + value + ")");
    text += "\n";
  }
  return text;
}

void list_flags(Options& options, Own& own) {
  for (const Flag& flag : kFlags) {
    const auto text = own.text.find(flag.name);
    const std::string value = flag.path != nullptr ? field_text(field_of(flag, options.kube))
                              : text != own.text.end()
                                  ? text->second
                                  : field_text({flag.name, &own.flag[flag.name]});
    options.flags.emplace_back(flag.name, value);
  }
}

// Flags first, then the file in their place, then what holds beside the file.
Result<void> settle(Options& options, Own& own, const std::map<std::string, std::string>& given,
                    const FileReader& reader) {
  std::vector<std::string> ignored;
  for (const auto& [name, value] : given)
    if (const Result<void> set = apply(*find_flag(name), value, options.kube, own); !set.ok())
      return set;
  options.config_file = own.text["config"];
  if (options.config_file.empty()) {
    for (auto [address, flag] : {std::pair{&options.kube.healthz_bind_address, "healthz-port"},
                                 std::pair{&options.kube.metrics_bind_address, "metrics-port"}})
      if (auto done = complete_address(*address, flag, own.text[flag]); !done.ok()) return done;
  } else {
    Result<KubeProxyConfig> config = read_config(options.config_file, reader, options.config_text);
    if (!config.ok()) return config.error();
    options.kube = std::move(*config);
    for (const auto& [name, value] : given) {
      const Flag& flag = *find_flag(name);
      if (flag.logging) (void)apply(flag, value, options.kube, own);
      if (flag.path != nullptr && !flag.logging) ignored.push_back("--" + name);
    }
  }
  if (const std::string& name = own.text["hostname-override"]; !name.empty()) {
    options.kube.hostname_override = node_name(name, "");
    if (options.kube.hostname_override.empty()) return wrong("--hostname-override is blank");
  }
  const bool flags_only = options.config_file.empty();
  const Result<void> valid = validate(options.kube, flags_only ? flag_for : nullptr);
  if (!valid.ok()) return flags_only ? valid : valid.error().with_context(options.config_file);
  take_notice(options, ignored);
  return interpret(options, own);
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments,
                              const std::string& host_name, const FileReader& reader) {
  Arguments said;
  const Result<void> parsed = said.parse(arguments);
  if (!parsed.ok()) return parsed.error();
  Options options;
  if (said.values().contains("help")) {
    options.print = help();
    return options;
  }
  if (const auto version = said.values().find("version");
      version != said.values().end() && version->second != "false") {
    options.print = std::string(kVersion) + "\n";
    return options;
  }
  Own own;
  const Result<void> settled = settle(options, own, said.values(), reader);
  if (!settled.ok()) return settled.error();
  options.node_name = node_name(options.kube.hostname_override, host_name);
  if (options.node_name.empty())
    return wrong("this host has no name; give the node's with --hostname-override");
  list_flags(options, own);
  return options;
}

namespace {

std::vector<Cidr> of_family(const std::vector<Cidr>& cidrs, Family family) {
  std::vector<Cidr> result;
  std::copy_if(cidrs.begin(), cidrs.end(), std::back_inserter(result),
               [&](const Cidr& cidr) { return cidr.family() == family; });
  return result;
}

}  // namespace

Config Options::config(Family family, const std::vector<Cidr>& pod_cidrs) const {
  Config config;
  config.family = family;
  const std::string mode = kube.local_mode();
  if (mode == "ClusterCIDR")
    config.cluster_cidrs = of_family(first_of_each_family(split_cidrs(kube.cluster_cidr)), family);
  else if (mode == "NodeCIDR")
    config.cluster_cidrs = of_family(first_of_each_family(pod_cidrs), family);
  else if (mode == "BridgeInterface")
    config.bridge_interface = kube.bridge_interface;
  else
    config.interface_prefix = kube.interface_name_prefix;
  config.service_cidrs = of_family(service_cidrs, family);
  config.node_port_cidrs = node_port_cidrs(family);
  config.accept_external_ips = external_ips_enabled(kube.feature_gates);
  for (const IpAddress& address : local_dns)
    if (address.family() == family) config.local_dns.push_back(address);
  config.masquerade_all = kube.masquerade_all();
  config.masquerade_mark = 1u << kube.masquerade_bit();
  config.take_over_from = take_over_from;
  return config;
}

std::vector<Sysctl> Options::conntrack_sysctls(int cpus) const {
  std::vector<Sysctl> sysctls = proxy::conntrack_sysctls(kube.conntrack, cpus);
  if (service_bytes) sysctls.push_back({"nf_conntrack_acct", 1});
  return sysctls;
}

std::optional<std::vector<Cidr>> Options::node_port_cidrs(Family family) const {
  const std::vector<std::string>& addresses = kube.node_port_addresses;
  if (addresses == std::vector<std::string>{"primary"}) return std::nullopt;
  if (addresses.empty() && kube.nftables_mode()) return std::nullopt;
  const std::vector<Cidr> all = {Cidr(IpAddress::any(family), 0)};
  std::vector<Cidr> cidrs;
  for (const std::string& text : addresses) {
    const Result<Cidr> cidr = Cidr::parse_lenient(text);
    if (!cidr.ok() || cidr->family() != family) continue;
    if (cidr->prefix_length() == 0) return all;
    cidrs.push_back(*cidr);
  }
  return cidrs.empty() ? all : cidrs;
}

}  // namespace fairlead::proxy
