// SPDX-License-Identifier: Apache-2.0
#include "proxy/sysctls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace fairlead::proxy {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Sysctls, MaximumAsKubeProxyComputesIt) {
  struct Case {
    int32_t per_core, min;
    int cpus;
    int64_t max;  // 0: left as it is
  };
  const Case cases[] = {
      {32768, 131072, 1, 131072},
      {32768, 131072, 4, 131072},
      {32768, 131072, 5, 163840},
      {32768, 131072, 32, 1048576},
      {32768, 131072, 256, 1048576},
      {0, 131072, 8, 0},
      {1, 0, 1, 1},
      {1, 2000000, 1, 2000000},
      {65536, 2000000, 17, 1048576},
      {2147483647, 0, 512, 1048576},
  };
  for (const Case& c : cases) {
    KubeProxyConfig::Conntrack config;
    config.max_per_core = c.per_core;
    config.min = c.min;
    config.tcp_established_timeout = config.tcp_close_wait_timeout = {};
    const std::vector<Sysctl> expected =
        c.max == 0 ? std::vector<Sysctl>{} : std::vector<Sysctl>{{"nf_conntrack_max", c.max}};
    EXPECT_EQ(conntrack_sysctls(config, c.cpus), expected) << c.per_core << " x " << c.cpus;
  }
}

TEST(Sysctls, TimeOutsThatAreSet) {
  KubeProxyConfig::Conntrack config;
  config.max_per_core = 0;
  EXPECT_THAT(conntrack_sysctls(config, 2),
              ElementsAre(Sysctl{"nf_conntrack_tcp_timeout_established", 86400},
                          Sysctl{"nf_conntrack_tcp_timeout_close_wait", 3600}));
  config.tcp_established_timeout = {};
  config.tcp_close_wait_timeout = 90500ms;
  config.tcp_be_liberal = true;
  config.udp_timeout = 30s;
  config.udp_stream_timeout = 2min;
  EXPECT_THAT(
      conntrack_sysctls(config, 2),
      ElementsAre(Sysctl{"nf_conntrack_tcp_timeout_close_wait", 90},
                  Sysctl{"nf_conntrack_tcp_be_liberal", 1}, Sysctl{"nf_conntrack_udp_timeout", 30},
                  Sysctl{"nf_conntrack_udp_timeout_stream", 120}));
}

class SysctlFiles : public testing::Test {
 protected:
  SysctlFiles() {
    char name[] = "/tmp/fairlead-sysctls-XXXXXX";
    root_ = mkdtemp(name);
    std::filesystem::create_directories(root_ + kNet);
    std::filesystem::create_directories(root_ + "/sys/module/nf_conntrack/parameters");
  }
  ~SysctlFiles() override { std::filesystem::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    std::ofstream(root_ + path) << text;
  }
  std::string get(const std::string& path) {
    const auto text = read_file(root_ + path, 64);
    return text.ok() ? *text : text.error().message();
  }

  const std::string kNet = "/proc/sys/net/netfilter/";
  const std::string kBuckets = "/sys/module/nf_conntrack/parameters/hashsize";
  std::string root_;
};

TEST_F(SysctlFiles, WritesWhatDiffersAndEnlargesTheTable) {
  put(kNet + "nf_conntrack_max", "1000\n");
  put(kNet + "nf_conntrack_udp_timeout", "30\n");
  put(kBuckets, "250\n");
  EXPECT_THAT(write_sysctls({{"nf_conntrack_max", 4000}, {"nf_conntrack_udp_timeout", 30}}, root_),
              IsEmpty());
  EXPECT_EQ(get(kNet + "nf_conntrack_max").substr(0, 4), "4000");
  EXPECT_EQ(get(kNet + "nf_conntrack_udp_timeout"), "30\n");  // not written again
  EXPECT_EQ(get(kBuckets).substr(0, 4), "1000");
  EXPECT_THAT(write_sysctls({{"nf_conntrack_max", 3000}}, root_), IsEmpty());
  EXPECT_EQ(get(kBuckets).substr(0, 4), "1000");  // large enough
}

TEST_F(SysctlFiles, WhatTheRelayNeeds) {
  EXPECT_FALSE(let_ports_be_used_again(root_).ok()) << "no such file";
  const std::string path = "/proc/sys/net/ipv4/tcp_tw_reuse";
  std::filesystem::create_directories(root_ + "/proc/sys/net/ipv4");
  put(path, "2\n");
  EXPECT_TRUE(let_ports_be_used_again(root_).ok());
  EXPECT_EQ(get(path).substr(0, 1), "1");
  put(kNet + "nf_conntrack_udp_timeout", "30\n");
  EXPECT_EQ(conntrack_timeout("nf_conntrack_udp_timeout", root_), 30s);
  EXPECT_EQ(conntrack_timeout("nf_conntrack_udp_timeout_stream", root_), std::nullopt);
}

TEST_F(SysctlFiles, FailuresAreToldApartAndTheRestIsWritten) {
  put(kNet + "nf_conntrack_udp_timeout", "1\n");
  std::filesystem::create_directory(root_ + kNet + "nf_conntrack_tcp_be_liberal");
  const auto failures = write_sysctls({{"nf_conntrack_max", 4000},
                                       {"nf_conntrack_tcp_be_liberal", 1},
                                       {"nf_conntrack_udp_timeout", 30}},
                                      root_);
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_EQ(failures[0].kind, SysctlFailure::Kind::kMissing);
  EXPECT_EQ(failures[1].kind, SysctlFailure::Kind::kFailed);
  EXPECT_EQ(failures[0].error.message(),
            "writing 4000 to " + root_ + kNet + "nf_conntrack_max: No such file or directory");
  EXPECT_EQ(get(kNet + "nf_conntrack_udp_timeout").substr(0, 2), "30");
}

TEST(Sysctls, WhatTheHostKeepsIsForbidden) {
  // The kernel's release can be written by nobody, root included.
  const auto failures = write_sysctls({{"../../kernel/osrelease", 1}});
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind, SysctlFailure::Kind::kForbidden) << failures[0].error.message();
}

TEST_F(SysctlFiles, PortsThatTheKernelGives) {
  const std::string kPorts = "/proc/sys/net/ipv4/ip_local_port_range";
  std::filesystem::create_directories(std::filesystem::path(root_ + kPorts).parent_path());
  const std::pair<uint16_t, uint16_t> usual = {32768, 60999};
  EXPECT_EQ(local_ports(root_), usual);
  const std::pair<const char*, std::pair<uint16_t, uint16_t>> cases[] = {
      {"1024\t65000\n", {1024, 65000}},
      {"50052 50053", {50052, 50053}},
      {"9 9\n", {9, 9}},
      {"1024\n", usual},
      {"1024", usual},
      {"2000\t1000\n", usual},
      {"1024\t70000\n", usual},
      {"", usual},
  };
  for (const auto& [text, ports] : cases) {
    put(kPorts, text);
    EXPECT_EQ(local_ports(root_), ports) << text;
  }
}

TEST(Sysctls, ThereIsACpu) {
  EXPECT_GE(cpu_count(), 1);
}

}  // namespace
}  // namespace fairlead::proxy
