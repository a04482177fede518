// SPDX-License-Identifier: Apache-2.0
// fairlead-dns started again: from what it knew, on sockets that were there before it, in place of
// another.
#include "tests/kernel/dns/program_support.h"

namespace fairlead::dns {
namespace {

class RestartTest : public ProgramTest {};

// The API server is away when a server starts again: what the last one knew is answered, and what
// it did not know is not denied.
TEST_F(RestartTest, AnswersFromItsSnapshotWhileTheApiServerIsAway) {
  const std::string snapshot = directory + "/snapshot";
  const std::vector<std::string> arguments = {"--listen", "127.0.0.1:53", "--snapshot", snapshot};
  start(arguments);
  ASSERT_TRUE(ready()) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
  ASSERT_TRUE(std::filesystem::exists(snapshot)) << log();

  api.run([](ClusterApi& a) { a.set_down(true); });
  const auto begun = std::chrono::steady_clock::now();
  start(arguments);
  const auto stale = [] {
    return shell("dig @127.0.0.1 +time=1 +tries=1 web.default.svc.cluster.local");
  };
  std::string answer;
  ASSERT_TRUE(eventually([&] {
    return (answer = stale()).find("10.96.0.10") != std::string::npos;
  })) << log();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s)
      << "not after the five of a start without";
  EXPECT_NE(answer.find("EDE: 3"), std::string::npos) << answer;
  EXPECT_EQ(dig("+short db.default.svc.cluster.local"), "10.244.0.1\n10.244.0.2\n");
  const std::string unknown = shell("dig @127.0.0.1 +time=1 +tries=1 x.default.svc.cluster.local");
  EXPECT_NE(unknown.find("status: SERVFAIL"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("EDE: 14"), std::string::npos) << unknown;
  const std::string readiness = http("127.0.0.1:8181/ready");
  EXPECT_TRUE(readiness.starts_with("kubernetes: answers from a snapshot of 20") &&
              readiness.ends_with("Z 200"))
      << readiness;
  const std::string metrics = http("127.0.0.1:9153/metrics");
  EXPECT_NE(metrics.find("fairlead_dns_stale 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("fairlead_dns_snapshot_age_seconds "), std::string::npos) << metrics;

  api.run([](ClusterApi& a) {
    a.remove(kServices, "db");
    a.set_down(false);
  });
  EXPECT_TRUE(ready()) << log();
  EXPECT_EQ(stale().find("EDE:"), std::string::npos) << stale();
  EXPECT_NE(shell("dig @127.0.0.1 +time=1 +tries=1 db.default.svc.cluster.local")
                .find("status: NXDOMAIN"),
            std::string::npos);
  EXPECT_NE(http("127.0.0.1:9153/metrics").find("fairlead_dns_stale 0\n"), std::string::npos);
  // A change is on disk some seconds later, without a SIGTERM.
  api.run([](ClusterApi& a) {
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
  });
  EXPECT_TRUE(eventually([&] { return read_all(snapshot).find("late") != std::string::npos; }))
      << log();
}

// Not one of another choice of objects, and not a broken one.
TEST_F(RestartTest, IgnoresASnapshotThatIsNotItsOwn) {
  const std::string snapshot = directory + "/snapshot";
  const auto with = [&](const char* more) {
    return ".:53 {\nbind 127.0.0.1\nready\nkubernetes cluster.local {\nsnapshot " + snapshot +
           "\nstartup_timeout 100ms\n" + more + "\n}\n}\n";
  };
  start_with_corefile(with("namespaces default"));
  ASSERT_TRUE(ready()) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
  api.run([](ClusterApi& a) { a.set_down(true); });
  const auto refuses = [&] {
    return eventually([] {
      return dig("web.default.svc.cluster.local").find("status: SERVFAIL") != std::string::npos;
    });
  };
  start_with_corefile(with(""));
  EXPECT_TRUE(refuses()) << log();
  EXPECT_NE(log().find("it is of another cluster"), std::string::npos) << log();
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "kubernetes 503");
  kill(pid, SIGKILL);
  EXPECT_EQ(wait_for_exit(), 128 + SIGKILL);
  std::filesystem::resize_file(snapshot, std::filesystem::file_size(snapshot) - 1);
  start_with_corefile(with("namespaces default"));
  EXPECT_TRUE(refuses()) << log();
  EXPECT_NE(log().find("it is damaged"), std::string::npos) << log();
}

// A server without the right to bind the port; what comes while there is none waits for the next.
TEST_F(RestartTest, AnswersOnInheritedSocketsAndLosesNothingWhenItStartsAgain) {
  const SocketAddress address{IpAddress::v4(127, 0, 0, 5), 53};
  const auto udp = open_udp(address);
  const auto tcp = open_tcp(address);
  ASSERT_TRUE(udp.ok() && tcp.ok());
  inherit = {udp->get(), tcp->get()};
  const std::vector<std::string> arguments = {"--listen", "127.0.0.5:53", "--workers", "3"};
  start(arguments);
  ASSERT_TRUE(ready()) << log();
  EXPECT_NE(log().find("127.0.0.5:53: the socket is inherited"), std::string::npos) << log();
  const std::string ask = "dig @127.0.0.5 +time=20 +tries=1 +short web.default.svc.cluster.local ";
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(shell(ask), "10.96.0.10\n");
    EXPECT_EQ(shell(ask + "+tcp"), "10.96.0.10\n");
  }
  for (const int signal_number : {SIGTERM, SIGKILL}) {
    kill(pid, signal_number);
    EXPECT_EQ(wait_for_exit(), signal_number == SIGTERM ? 0 : 128 + SIGKILL) << log();
    std::vector<FILE*> waiting;
    for (const char* how : {"", "+tcp", ""}) waiting.push_back(popen((ask + how).c_str(), "r"));
    std::this_thread::sleep_for(200ms);
    start(arguments);
    for (FILE* each : waiting) {
      char line[64] = {};
      EXPECT_NE(fgets(line, sizeof line, each), nullptr) << log();
      EXPECT_STREQ(line, "10.96.0.10\n");
      pclose(each);
    }
  }
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
  inherit = {udp->get()};
  start(arguments);
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("127.0.0.5:53 needs as many TCP as UDP sockets"), std::string::npos)
      << log();
}

// One server takes the place of another under load, and no query is lost; whoever is killed while
// it happens leaves the other.
TEST_F(RestartTest, HandsItsSocketsOverToTheNext) {
  const std::string path = directory + "/handover";
  const std::vector<std::string> arguments = {"--listen", "127.0.0.1:53", "--handover",
                                              path,       "--workers",    "2"};
  start(arguments);
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(shell("stat -c %a " + path), "600\n");
  std::atomic<bool> done{false};
  std::atomic<int> lost{0};
  std::atomic<int> asked{0};
  std::vector<std::thread> load;
  for (const char* how : {"+notcp ", "+tcp ", "+notcp "})
    load.emplace_back([&, how] {
      const auto in_space = space.enter();
      for (; !done.load(); ++asked)
        if (dig("+time=5 +short web.default.svc.cluster.local " + std::string(how)) !=
            "10.96.0.10\n")
          ++lost;
    });
  for (int i = 0; i < 3; ++i) {
    const pid_t before = std::exchange(pid, -1);
    start(arguments);
    const pid_t after = std::exchange(pid, before);
    EXPECT_EQ(wait_for_exit(), 0) << log();
    pid = after;
    EXPECT_TRUE(ready()) << log();
  }
  // A successor that waits for the API server is killed.
  api.run([](ClusterApi& a) { a.set_down(true); });
  const auto begin = [&] {
    const size_t from = log().size();
    const pid_t before = std::exchange(pid, -1);
    start(arguments);
    EXPECT_TRUE(eventually([&] {
      return log().find("another server takes over", from) != std::string::npos;
    })) << log();
    return std::exchange(pid, before);
  };
  const pid_t killed = begin();
  kill(killed, SIGKILL);
  waitpid(killed, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return log().find("this one goes on") != std::string::npos; }))
      << log();
  EXPECT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_TRUE(eventually([&] { return asked.load() > 20; })) << "else this has shown little";
  done.store(true);
  for (std::thread& each : load) each.join();
  EXPECT_EQ(lost.load(), 0) << log();
  // The one that is there is killed before its successor answers (with it what it had read).
  const pid_t next = begin();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  pid = next;
  api.run([](ClusterApi& a) { a.set_down(false); });
  EXPECT_TRUE(ready()) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

}  // namespace
}  // namespace fairlead::dns
