// SPDX-License-Identifier: Apache-2.0
// Programs in mode userspace that take over from one another, with clients who must not notice.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <memory>

#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/stream_fixture.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;

class StreamHandover : public StreamTest {
 protected:
  StreamHandover() {
    char pattern[] = "/tmp/fairlead-handover-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  ~StreamHandover() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/proxy"; }
  std::unique_ptr<BackgroundProcess> start() {
    std::vector<std::string> argv = {"prlimit",
                                     "--nofile=" + std::to_string(limit_) + ":20000",
                                     Cluster::program(),
                                     "--proxy-mode=userspace",
                                     "--cluster-cidr=10.244.0.0/15,fd00:244::/32",
                                     "--stream-drain-timeout=5m",
                                     "--handover=" + path()};
    for (const std::string& flag : cluster_.flags()) argv.push_back(flag);
    const auto inside = cluster_.at("node").enter();
    return std::make_unique<BackgroundProcess>(argv);
  }
  bool waits_for_a_successor() {
    return cluster_.run_until([&] { return std::filesystem::exists(path()); });
  }
  bool ends(BackgroundProcess& process) {
    return cluster_.run_until([&] { return !process.running(); });
  }

  std::string directory_;
  int limit_ = 1024;
};

TEST_F(StreamHandover, FailsNoConnection) {
  put("web", 1, {kOn1, kOn2});
  put_echo();
  auto first = start();
  ASSERT_TRUE(waits_for_a_successor());
  Echo echo(cluster_.at("web-1"));
  Traffic four(cluster_, "client", "10.96.0.1:80"), node(cluster_, "outside", "192.0.2.1:30101");
  Traffic six(cluster_, "client", "[fd00:96::1]:80");
  UdpFlow flow(cluster_, "client", "10.96.0.1:80");
  auto checker = std::make_unique<Checker>(cluster_.at("client"), "10.96.0.7:7", 1);
  ASSERT_TRUE(cluster_.run_until([&] { return checker->compared() > 1000000; }));
  auto second = start();
  // The first has an open connection yet; the second answers what is asked of the program.
  bool second_answers = false;
  ASSERT_TRUE(cluster_.run_until([&] {
    if (cluster_.healthy() &&
        metrics().find("fairlead_stream_connections{protocol=\"tcp\"} 0\n") != std::string::npos)
      second_answers = true;
    return second_answers;
  }));
  const size_t before = checker->compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 1000000; }));
  EXPECT_TRUE(checker->good());
  EXPECT_TRUE(first->running());
  checker.reset();
  EXPECT_TRUE(ends(*first)) << "with its last connection";
  // And once more, without a connection that stays.
  auto third = start();
  EXPECT_TRUE(ends(*second));
  const int so_far = four.connections();
  EXPECT_TRUE(cluster_.run_until([&] { return four.connections() > so_far + 100; }));
  for (Traffic* traffic : {&four, &six, &node}) expect_undisturbed(*traffic);
  expect_undisturbed(flow);
  EXPECT_TRUE(third->running());
  EXPECT_THAT(metrics(), HasSubstr("\nfairlead_stream_unserved_sockets 0\n"));
}

// As many as a limit of descriptors that systemd gives would not have taken.
TEST_F(StreamHandover, OfManySocketsBehindALowLimit) {
  for (int i = 1; i <= 200; ++i) {
    const std::string name = "s" + std::to_string(i), address = "10.96.1." + std::to_string(i);
    cluster_.put_service(name, R"("clusterIP":")" + address + R"(","clusterIPs":[")" + address +
                                   R"("],"ipFamilies":["IPv4"],"ports":[{"name":"t","port":80}])");
    cluster_.put_slice(name, {kOn1});
  }
  limit_ = 256;
  auto first = start();
  ASSERT_TRUE(waits_for_a_successor());
  Traffic traffic(cluster_, "client", "10.96.1.200:80");
  auto second = start();
  EXPECT_TRUE(ends(*first));
  const int so_far = traffic.connections();
  EXPECT_TRUE(cluster_.run_until([&] { return traffic.connections() > so_far + 100; }));
  expect_undisturbed(traffic);
  EXPECT_TRUE(second->running());
}

// The one that is succeeded has been asked to end by nobody yet: once is no haste.
TEST_F(StreamHandover, ASignalAfterwardsEndsNoConnection) {
  put_echo();
  auto first = start();
  ASSERT_TRUE(waits_for_a_successor());
  Echo echo(cluster_.at("web-1"));
  auto checker = std::make_unique<Checker>(cluster_.at("client"), "10.96.0.7:7", 1);
  ASSERT_TRUE(cluster_.run_until([&] { return checker->compared() > 1000000; }));
  auto second = start();
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.healthy(); }));
  cluster_.run_for(std::chrono::milliseconds(300));
  kill(first->pid(), SIGTERM);
  const size_t before = checker->compared();
  EXPECT_TRUE(cluster_.run_until([&] { return checker->compared() > before + 1000000; }));
  EXPECT_TRUE(checker->good());
  // The second dies while the first still has its connection: a third takes its place.
  kill(second->pid(), SIGKILL);
  ASSERT_TRUE(ends(*second));
  auto third = start();
  EXPECT_TRUE(ends_at("client", "10.96.0.7:7", "dropped")) << "accepted, and nothing said";
  EXPECT_TRUE(third->running());
  kill(first->pid(), SIGTERM);
  EXPECT_TRUE(ends(*first)) << "twice is";
}

// Whichever of the two dies at whatever moment.
TEST_F(StreamHandover, SurvivesTheDeathOfEither) {
  put("web", 1, {kOn1});
  auto running = start();
  ASSERT_TRUE(waits_for_a_successor());
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    auto next = start();
    cluster_.run_for(std::chrono::milliseconds(20 * round));
    BackgroundProcess& dies = round % 2 == 0 ? *next : *running;
    kill(dies.pid(), SIGKILL);
    ASSERT_TRUE(ends(dies));
    // The other may have gone before, as it should.
    const auto none_runs = [&] { return !next->running() && !running->running(); };
    ASSERT_TRUE(cluster_.run_until(
        [&] { return none_runs() || cluster_.tcp("client", "10.96.0.1:80").reached == "web-1"; }));
    if (none_runs()) next = start();
    ASSERT_TRUE(ends_at("client", "10.96.0.1:80", "web-1"));
    if (next->running() && !running->running()) running = std::move(next);
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.healthy(); }));
    for (int i = 0; i < 5; ++i)
      EXPECT_EQ(cluster_.tcp("client", "10.96.0.1:80").to_string().substr(0, 5), "web-1");
  }
}

TEST_F(StreamHandover, WithoutThePathTheSecondSaysSo) {
  put("web", 1, {kOn1});
  auto first = start();
  ASSERT_TRUE(waits_for_a_successor());
  std::vector<std::string> arguments = cluster_.flags();
  arguments.push_back("--proxy-mode=userspace");
  const CommandResult second = cluster_.run(arguments);
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.errors, HasSubstr("another fairlead-proxy runs"));
  EXPECT_TRUE(first->running());
}

}  // namespace
}  // namespace fairlead::proxy
