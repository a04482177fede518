// SPDX-License-Identifier: Apache-2.0
#include "proxy/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/feature_gates.h"

namespace fairlead::proxy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kHead =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

KubeProxyConfig read(const std::string& rest) {
  const Result<KubeProxyConfig> config = parse_config(kHead + rest);
  EXPECT_TRUE(config.ok()) << rest << ": " << config.error().message();
  return config.ok() ? *config : KubeProxyConfig{};
}
std::string complaint(const std::string& rest) {
  const Result<KubeProxyConfig> config = parse_config(kHead + rest);
  return config.ok() ? "" : config.error().message();
}
std::string invalid(const std::string& rest) {
  const Result<void> valid = validate(read(rest));
  return valid.ok() ? "" : valid.error().message();
}

// As kubeadm writes it: zero and null stand for defaults.
constexpr const char* kKubeadm = R"(apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
)";

TEST(Config, KubeadmsFileIsTheDefaults) {
  const Result<KubeProxyConfig> config = parse_config(kKubeadm);
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_TRUE(validate(*config).ok()) << validate(*config).error().message();
  KubeProxyConfig expected;
  expected.cluster_cidr = "10.244.0.0/16";
  expected.client.kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf";
  EXPECT_EQ(to_yaml(*config), to_yaml(expected));
  EXPECT_THAT(without_effect(*config), IsEmpty());
}

TEST(Config, EveryFieldIsReadAndWritten) {
  KubeProxyConfig config;
  int count = 0;
  for (const ConfigField& field : config_fields(config)) {
    ++count;
    const std::string number = std::to_string(count);
    std::string text = number;
    if (std::holds_alternative<bool*>(field.value))
      text = field_text(field) == "true" ? "false" : "true";
    else if (std::holds_alternative<Duration*>(field.value))
      text = number + "m1.5s";
    else if (std::holds_alternative<std::map<std::string, bool>*>(field.value))
      text = "A" + number + "=true,B=false";
    else if (field.form == ConfigField::Form::kVmodule)
      text = "a*=" + number + ",b=2";
    else if (std::holds_alternative<std::string*>(field.value))
      text = "\"text\\ \u00e9: #" + number;
    ASSERT_TRUE(set_field(field, text).ok()) << field.path;
    EXPECT_EQ(field_text(field), text) << field.path;
  }
  EXPECT_EQ(count, 60);
  const std::string yaml = to_yaml(config);
  const Result<KubeProxyConfig> again = parse_config(yaml);
  ASSERT_TRUE(again.ok()) << again.error().message() << "\n" << yaml;
  EXPECT_EQ(to_yaml(*again), yaml);
  const Result<KubeProxyConfig> from_json = parse_config("\t" + to_json(config));
  ASSERT_TRUE(from_json.ok()) << from_json.error().message();
  EXPECT_EQ(to_json(*from_json), to_json(config));
}

TEST(Config, WhatIsGivenHolds) {
  const KubeProxyConfig config = read(R"(
mode: nftables
nftables: {masqueradeBit: 0, masqueradeAll: true}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, udpTimeout: 1m30s}
nodePortAddresses: [10.0.0.0/8, "fd00::/8"]
featureGates: {AllowServiceExternalIPs: false}
clientConnection: {qps: 7.5}
logging: {flushFrequency: 2000000000, verbosity: 4, vmodule: [{filePattern: "a*", verbosity: 3}]}
healthzBindAddress: 127.0.0.1
metricsBindAddress: "::1"
)");
  EXPECT_EQ(config.masquerade_bit(), 0);
  EXPECT_TRUE(config.masquerade_all());
  EXPECT_EQ(config.conntrack.max_per_core, 0);
  EXPECT_EQ(config.conntrack.min, 131072);
  EXPECT_EQ(config.conntrack.tcp_established_timeout, Duration{});
  EXPECT_EQ(config.conntrack.udp_timeout, std::chrono::seconds(90));
  EXPECT_THAT(config.node_port_addresses, ElementsAre("10.0.0.0/8", "fd00::/8"));
  EXPECT_FALSE(external_ips_enabled(config.feature_gates));
  EXPECT_DOUBLE_EQ(config.client.qps, 7.5);
  EXPECT_EQ(config.logging.flush_frequency, std::chrono::seconds(2));
  EXPECT_THAT(config.logging.vmodule, ElementsAre("a*=3"));
  EXPECT_EQ(config.healthz_bind_address, "127.0.0.1:10256");
  EXPECT_EQ(config.metrics_bind_address, "[::1]:10249");
  EXPECT_THAT(without_effect(config),
              ElementsAre("clientConnection.qps", "logging.flushFrequency", "logging.vmodule"));
  EXPECT_TRUE(validate(config).ok());
}

