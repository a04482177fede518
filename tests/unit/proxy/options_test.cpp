// SPDX-License-Identifier: Apache-2.0
#include "proxy/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/proxy.h"

namespace fairlead::proxy {
namespace {

Result<std::string> no_file(const std::string& path) {
  return Error(ErrorCode::kNotFound, path + ": no such file");
}

Options parse(const std::vector<std::string>& arguments, const std::string& file = "") {
  const auto options = parse_options(arguments, "node", [&](const std::string& path) {
    return file.empty() ? no_file(path) : Result<std::string>(file);
  });
  EXPECT_TRUE(options.ok()) << options.error().message();
  return options.ok() ? *options : Options{};
}

TEST(Options, Defaults) {
  const auto options = parse_options({}, "Node-1");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->node_name, "node-1");
  EXPECT_EQ(options->kube.healthz_bind_address, "0.0.0.0:10256");
  EXPECT_EQ(options->kube.metrics_bind_address, "127.0.0.1:10249");
  EXPECT_EQ(options->config(Family::kIpv4).masquerade_mark, 0x4000u);
  EXPECT_FALSE(options->cleanup);
  EXPECT_THAT(options->notices, testing::IsEmpty());
}

TEST(Options, SplitByFamily) {
  const Options options =
      parse({"--cluster-cidr=10.244.0.0/16,fd00:10::/64", "--service-cidr", "10.96.0.0/16",
             "--local-dns-address=10.96.0.10", "--local-dns-address=fd00:96::a",
             "--hostname-override=Other", "--masquerade-all", "--v=4"});
  const Config v4 = options.config(Family::kIpv4);
  const Config v6 = options.config(Family::kIpv6);
  EXPECT_EQ(v4.cluster_cidrs, std::vector<Cidr>{Cidr::parse("10.244.0.0/16").value()});
  EXPECT_EQ(v6.cluster_cidrs, std::vector<Cidr>{Cidr::parse("fd00:10::/64").value()});
  EXPECT_EQ(options.service_cidrs.size(), 1u);
  EXPECT_EQ(v4.local_dns.size(), 1u);
  EXPECT_EQ(v6.local_dns.size(), 1u);
  EXPECT_TRUE(v4.masquerade_all);
  EXPECT_EQ(options.node_name, "other");
  EXPECT_EQ(options.log_level, log::Level::kDebug);
}

TEST(Options, CountersOfServices) {
  EXPECT_FALSE(parse({}).service_metrics);
  EXPECT_FALSE(parse({}).service_bytes);
  EXPECT_TRUE(parse({"--service-metrics"}).service_metrics);
  const Sysctl accounting = {"nf_conntrack_acct", 1};
  EXPECT_THAT(parse({"--service-bytes"}).conntrack_sysctls(2), testing::Contains(accounting));
  EXPECT_THAT(parse({}).conntrack_sysctls(2), testing::Not(testing::Contains(accounting)));
}

TEST(Options, BesideAndInPlaceOfAnotherProxy) {
  EXPECT_FALSE(parse({}).shadow);
  EXPECT_TRUE(parse({"--shadow"}).shadow);
  const Options files = parse({"--shadow-rules=a,b", "--shadow-rules", "c"});
  EXPECT_TRUE(files.shadow) << "rules to compare with mean shadow mode";
  EXPECT_THAT(files.shadow_rules, testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(parse({"--take-over-from=kube-proxy"}).config(Family::kIpv6).take_over_from,
              testing::ElementsAre("kube-proxy"));
  EXPECT_THAT(parse({}).config(Family::kIpv4).take_over_from, testing::IsEmpty());
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"--shadow", "--take-over-from=kube-proxy"},
        {"--take-over-from=fairlead"},
        {"--take-over-from=" + std::string(300, 'x')}}) {
    const auto options = parse_options(wrong, "node");
    ASSERT_FALSE(options.ok()) << wrong.back();
    EXPECT_THAT(options.error().message(), testing::HasSubstr("--take-over-from"));
  }
}

