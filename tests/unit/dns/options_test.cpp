// SPDX-License-Identifier: Apache-2.0
#include "dns/options.h"

#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using Arguments = std::vector<std::string>;

TEST(CommandLine, Defaults) {
  const CommandLine line = parse_command_line({}, 8);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_EQ(line.options->workers, 4u);
  EXPECT_EQ(line.options->port, 53);
  EXPECT_EQ(line.options->lameduck_seconds, 5u);
  EXPECT_EQ(line.options->corefile, "");
  EXPECT_EQ(line.options->corefile_text,
            ".:53 {\n"
            "    health 127.0.0.1:8080\n"
            "    ready 127.0.0.1:8181\n"
            "    prometheus 127.0.0.1:9153\n"
            "    kubernetes cluster.local. in-addr.arpa ip6.arpa {\n"
            "        pods insecure\n"
            "        fallthrough in-addr.arpa ip6.arpa\n"
            "    }\n"
            "    forward . /etc/resolv.conf {\n"
            "        policy random\n"
            "    }\n"
            "}\n");
}

// Ports are of server blocks, and services are the first one's.
const char* const kEverything =
    ".:53 {\n"
    "    bind ::1\n"
    "    ready 0.0.0.0:1\n"
    "    kubernetes Example.org. in-addr.arpa ip6.arpa {\n"
    "        pods disabled\n"
    "        fallthrough in-addr.arpa ip6.arpa\n"
    "    }\n"
    "    forward . 9.9.9.9:53 [fd00::1]:5353 {\n"
    "        policy sequential\n"
    "    }\n"
    "}\n"
    ".:5353 {\n"
    "    bind 10.0.0.1\n"
    "    kubernetes Example.org. in-addr.arpa ip6.arpa {\n"
    "        pods disabled\n"
    "        fallthrough in-addr.arpa ip6.arpa\n"
    "    }\n"
    "    forward . 9.9.9.9:53 [fd00::1]:5353 {\n"
    "        policy sequential\n"
    "    }\n"
    "}\n";

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
                                               "--metrics-listen",
                                               "off",
                                               "--ready-listen",
                                               "0.0.0.0:1"},
                                              1);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_EQ(line.options->kubeconfig, "/k");
  EXPECT_EQ(line.options->workers, 2u);
  EXPECT_EQ(line.options->corefile_text, kEverything);
}

TEST(CommandLine, Handover) {
  const CommandLine line = parse_command_line({"--handover", "/run/s", "-conf", "/c"}, 1);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_EQ(line.options->handover, "/run/s");
}

TEST(CommandLine, Snapshot) {
  const CommandLine line = parse_command_line({"--snapshot", "/var/lib/a b"}, 1);
  ASSERT_TRUE(line.options) << line.output;
  EXPECT_NE(line.options->corefile_text.find("        snapshot \"/var/lib/a b\"\n"),
            std::string::npos);
}

TEST(CommandLine, AsCoreDns) {
  for (const Arguments& arguments :
       {Arguments{"-conf", "/etc/coredns/Corefile", "-dns.port=1053"},
        Arguments{"--conf=/etc/coredns/Corefile", "-p", "1053", "-quiet"}}) {
    const CommandLine line = parse_command_line(arguments, 1);
    ASSERT_TRUE(line.options) << line.output;
    EXPECT_EQ(line.options->corefile, "/etc/coredns/Corefile");
    EXPECT_EQ(line.options->port, 1053);
    EXPECT_FALSE(line.options->check);
  }
  const CommandLine check = parse_command_line({"check", "Corefile"}, 1);
  ASSERT_TRUE(check.options);
  EXPECT_TRUE(check.options->check);
  EXPECT_EQ(check.options->corefile, "Corefile");
}

struct RefusedCase {
  Arguments arguments;
  const char* says;
};

TEST(CommandLine, SaysWhatIsWrong) {
  const RefusedCase kCases[] = {
      {{"-conf", "Corefile", "--forward", "1.1.1.1"}, "-conf names a Corefile; what --listen"},
      {{"-dns.port=0"}, "-dns.port is from 1 to 65535"},
      {{"check"}, "usage: fairlead-dns check COREFILE"},
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
  const std::string plugins = "\n" + parse_command_line({"-plugins"}, 1).output;
  EXPECT_LT(plugins.find("\nkubernetes\n"), plugins.find("\nforward\n"));
  EXPECT_NE(plugins.find("\nforward\n"), std::string::npos);
  EXPECT_EQ(parse_command_line({"--help"}, 1).exit_code, 0);
}

}  // namespace
}  // namespace fairlead::dns