TEST(Config, TruthHasManyWords) {
  EXPECT_TRUE(read("bindAddressHardFail: yes").bind_address_hard_fail);
  EXPECT_TRUE(read("bindAddressHardFail: On").bind_address_hard_fail);
  EXPECT_FALSE(read("bindAddressHardFail: n").bind_address_hard_fail);
  EXPECT_FALSE(
      external_ips_enabled(read("featureGates: {AllowServiceExternalIPs: off}").feature_gates));
  EXPECT_TRUE(
      external_ips_enabled(read("featureGates: {AllowServiceExternalIPs: y}").feature_gates));
}

TEST(Config, AddressesFollowTheFamilyOfBindAddress) {
  EXPECT_EQ(read("bindAddress: '::'").healthz_bind_address, "[::]:10256");
  EXPECT_EQ(read("bindAddress: '::'").metrics_bind_address, "[::1]:10249");
  EXPECT_EQ(read("bindAddress: '::'\nhealthzBindAddress: 0.0.0.0:1").healthz_bind_address,
            "0.0.0.0:1");
  const KubeProxyConfig empty =
      read("bindAddress: '::'\nhealthzBindAddress: ''\nmetricsBindAddress: \"\"");
  EXPECT_EQ(empty.healthz_bind_address, "[::]:10256") << "as kubeadm writes it";
  EXPECT_EQ(empty.metrics_bind_address, "[::1]:10249");
}

TEST(Config, SectionsOfTheModeCount) {
  const std::string both = "iptables: {masqueradeBit: 3}\nnftables: {masqueradeBit: 5}\n";
  EXPECT_EQ(read(both).masquerade_bit(), 3);
  EXPECT_EQ(read(both + "mode: ipvs").masquerade_bit(), 3);
  EXPECT_EQ(read(both + "mode: nftables").masquerade_bit(), 5);
  EXPECT_THAT(without_effect(read(both)), ElementsAre("nftables.masqueradeBit"));
  EXPECT_THAT(without_effect(read(both + "mode: nftables\nwinkernel: {networkName: x}")),
              ElementsAre("iptables.masqueradeBit", "winkernel.networkName"));
}