TEST(Options, AsPflagReadsThem) {
  EXPECT_EQ(parse({"-v", "4"}).log_level, log::Level::kDebug);
  EXPECT_EQ(parse({"-v4"}).log_level, log::Level::kDebug);
  EXPECT_EQ(parse({"-v=4"}).log_level, log::Level::kDebug);
  EXPECT_EQ(parse({"--v", "3"}).log_level, log::Level::kInfo);
  EXPECT_TRUE(parse({"--masquerade-all"}).kube.iptables.masquerade_all);
  EXPECT_FALSE(parse({"--masquerade-all=false"}).kube.iptables.masquerade_all);
  EXPECT_TRUE(parse({"--masquerade_all=1"}).kube.nftables.masquerade_all);
  EXPECT_EQ(parse({"--proxy-mode=ipvs", "--proxy-mode", "nftables"}).kube.mode, "nftables");
  EXPECT_EQ(parse({"--nodeport-addresses=10.0.0.0/8", "--nodeport-addresses", "fd00::/8"})
                .kube.node_port_addresses.size(),
            2u);
  EXPECT_EQ(parse({"--metrics-bind-address="}).kube.metrics_bind_address, "");
  EXPECT_EQ(parse({"--metrics-bind-address", ""}).kube.metrics_bind_address, "");
  EXPECT_EQ(parse({"--healthz-port=0"}).kube.healthz_bind_address, "");
  EXPECT_EQ(parse({"--healthz-bind-address=::", "--healthz-port", "81"}).kube.healthz_bind_address,
            "[::]:81");
  EXPECT_TRUE(parse({"--init-only"}).init_only);
  EXPECT_EQ(
      parse({"--conntrack-tcp-timeout-established=2h"}).kube.conntrack.tcp_established_timeout,
      std::chrono::hours(2));
}

const std::string kFile = R"(apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: 10.1.0.0/16
hostnameOverride: FromFile
logging: {verbosity: 4}
)";

TEST(Options, TheFileWins) {
  const Options options = parse({"--config=/c", "--cluster-cidr=10.2.0.0/16"}, kFile);
  EXPECT_EQ(options.config_file, "/c");
  EXPECT_EQ(options.kube.cluster_cidr, "10.1.0.0/16");
  EXPECT_EQ(options.node_name, "fromfile");
  EXPECT_EQ(options.log_level, log::Level::kDebug);
  EXPECT_THAT(options.notices, testing::ElementsAre("ignored beside --config: --cluster-cidr"));
}

TEST(Options, OnlyTheNameAndLoggingWinOverTheFile) {
  const Options options = parse(
      {"--config=/c", "--hostname-override", " Mine ", "-v2", "--master=http://a:1", "--cleanup"},
      kFile);
  EXPECT_EQ(options.node_name, "mine");
  EXPECT_EQ(options.kube.hostname_override, "mine");
  EXPECT_EQ(options.log_level, log::Level::kInfo);
  EXPECT_EQ(options.master, "http://a:1");
  EXPECT_TRUE(options.cleanup);
  EXPECT_THAT(options.notices, testing::IsEmpty());
}

TEST(Options, OtherModesAreTakenForNftables) {
  EXPECT_THAT(parse({"--proxy-mode=iptables"}).notices,
              testing::ElementsAre("mode iptables is asked for; nftables is used in its place"));
  EXPECT_THAT(parse({"--proxy-mode=ipvs", "--ipvs-scheduler=lc"}).notices,
              testing::ElementsAre("mode ipvs is asked for; nftables is used in its place",
                                   "without effect here: ipvs.scheduler"));
  EXPECT_THAT(parse({"--proxy-mode="}).notices, testing::IsEmpty());
}

TEST(Options, ModeUserspaceSaysWhatItCannot) {
  EXPECT_THAT(parse({"--proxy-mode=userspace"}).notices,
              testing::ElementsAre(testing::HasSubstr("endpoints see this node's address")));
}

