// SPDX-License-Identifier: Apache-2.0
#include "dns/options.h"

#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using Arguments = std::vector<std::string>;

TEST(CommandLine, Defaults) {
  const CommandLine line = parse_command_line({}, 8);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_EQ(line.options->cluster_domain.to_text(), "cluster.local.");
  ASSERT_EQ(line.options->listen.size(), 2u);
  EXPECT_EQ(line.options->listen[0].to_string(), "0.0.0.0:53");
  EXPECT_EQ(line.options->listen[1].to_string(), "[::]:53");
  EXPECT_TRUE(line.options->listen_defaulted);
  EXPECT_TRUE(line.options->pods_insecure);
  EXPECT_EQ(line.options->workers, 4u);
  EXPECT_EQ(line.options->health->to_string(), "127.0.0.1:8080");
  EXPECT_EQ(line.options->ready->to_string(), "127.0.0.1:8181");
  EXPECT_EQ(line.options->metrics->to_string(), "127.0.0.1:9153");
}

TEST(CommandLine, Everything) {
  const CommandLine line = parse_command_line({"--kubeconfig",
                                               "/k",
                                               "--cluster-domain",
                                               "Example.org.",
                                               "--listen",
                                               "10.0.0.1:5353",
                                               "--listen",
                                               "[::1]:53",
                                               "--forward",
                                               "9.9.9.9",
                                               "--forward",
                                               "[fd00::1]:5353",
                                               "--forward-policy",
                                               "sequential",
                                               "--pods=disabled",
                                               "--workers",
                                               "2",
                                               "--health-listen",
                                               "off",
                                               "--ready-listen",
                                               "0.0.0.0:1"},
                                              1);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_EQ(line.options->kubeconfig, "/k");
  EXPECT_EQ(line.options->listen.size(), 2u);
  EXPECT_FALSE(line.options->listen_defaulted);
  EXPECT_EQ(line.options->forward[0].to_string(), "9.9.9.9:53");
  EXPECT_EQ(line.options->forward[1].to_string(), "[fd00::1]:5353");
  EXPECT_EQ(line.options->policy, UpstreamPolicy::kSequential);
  EXPECT_FALSE(line.options->pods_insecure);
  EXPECT_FALSE(line.options->health);
  EXPECT_EQ(line.options->ready->to_string(), "0.0.0.0:1");
}

struct RefusedCase {
  Arguments arguments;
  const char* says;
};

TEST(CommandLine, SaysWhatIsWrong) {
  const RefusedCase kCases[] = {
      {{"-conf", "Corefile"}, "-conf: a Corefile is not read yet"},
      {{"-dns.port=53"}, "-dns.port=53: give --listen"},
      {{"--cluster-domain", "a..b"}, "--cluster-domain: 'a..b' is not a domain name"},
      {{"--cluster-domain", "."}, "cannot be the root"},
      {{"--listen", "10.0.0.1"}, "--listen: '10.0.0.1' is not an address and port"},
      {{"--listen", "10.0.0.1:0"}, "needs a port"},
      {{"--forward", "dns.google"}, "--forward: 'dns.google'"},
      {{"--pods", "verified"}, "--pods is insecure or disabled, not 'verified'"},
      {{"--forward-policy", "x"}, "--forward-policy is"},
      {{"--workers", "65"}, "at most 64"},
      {{"--workers", "x"}, "--workers"},
      {{"--log-level", "loud"}, "--log-level"},
      {{"--no-such-flag"}, "--no-such-flag"},
  };
  for (const RefusedCase& c : kCases) {
    const CommandLine line = parse_command_line(c.arguments, 1);
    EXPECT_FALSE(line.options) << c.arguments[0];
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_NE(line.output.find(c.says), std::string::npos) << line.output;
  }
}

TEST(CommandLine, CoreDnsQuestions) {
  EXPECT_EQ(parse_command_line({"-version"}, 1).output, "fairlead-dns 0.1.0\n");
  EXPECT_EQ(parse_command_line({"-version"}, 1).exit_code, 0);
  EXPECT_EQ(parse_command_line({"-plugins"}, 1).output, "kubernetes\nforward\n");
  EXPECT_EQ(parse_command_line({"--help"}, 1).exit_code, 0);
}

}  // namespace
}  // namespace fairlead::dns