TEST(Config, MistakesNameThePath) {
  const std::pair<std::string, std::string> cases[] = {
      {"nftables: {masqueradeBits: 3}",
       "nftables.masqueradeBits: unknown field, did you mean masqueradeBit?"},
      {"clusterCidr: 10.0.0.0/8", "clusterCidr: unknown field, did you mean clusterCIDR?"},
      {"conntrak: {}", "conntrak: unknown field, did you mean conntrack?"},
      {"colour: red", "colour: unknown field"},
      {"logging: {options: {text: {bufferSize: 1}}}",
       "logging.options.text.bufferSize: unknown field"},
      {"conntrack: 5", "conntrack: expected a mapping of fields to values"},
      {"conntrack: {min: '5'}", "conntrack.min: expected a whole number, without quotes"},
      {"conntrack: {min: 5.5}", "conntrack.min: \"5.5\" is not a whole number"},
      {"conntrack: {min: 5000000000}", "conntrack.min: \"5000000000\" is not a whole number"},
      {"conntrack: {udpTimeout: 30}", "conntrack.udpTimeout: expected a duration such as 30s"},
      {"conntrack: {udpTimeout: 30x}",
       "conntrack.udpTimeout: \"30x\" is not a duration such as 30s or 1h30m"},
      {"clusterCIDR: 10", "clusterCIDR: expected text; numbers, yes and no need quotes"},
      {"clusterCIDR: [10.0.0.0/8]", "clusterCIDR: expected text; numbers, yes and no need quotes"},
      {"bindAddressHardFail: 'true'", "bindAddressHardFail: expected true or false"},
      {"bindAddressHardFail: \"yes\"", "bindAddressHardFail: expected true or false"},
      {"bindAddressHardFail: ja", "bindAddressHardFail: expected true or false"},
      {"hostnameOverride: NO", "hostnameOverride: expected text; numbers, yes and no need quotes"},
      {"nodePortAddresses: 10.0.0.0/8", "nodePortAddresses: expected a list"},
      {"nodePortAddresses: [a, 7]",
       "nodePortAddresses[1]: expected text; numbers, yes and no need quotes"},
      {"featureGates: [A]", "featureGates: expected a mapping of names to true or false"},
      {"featureGates: {A: 1}", "featureGates.A: expected true or false"},
      {"logging: {vmodule: [x]}", "logging.vmodule[0]: expected filePattern and verbosity"},
      {"logging: {flushFrequency: 1.5}",
       "logging.flushFrequency: expected a duration such as 5s, or nanoseconds"},
      {"mode: a\nmode: b", "mode: is there twice"},
      {"? [a]\n: b", "KubeProxyConfiguration: a field's name must be a word"},
      {"---\nmode: x\n--- {mode: y}", "KubeProxyConfiguration: expected one document, not several"},
      {"--- {mode: y}\n---\nmode: x", "KubeProxyConfiguration: expected one document, not several"},
      {"mode: [", "KubeProxyConfiguration: not YAML:"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_EQ(complaint(text).substr(0, message.size()), message) << text;
}

TEST(Config, OnlyItsOwnKind) {
  const auto message = [](const std::string& text) {
    const auto config = parse_config(text);
    return config.ok() ? "" : config.error().message();
  };
  EXPECT_EQ(message("kind: KubeProxyConfiguration"),
            "apiVersion: expected kubeproxy.config.k8s.io/v1alpha1");
  EXPECT_EQ(message("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: Pod"),
            "kind: expected KubeProxyConfiguration, not \"Pod\"");
  EXPECT_THAT(message(""), HasSubstr("expected"));
  EXPECT_THAT(message("[]"), HasSubstr("expected a mapping"));
  EXPECT_THAT(message(std::string(2 << 20, ' ')), HasSubstr("longer than 1 MiB"));
  EXPECT_THAT(message("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"),
              HasSubstr("nested too deeply"));
}

TEST(Config, Validation) {
  const std::pair<std::string, std::string> cases[] = {
      {"mode: nftables", ""},
      {"mode: iptables", ""},
      {"mode: userspace", ""},
      {"mode: kernelspace", "mode: \"kernelspace\" must be nftables"},
      {"featureGates: {AllAlpha: true, WatchListClient: false, ServiceTrafficDistribution: true}",
       ""},
      {"featureGates: {TrafficDistribution: true}",
       "featureGates: \"TrafficDistribution\" is no feature gate of 1.36"},
      {"iptables: {masqueradeBit: 32}", "iptables.masqueradeBit: \"32\" must be 0 to 31"},
      {"mode: nftables\nnftables: {masqueradeBit: -1}", "nftables.masqueradeBit: \"-1\" must be"},
      {"nftables: {masqueradeBit: -1}", ""},  // as in kube-proxy: not of this mode
      {"oomScoreAdj: -1001", "oomScoreAdj: \"-1001\" must be -1000 to 1000"},
      {"oomScoreAdj: 1000", ""},
      {"bindAddress: 10.0.0.1:80", "bindAddress: \"10.0.0.1:80\" must be an IP address"},
      {"healthzBindAddress: nowhere", "healthzBindAddress: \"nowhere\" must be IP:PORT"},
      {"healthzBindAddress: 0.0.0.0:0", "healthzBindAddress: \"0.0.0.0:0\" must be IP:PORT"},
      {"metricsBindAddress: 0.0.0.0:70000",
       "metricsBindAddress: \"0.0.0.0:70000\" must be IP:PORT"},
      {"clusterCIDR: '10.0.0.0/8,fd00::/8'", ""},
      {"clusterCIDR: '10.0.0.0/8,11.0.0.0/8'",
       "clusterCIDR: \"10.0.0.0/8,11.0.0.0/8\" must have one CIDR of each family at most"},
      {"clusterCIDR: 10.0.0.0", "clusterCIDR: \"10.0.0.0\" must be a CIDR such as"},
      {"clusterCIDR: '10.0.0.0/8,'", "clusterCIDR: \"10.0.0.0/8,\" must be a CIDR such as"},
      {"clusterCIDR: ',10.0.0.0/8'", "clusterCIDR: \",10.0.0.0/8\" must be a CIDR such as"},
      {"clusterCIDR: 10.0.0.0\ndetectLocalMode: NodeCIDR", ""},
      {"detectLocalMode: Pods", "detectLocalMode: \"Pods\" must be ClusterCIDR, NodeCIDR,"},
      {"detectLocalMode: BridgeInterface", "detectLocal.bridgeInterface: \"\" must be the name"},
      {"detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}", ""},
      {"detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: sixteen-letters-}",
       "detectLocal.interfaceNamePrefix: \"sixteen-letters-\" must be the name"},
      {"nodePortAddresses: [primary]", ""},
      {"nodePortAddresses: [10.0.0.0/8, primary]",
       "nodePortAddresses[1]: \"primary\" must stand alone, without CIDRs"},
      {"nodePortAddresses: [10.0.0.0]", "nodePortAddresses[0]: \"10.0.0.0\" must be a CIDR"},
      {"conntrack: {min: -1}", "conntrack.min: \"-1\" must be 0 to"},
      {"conntrack: {udpTimeout: -1s}", "conntrack.udpTimeout: \"-1s\" must not be negative"},
      {"iptables: {syncPeriod: -1s}", "iptables.syncPeriod: \"-1s\" must be greater than 0"},
      {"iptables: {syncPeriod: 1s, minSyncPeriod: 2s}",
       "iptables.syncPeriod: \"1s\" must be at least iptables.minSyncPeriod"},
      {"mode: nftables\nnftables: {minSyncPeriod: -1s}",
       "nftables.minSyncPeriod: \"-1s\" must not be negative"},
      {"configSyncPeriod: -5m", "configSyncPeriod: \"-5m0s\" must be greater than 0"},
      {"mode: ipvs\nipvs: {tcpTimeout: -1s}", "ipvs.tcpTimeout: \"-1s\" must not be negative"},
      {"mode: ipvs\nipvs: {excludeCIDRs: [x]}", "ipvs.excludeCIDRs: \"x\" must be a CIDR"},
      {"ipvs: {excludeCIDRs: [x]}", ""},
      {"portRange: 300-2000", ""},
      {"portRange: '300+100'", ""},
      {"portRange: '300'", ""},
      {"portRange: 2000-300", "portRange: \"2000-300\" must be a range"},
      {"portRange: a-b", "portRange: \"a-b\" must be a range"},
      {"showHiddenMetricsForVersion: '1.35'", ""},
      {"showHiddenMetricsForVersion: '1.20'",
       "showHiddenMetricsForVersion: \"1.20\" must be 1.35, the version before"},
      {"logging: {format: json}", ""},
      {"logging: {format: loud}", "logging.format: \"loud\" must be text"},
      {"logging: {verbosity: -1}", "logging.verbosity: \"-1\" must be 0 to"},
      {"clientConnection: {burst: -1}", "clientConnection.burst: \"-1\" must be 0 to"},
  };
  for (const auto& [text, message] : cases) {
    if (message.empty())
      EXPECT_EQ(invalid(text), "") << text;
    else
      EXPECT_EQ(invalid(text).substr(0, message.size()), message) << text;
  }
  EXPECT_EQ(invalid("oomScoreAdj: 2000\nmode: x\n").find("; "),
            std::string("oomScoreAdj: \"2000\" must be -1000 to 1000").size());
}

TEST(Duration, AsGoWritesAndReads) {
  using namespace std::chrono_literals;
  const std::pair<Duration, std::string> both[] = {
      {0s, "0s"},        {1ns, "1ns"},     {1500ns, "1.5\u00b5s"},
      {250ms, "250ms"},  {1s, "1s"},       {90s, "1m30s"},
      {15min, "15m0s"},  {24h, "24h0m0s"}, {-(1h + 1ms), "-1h0m0.001s"},
      {1001ms, "1.001s"}};
  for (const auto& [duration, text] : both) {
    EXPECT_EQ(format_duration(duration), text);
    ASSERT_TRUE(parse_duration(text).ok()) << text;
    EXPECT_EQ(*parse_duration(text), duration) << text;
  }
  EXPECT_EQ(*parse_duration("1.5h"), 90min);
  EXPECT_EQ(*parse_duration("+1us"), 1us);
  EXPECT_EQ(*parse_duration("0"), 0s);
  for (const char* text :
       {"", "-", "5", "s", "1d", "1s2", "1..s", ".s", "1e3s", "99999999999h", " 1s"})
    EXPECT_FALSE(parse_duration(text).ok()) << text;
}

// Half of what a change may wait until /healthz says so.
TEST(Config, TheSyncPeriodIsTheModes) {
  using namespace std::chrono_literals;
  const std::string periods =
      "iptables: {syncPeriod: 10s}\nipvs: {syncPeriod: 20s}\nnftables: {syncPeriod: 40s}\n";
  const std::pair<const char*, Duration> cases[] = {
      {"nftables", 40s}, {"ipvs", 20s}, {"iptables", 10s}, {"''", 10s}, {"userspace", 10s}};
  for (const auto& [mode, period] : cases) {
    const auto config = parse_config(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: " +
        std::string(mode) + "\n" + periods);
    ASSERT_TRUE(config.ok()) << config.error().message();
    EXPECT_EQ(config->sync_period(), period) << mode;
    const std::vector<std::string> idle = without_effect(*config);
    EXPECT_EQ(std::count_if(idle.begin(), idle.end(),
                            [](const std::string& path) { return path.ends_with(".syncPeriod"); }),
              2)
        << "those of other modes are named in the log";
  }
}

TEST(FeatureGates, KnownOnes) {
  for (const char* name : {"AllAlpha", "APIServerTracing", "WorkloadWithJob", "WatchList",
                           "AllowServiceExternalIPs", "WinOverlay", "KMSv1"})
    EXPECT_TRUE(is_known_gate(name)) << name;
  for (const char* name : {"", "allalpha", "Zebra", "KubeProxyIPVS"})  // the last: from 1.37 on
    EXPECT_FALSE(is_known_gate(name)) << name;
  for (const char* name : {"CloudDualStackNodeIPs", "LoadBalancerIPMode",
                           "ProxyTerminatingEndpoints", "SkipReadOnlyValidationGCE"}) {
    EXPECT_TRUE(is_retired_gate(name)) << name;
    EXPECT_FALSE(is_known_gate(name)) << name;
  }
  EXPECT_FALSE(is_retired_gate("Zebra"));
  EXPECT_TRUE(external_ips_enabled({}));
}

}  // namespace
}  // namespace fairlead::proxy