TEST(Options, NodePortAddresses) {
  struct Case {
    std::vector<std::string> arguments;
    std::string v4, v6;
  };
  const auto text = [](const std::optional<std::vector<Cidr>>& cidrs) -> std::string {
    if (!cidrs) return "primary";
    std::string all;
    for (const Cidr& cidr : *cidrs) all += (all.empty() ? "" : ",") + cidr.to_string();
    return all == "0.0.0.0/0" || all == "::/0" ? "all" : all;
  };
  const Case cases[] = {
      {{}, "all", "all"},
      {{"--proxy-mode=iptables"}, "all", "all"},
      {{"--proxy-mode=nftables"}, "primary", "primary"},
      {{"--nodeport-addresses=primary"}, "primary", "primary"},
      {{"--nodeport-addresses=10.0.0.0/8,11.0.0.0/8"}, "10.0.0.0/8,11.0.0.0/8", "all"},
      {{"--nodeport-addresses=10.0.0.0/8,0.0.0.0/0,fd00::/8"}, "all", "fd00::/8"},
      {{"--proxy-mode=nftables", "--nodeport-addresses=::/0"}, "all", "all"},
  };
  for (const Case& c : cases) {
    const Options options = parse(c.arguments);
    EXPECT_EQ(text(options.node_port_cidrs(Family::kIpv4)), c.v4) << c.arguments.back();
    EXPECT_EQ(text(options.node_port_cidrs(Family::kIpv6)), c.v6) << c.arguments.back();
  }
}

TEST(Options, WaysToKnowPods) {
  const std::vector<Cidr> pods = {*Cidr::parse("10.5.1.0/24"), *Cidr::parse("10.5.2.0/24"),
                                  *Cidr::parse("fd00:5::/64")};
  const auto config = [&](const std::vector<std::string>& arguments) {
    return parse(arguments).config(Family::kIpv4, pods);
  };
  const std::string cluster = "--cluster-cidr=10.244.0.0/16";
  EXPECT_EQ(config({cluster}).cluster_cidrs, std::vector{*Cidr::parse("10.244.0.0/16")});
  EXPECT_EQ(config({cluster, "--detect-local-mode=NodeCIDR"}).cluster_cidrs, std::vector{pods[0]});
  const Config bridge =
      config({cluster, "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0"});
  EXPECT_EQ(bridge.bridge_interface, "cni0");
  EXPECT_THAT(bridge.cluster_cidrs, testing::IsEmpty());
  EXPECT_EQ(config({"--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=veth"})
                .interface_prefix,
            "veth");
}

TEST(Options, ExternalIpsHaveAGate) {
  EXPECT_TRUE(parse({}).config(Family::kIpv4).accept_external_ips);
  for (const char* off :
       {"AllAlpha=true,AllowServiceExternalIPs=false", "AllowServiceExternalIPs=False,",
        "AllAlpha=t, AllowServiceExternalIPs = 0"})
    EXPECT_FALSE(
        parse({std::string("--feature-gates=") + off}).config(Family::kIpv4).accept_external_ips)
        << off;
}

TEST(Options, NumbersAndNothingAsPflagTakesThem) {
  for (const auto& [text, number] :
       {std::pair{"0x20", 32}, {"+5", 5}, {"017", 15}, {"0b11", 3}, {"0", 0}, {"1000000", 1000000}})
    EXPECT_EQ(parse({"", std::string("--conntrack-min=") + text}).kube.conntrack.min, number)
        << text;
  for (const char* bad : {"0x", "+-5", "5 ", "08", "4294967296", ""})
    EXPECT_FALSE(parse_options({std::string("--conntrack-min=") + bad}, "n").ok()) << bad;
}

// "--bind-address=$(NODE_IP)" where the variable is empty.
TEST(Options, ABindAddressOfNothingIsNone) {
  EXPECT_EQ(parse({"", "--bind-address="}).kube.bind_address, "0.0.0.0");
  EXPECT_FALSE(parse_options({"--bind-address=here"}, "n").ok());
}

TEST(Options, HelpAndVersionPrint) {
  EXPECT_NE(parse_options({"--help"}, "n").value().print.find("--cluster-cidr"), std::string::npos);
  EXPECT_NE(parse_options({"-h"}, "n").value().print.find("--v "), std::string::npos);
  EXPECT_EQ(parse_options({"--version"}, "n").value().print.substr(0, 14), "fairlead-proxy");
  EXPECT_EQ(parse_options({"--version=raw"}, "n").value().print.substr(0, 14), "fairlead-proxy");
}

TEST(Options, FlagsListed) {
  const Options options = parse({"--cluster-cidr=10.2.0.0/16"});
  EXPECT_THAT(
      options.flags,
      testing::IsSupersetOf({std::pair<std::string, std::string>("cluster-cidr", "10.2.0.0/16"),
                             {"cleanup", "false"},
                             {"oom-score-adj", "-999"},
                             {"local-dns-ready-url", "http://127.0.0.1:8181/ready"}}));
}

