// SPDX-License-Identifier: Apache-2.0
#include "proxy/options.h"

#include <gtest/gtest.h>

#include "proxy/proxy.h"

namespace fairlead::proxy {
namespace {

TEST(Options, Defaults) {
  const auto options = parse_options({}, "Node-1");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->node_name, "node-1");
  EXPECT_EQ(options->healthz_address, "0.0.0.0:10256");
  EXPECT_EQ(options->metrics_address, "127.0.0.1:10249");
  EXPECT_EQ(options->config(Family::kIpv4).masquerade_mark, 0x4000u);
  EXPECT_FALSE(options->cleanup);
}

TEST(Options, SplitByFamily) {
  const auto options =
      parse_options({"--cluster-cidr=10.244.0.0/16,fd00:10::/64", "--service-cidr", "10.96.0.0/16",
                     "--local-dns-address=10.96.0.10", "--local-dns-address=fd00:96::a",
                     "--hostname-override=Other", "--masquerade-all", "--v=4"},
                    "node");
  ASSERT_TRUE(options.ok()) << options.error().message();
  const Config v4 = options->config(Family::kIpv4);
  const Config v6 = options->config(Family::kIpv6);
  EXPECT_EQ(v4.cluster_cidrs, std::vector<Cidr>{Cidr::parse("10.244.0.0/16").value()});
  EXPECT_EQ(v6.cluster_cidrs, std::vector<Cidr>{Cidr::parse("fd00:10::/64").value()});
  EXPECT_EQ(v4.service_cidrs.size(), 1u);
  EXPECT_TRUE(v6.service_cidrs.empty());
  EXPECT_EQ(v4.local_dns.size(), 1u);
  EXPECT_EQ(v6.local_dns.size(), 1u);
  EXPECT_TRUE(v4.masquerade_all);
  EXPECT_EQ(options->node_name, "other");
  EXPECT_EQ(options->log_level, log::Level::kDebug);
}

TEST(Options, HelpAndVersionPrint) {
  EXPECT_NE(parse_options({"--help"}, "n").value().print.find("--cluster-cidr"), std::string::npos);
  EXPECT_EQ(parse_options({"--version"}, "n").value().print.substr(0, 14), "fairlead-proxy");
}

TEST(Options, MistakesAreOneSentence) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--cluster-cidr=10.0.0"}, "--cluster-cidr: \"10.0.0\" is not a CIDR"},
      {{"--proxy-mode=ipvs"}, "--proxy-mode=ipvs is not supported"},
      {{"--iptables-masquerade-bit=32"}, "--iptables-masquerade-bit must be 0 to 31"},
      {{"--healthz-bind-address=nowhere"}, "--healthz-bind-address: \"nowhere\" is not IP:PORT"},
      {{"--nodeport-addresses=primary"}, "--nodeport-addresses=primary is not supported yet"},
      {{"--local-dns-address=dns"}, "--local-dns-address: \"dns\" is not an IP address"},
      {{"--log-level=loud"}, "--log-level"},
      {{"--detect-local-mode=BridgeInterface"},
       "--detect-local-mode of kube-proxy is not supported yet"},
      {{"--conntrack-min", "5"}, "--conntrack-min of kube-proxy is not supported yet"},
      {{"--colour"}, "unknown argument --colour"},
  };
  for (const auto& [arguments, message] : cases) {
    const auto options = parse_options(arguments, "n");
    ASSERT_FALSE(options.ok()) << arguments[0];
    EXPECT_EQ(options.error().message().substr(0, message.size()), message);
  }
}

TEST(Rfc3339, AsKubernetesWritesIt) {
  const auto seconds = [](const char* text) -> double {
    const auto time = parse_rfc3339(text);
    return time ? std::chrono::duration<double>(time->time_since_epoch()).count() : -1;
  };
  EXPECT_DOUBLE_EQ(seconds("1970-01-02T00:00:01Z"), 86401);
  EXPECT_DOUBLE_EQ(seconds("1970-01-01T00:00:01.25Z"), 1.25);
  EXPECT_DOUBLE_EQ(seconds("1970-01-01"), -1);
  EXPECT_DOUBLE_EQ(seconds("1970-01-01T00:00:00+01:00"), -1);
  EXPECT_DOUBLE_EQ(seconds(""), -1);
}

}  // namespace
}  // namespace fairlead::proxy
