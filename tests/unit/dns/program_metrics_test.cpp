// SPDX-License-Identifier: Apache-2.0
// What the program counts beside the queries, under CoreDNS's names: plugins, reloads, and what
// `health` finds when it asks itself.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dns/host.h"
#include "dns/loading.h"
#include "dns/options.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::seconds;

class ProgramMetrics : public PluginTest {
 protected:
  Host host{loop, ""};
  Services services;

  void serve(const std::string& directives, const std::string& zones = ".") {
    use(directives, nullptr, zones);
    Result<Services> started = start_services(host, config);
    ASSERT_TRUE(started.ok()) << started.error().message();
    services = *std::move(started);
  }
  bool has(const std::string& line) const {
    return ("\n" + host.metrics()).find("\n" + line + "\n") != std::string::npos;
  }
  static std::string address() {
    return "127.0.0.1:" + std::to_string(fairlead::test::free_port());
  }
};

// Those with a step in the chain, and `prometheus`, which has one in CoreDNS.
TEST_F(ProgramMetrics, PluginsThatAreEnabled) {
  serve("whoami\nlocal\nready " + address() + "\nprometheus " + address(), "a.test b.test");
  for (const char* zone : {"a.test.", "b.test."})
    for (const char* plugin : {"whoami", "local", "prometheus"})
      EXPECT_TRUE(has("coredns_plugin_enabled{server=\"dns://:53\",zone=\"" + std::string(zone) +
                      "\",view=\"\",name=\"" + plugin + "\"} 1"))
          << zone << plugin << host.metrics();
  EXPECT_EQ(host.metrics().find("name=\"ready\""), std::string::npos);
  // An old configuration beside a new one, as in a reload, is not counted twice.
  const Result<Services> again = start_services(host, config);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(
      has("coredns_plugin_enabled{server=\"dns://:53\",zone=\"a.test.\",view=\"\","
          "name=\"whoami\"} 1"));
}

TEST_F(ProgramMetrics, Reloads) {
  host.failed_reloads = [] { return 3; };
  host.version = [] { return "0af"; };
  serve("reload");
  const Result<Services> another = start_services(host, config);
  ASSERT_TRUE(another.ok());
  EXPECT_TRUE(has("coredns_reload_failed_total 3")) << host.metrics();
  EXPECT_TRUE(has("coredns_reload_version_info{hash=\"sha512\",value=\"0af\"} 1"));
}

TEST_F(ProgramMetrics, TheDigestChangesWithWhatWasRead) {
  Options options;
  options.corefile_text = ".:53 {\nwhoami\n}\n";
  const auto digest = [&] {
    ConfigFiles files_read(options);
    EXPECT_TRUE(load_config(options, files_read).ok());
    EXPECT_FALSE(files_read.changed());
    return files_read.digest();
  };
  const std::string first = digest();
  EXPECT_EQ(first.size(), 128u);
  EXPECT_EQ(digest(), first);
  options.corefile_text += "# more\n";
  EXPECT_NE(digest(), first);
}

// What a plugin follows by itself, as the hosts of k3s, is no reason to begin anew.
TEST_F(ProgramMetrics, AFollowedFileIsNoPartOfTheConfiguration) {
  char pattern[] = "/tmp/fairlead-followed-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  const auto write = [&](const char* name, const char* text) {
    const std::string path = directory + "/" + name;
    std::ofstream(path) << text;
    return path;
  };
  const std::string hosts = write("hosts", "10.0.0.1 a.test\n");
  const std::string weights = write("weights", "a.test\n10.0.0.1 3\n");
  Options options;
  const std::string text =
      ".:53 {\nreload\nhosts " + hosts + "\nloadbalance weighted " + weights + "\nwhoami\n}\n";
  options.corefile = write("Corefile", text.c_str());
  ConfigFiles files_read(options);
  const auto loaded = load_config(options, files_read);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const std::string digest = files_read.digest();
  write("hosts", "10.0.0.1 a.test\n10.0.0.2 b.test\n");
  write("weights", "a.test\n10.0.0.1 4\n");
  EXPECT_FALSE(files_read.changed());
  ConfigFiles again(options);
  ASSERT_TRUE(load_config(options, again).ok());
  EXPECT_EQ(again.digest(), digest);
  write("Corefile", (text + "# more\n").c_str());
  EXPECT_TRUE(files_read.changed());
  std::filesystem::remove_all(directory);
}

TEST_F(ProgramMetrics, HealthAsksItself) {
  serve("health " + address());
  EXPECT_TRUE(has("coredns_health_request_duration_seconds_count 0")) << host.metrics();
  EXPECT_TRUE(loop.run_until([&] { return has("coredns_health_request_duration_seconds_count 1"); },
                             seconds(10)))
      << host.metrics();
  EXPECT_TRUE(has("coredns_health_request_failures_total 0")) << host.metrics();
  for (const char* bound : {"0.00025", "0.0025", "0.025", "0.25", "2.5", "+Inf"})
    EXPECT_NE(host.metrics().find("le=\"" + std::string(bound) + "\""), std::string::npos) << bound;
  host.release_ports();
  EXPECT_TRUE(
      loop.run_until([&] { return has("coredns_health_request_failures_total 1"); }, seconds(10)))
      << host.metrics();
}

}  // namespace
}  // namespace fairlead::dns::test