// What configurations of 1.27 and later say, and environment variables that are not set.
TEST(Options, WhatEarlierVersionsTookIsTaken) {
  const Options options =
      parse({"--feature-gates=MinimizeIPTablesRestore=true,KubeProxyDrainingTerminatingNodes=true",
             "--proxy-port-range=", "--healthz-bind-address=", "--logging-format=json"});
  EXPECT_THAT(options.notices,
              testing::ElementsAre("feature gates of earlier versions, without effect: "
                                   "KubeProxyDrainingTerminatingNodes, MinimizeIPTablesRestore"));
  EXPECT_EQ(options.kube.healthz_bind_address, KubeProxyConfig().healthz_bind_address);
  EXPECT_EQ(options.kube.logging.format, "json");
}

TEST(Options, MistakesAreOneSentence) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--cluster-cidr=10.0.0"}, "--cluster-cidr: \"10.0.0\" must be a CIDR"},
      {{"--service-cidr=10.0.0"}, "--service-cidr: \"10.0.0\" is not a CIDR"},
      {{"--proxy-mode=kernelspace"},
       "--proxy-mode: \"kernelspace\" must be nftables, or userspace"},
      {{"--stream-balance=fastest"}, "--stream-balance: \"fastest\" is no way to balance"},
      {{"--stream-connect-timeout=0s"}, "--stream-connect-timeout must be greater than 0"},
      {{"--stream-drain-timeout=soon"}, "--stream-drain-timeout: "},
      {{"--handover=/run/proxy"}, "--handover needs mode userspace"},
      {{"--proxy-mode=userspace", "--shadow"}, "--shadow compares rules"},
      {{"--proxy-mode=userspace", "--take-over-from=kube-proxy"},
       "--take-over-from needs mode nftables"},
      {{"--proxy-mode=userspace", "--local-dns-address=10.96.0.10"},
       "--local-dns-address needs mode nftables"},
      {{"--iptables-masquerade-bit=32"}, "--iptables-masquerade-bit: \"32\" must be 0 to 31"},
      {{"--iptables-masquerade-bit=x"}, "--iptables-masquerade-bit: \"x\" is not a whole number"},
      {{"--healthz-bind-address=nowhere"}, "--healthz-bind-address: \"nowhere\" must be IP:PORT"},
      {{"--healthz-port=99999"}, "--healthz-port: \"99999\" is not a port"},
      {{"--nodeport-addresses=primary,10.0.0.0/8"}, "--nodeport-addresses: \"primary\" must stand"},
      {{"--local-dns-address=dns"}, "--local-dns-address: \"dns\" is not an IP address"},
      {{"--log-level=loud"}, "--log-level"},
      {{"--logging-format=xml"}, "--logging-format: \"xml\" must be text or json"},
      {{"--detect-local-mode=Any"}, "--detect-local-mode: \"Any\" must be ClusterCIDR"},
      {{"--conntrack-min"}, "--conntrack-min needs a value"},
      {{"--feature-gates=Nothing=true"}, "--feature-gates: \"Nothing\" is no feature gate"},
      {{"--feature-gates=AllAlpha"}, "--feature-gates: \"AllAlpha\" is not NAME=true"},
      {{"--masquerade-all=perhaps"}, "--masquerade-all: \"perhaps\" is not true or false"},
      {{"--config=/none"}, "--config: /none: no such file"},
      {{"--hostname-override= "}, "--hostname-override is blank"},
      {{"--colour"}, "unknown argument --colour"},
      {{"stray"}, "unknown argument stray"},
  };
  for (const auto& [arguments, message] : cases) {
    const auto options = parse_options(arguments, "n", no_file);
    ASSERT_FALSE(options.ok()) << arguments[0];
    EXPECT_EQ(options.error().message().substr(0, message.size()), message);
  }
  const auto nameless = parse_options({}, "");
  EXPECT_FALSE(nameless.ok());
  const auto bad_file = parse_options({"--config=/c"}, "n", [](const std::string&) {
    return Result<std::string>(kFile + "oomScoreAdj: 5000\n");
  });
  ASSERT_FALSE(bad_file.ok());
  EXPECT_EQ(bad_file.error().message(), "/c: oomScoreAdj: \"5000\" must be -1000 to 1000");
}

}  // namespace
}  // namespace fairlead::proxy
