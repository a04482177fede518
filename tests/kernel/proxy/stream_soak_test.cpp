// SPDX-License-Identifier: Apache-2.0
// Many connections one after the other through the stream proxy: each is answered, and the process
// keeps nothing of them. FAIRLEAD_CONNECTIONS says how many; `scripts/test soak` asks for a million
// each, by mode userspace and beside the rules.
#include <dirent.h>
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "tests/kernel/proxy/stream_fixture.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;

constexpr int kClients = 4;
// Closed connections stay in connection tracking for seconds; beyond some thousand new ones a
// second it would be full.
constexpr int kPauseAfter = 16, kPauseUs = 10000;

class StreamSoak : public StreamTest, public testing::WithParamInterface<bool> {
 protected:
  // That many connections from pod "client", all of them answered.
  int rush(int connections) {
    std::atomic<int> left{connections}, failures{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i)
      clients.emplace_back([&] {
        const auto inside = cluster_.at("client").enter();
        for (int made = 1; left-- > 0; ++made) {
          if (ask(SOCK_STREAM, "10.96.0.1:80", 10000).reached.empty()) ++failures;
          if (made % kPauseAfter == 0) usleep(kPauseUs);
        }
      });
    while (left > 0) cluster_.run_for(std::chrono::milliseconds(50));  // the API server is ours
    for (std::thread& client : clients) client.join();
    return failures;
  }
  int files() {
    int count = 0;
    DIR* directory = opendir(("/proc/" + std::to_string(cluster_.process().pid()) + "/fd").c_str());
    while (directory != nullptr && readdir(directory) != nullptr) ++count;
    closedir(directory);
    return count;
  }
  long resident_kib() {
    std::ifstream file("/proc/" + std::to_string(cluster_.process().pid()) + "/smaps_rollup");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with("Rss:")) return std::atol(line.c_str() + 4);
    return 0;
  }
  // Nothing is open any more.
  bool comes_to_rest() {
    return cluster_.run_until([&] {
      return metrics().find("\nfairlead_stream_connections{protocol=\"tcp\"} 0\n") !=
             std::string::npos;
    });
  }
};
INSTANTIATE_TEST_SUITE_P(, StreamSoak, testing::Bool(),
                         [](const auto& p) { return p.param ? "Userspace" : "BesideRules"; });

TEST_P(StreamSoak, ManyConnectionsLeaveNothing) {
  const char* given = std::getenv("FAIRLEAD_CONNECTIONS");
  const int total = given != nullptr ? std::atoi(given) : 4000;
  ASSERT_GE(total, 1000);
  put("web", 1, {kOn1, kOn2}, "", "", R"("stream.fairlead.io/mode":"userspace")");
  cluster_.start(GetParam()
                     ? std::vector<std::string>{"--proxy-mode=userspace", "--service-metrics"}
                     : std::vector<std::string>{"--service-metrics"});
  ASSERT_TRUE(cluster_.run_until([&] {  // relayed
    (void)cluster_.tcp("client", "10.96.0.1:80");
    return metrics().find("fairlead_stream_service_connections_total{") != std::string::npos;
  }));
  EXPECT_EQ(rush(total / 10), 0);
  ASSERT_TRUE(comes_to_rest()) << metrics();
  const int files_before = files();
  [[maybe_unused]] const long before = resident_kib();
  for (int tenth = 1; tenth < 10; ++tenth) {
    EXPECT_EQ(rush(total / 10), 0);
    std::printf("%d of %d connections, %ld KiB resident\n", (tenth + 1) * (total / 10), total,
                resident_kib());
    std::fflush(stdout);
  }
  ASSERT_TRUE(comes_to_rest()) << metrics();
  EXPECT_TRUE(cluster_.run_until([&] { return files() <= files_before; })) << files();
#if !defined(__SANITIZE_ADDRESS__)  // it keeps for a while what has been freed
  EXPECT_LT(resident_kib(), before + 2048);
#endif
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_failures_total{protocol=\"tcp\"} 0\n"));
}

}  // namespace
}  // namespace fairlead::proxy
