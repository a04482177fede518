// SPDX-License-Identifier: Apache-2.0
// fairlead-dns as a program, in a network namespace of its own: an API server beside it, dig
// asking.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "dns/server/socket.h"
#include "tests/support/cluster_api.h"
#include "tests/support/namespace.h"
#include "tests/support/paths.h"

namespace fairlead::dns {
namespace {

using namespace std::chrono_literals;
using test::ClusterApi;

constexpr auto kPatience = 30s;
const char* const kServices = "/api/v1/services";
const char* const kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
const char* const kNamespaces = "/api/v1/namespaces";
const char* const kPorts = R"([{"name":"http","protocol":"TCP","port":80}])";

std::string read_all(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The API server on a thread of its own, inside the namespace.
class ApiThread {
 public:
  explicit ApiThread(const test::NetNamespace& space) {
    std::atomic<bool> ready{false};
    thread_ = std::thread([&] {
      const auto inside = space.enter();
      Loop loop;
      ClusterApi api(loop);
      address = *api.listen({IpAddress::v4(127, 0, 0, 1), 0});
      loop_ = &loop;
      api_ = &api;
      ready.store(true);
      loop.run();
    });
    while (!ready.load()) std::this_thread::sleep_for(1ms);
  }
  ~ApiThread() {
    loop_->stop();
    thread_.join();
  }
  // Runs on the API's thread, and waits for it.
  void run(const std::function<void(ClusterApi&)>& task) {
    std::atomic<bool> done{false};
    loop_->post([&] {
      task(*api_);
      done.store(true);
    });
    while (!done.load()) std::this_thread::sleep_for(1ms);
  }
  SocketAddress address;

 private:
  Loop* loop_ = nullptr;
  ClusterApi* api_ = nullptr;
  std::thread thread_;
};

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() : inside(space.enter()), api(space) {
    char pattern[] = "/tmp/fairlead-dns-test-XXXXXX";
    directory = mkdtemp(pattern);
    std::ofstream(directory + "/kubeconfig") << ClusterApi::kubeconfig(api.address);
    std::ofstream(directory + "/resolv.conf") << "nameserver 127.0.0.1\n";
    api.run([](ClusterApi& a) {
      a.put(kNamespaces, "default", test::namespace_json("default"));
      a.put(kServices, "web", test::service_json("default", "web", "10.96.0.10", kPorts));
      a.put(kServices, "db", test::service_json("default", "db", "None", kPorts));
      a.put(kSlices, "db-1",
            test::slice_json("default", "db-1", "db", {"10.244.0.1", "10.244.0.2"}, kPorts));
    });
  }
  ~ProgramTest() override {
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    std::filesystem::remove_all(directory);
  }

  void start(std::vector<std::string> arguments = {"--listen", "127.0.0.1:53"}) {
    arguments.insert(arguments.begin(), {"--resolv-conf", directory + "/resolv.conf"});
    run(std::move(arguments));
  }
  void start_with_corefile(const std::string& text) {
    write_corefile(text);
    run({"-conf", directory + "/Corefile"});
  }
  void write_corefile(const std::string& text) const {
    std::ofstream(directory + "/new") << text;
    std::filesystem::rename(directory + "/new", directory + "/Corefile");
  }
  void run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {fairlead::test::program_path("fairlead-dns"),
                                         "--kubeconfig", directory + "/kubeconfig"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid = fork();
    if (pid == 0) {
      const std::string log = directory + "/log";
      if (freopen(log.c_str(), "a", stderr) == nullptr) _exit(126);
      if (!inherit.empty()) hand_over_sockets();
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  // As systemd does, to a program that may not bind the port itself. In the child.
  void hand_over_sockets() const {
    for (size_t i = 0; i < inherit.size(); ++i)  // above what they become first
      fcntl(inherit[i], F_DUPFD, 100 + static_cast<int>(i));
    for (size_t i = 0; i < inherit.size(); ++i)
      dup2(100 + static_cast<int>(i), 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(inherit.size()).c_str(), 1);
    prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE);
  }
  int wait_for_exit() {
    int status = 0;
    waitpid(std::exchange(pid, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string log() const { return read_all(directory + "/log"); }

  static std::string shell(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    std::string out;
    char buffer[4096];
    while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    pclose(pipe);
    return out;
  }
  static std::string dig(const std::string& what) {
    return shell("dig @127.0.0.1 +time=1 +tries=1 " + what + " | LC_ALL=C sort");
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  static std::string http(const std::string& url) {
    return shell("curl -s -m 5 -w ' %{http_code}' http://" + url);
  }
  bool ready() {
    return eventually([] { return http("127.0.0.1:8181/ready") == "OK 200"; });
  }

  test::NetNamespace space;
  test::NetNamespace::Enter inside;
  ApiThread api;
  std::string directory;
  pid_t pid = -1;
  std::vector<int> inherit;  // sockets for the next start
};

std::string corefile(const std::string& more, const std::string& cluster = "cluster.local") {
  return ".:53 {\n    bind 127.0.0.1\n    health\n    ready\n    prometheus\n    kubernetes " +
         cluster + " {\n        ttl 7\n    }\n    reload 2s 1s\n" + more + "}\n";
}

// Under load: what is changed in the file is served, a bad file changes nothing, and no query is
// lost over either.
TEST_F(ProgramTest, FollowsItsCorefile) {
  start_with_corefile(corefile(""));
  ASSERT_TRUE(ready()) << log();
  EXPECT_NE(dig("+noall +answer +ttlid web.default.svc.cluster.local | tr -s '\\t ' ' '")
                .find("web.default.svc.cluster.local. 7 IN A 10.96.0.10"),
            std::string::npos);
  EXPECT_NE(dig("web.default.svc.other.test").find("status: REFUSED"), std::string::npos);
  std::atomic<bool> done{false};
  std::atomic<int> lost{0};
  std::thread load([&] {
    const auto in_space = space.enter();
    while (!done.load())
      if (dig("+time=5 +short web.default.svc.cluster.local") != "10.96.0.10\n") ++lost;
  });
  write_corefile(corefile("    nonsense\n"));
  EXPECT_TRUE(eventually([&] {
    return log().find("Corefile:10: there is no plugin 'nonsense'") != std::string::npos;
  })) << log();
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200");
  write_corefile(corefile("", "cluster.local other.test") +
                 "x.test:53 {\n    bind 127.0.0.1 127.0.0.2\n    kubernetes x.test\n}\n");
  EXPECT_TRUE(eventually([] { return dig("+short web.default.svc.other.test") == "10.96.0.10\n"; }))
      << log();
  EXPECT_EQ(shell("dig @127.0.0.2 +short web.default.svc.x.test"), "10.96.0.10\n");
  write_corefile(corefile(""));
  kill(pid, SIGUSR1);
  EXPECT_TRUE(eventually([] {
    return dig("web.default.svc.other.test").find("status: REFUSED") != std::string::npos;
  })) << log();
  EXPECT_NE(shell("dig @127.0.0.2 +time=1 +tries=1 web.default.svc.x.test").find("refused"),
            std::string::npos);
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  done.store(true);
  load.join();
  EXPECT_EQ(lost.load(), 0) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

TEST_F(ProgramTest, ReadsWhatItIsToldOfTheCluster) {
  api.run([](ClusterApi& a) {
    a.put(kNamespaces, "other", test::namespace_json("other"));
    a.put(kServices, "shop", test::service_json("other", "shop", "10.96.0.77", kPorts));
  });
  start_with_corefile(
      ".:53 {\nbind 127.0.0.1\nready\nkubernetes some.test {\nnamespaces other\n}\n}\n"
      "none.test:53 {\nbind 127.0.0.1\nkubernetes none.test {\nnoendpoints\nendpoint http://" +
      api.address.to_string() + "\n}\n}\n");
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short shop.other.svc.some.test"), "10.96.0.77\n");
  EXPECT_NE(dig("web.default.svc.some.test").find("status: NXDOMAIN"), std::string::npos);
  EXPECT_NE(dig("default.svc.some.test").find("status: NXDOMAIN"), std::string::npos);
  EXPECT_EQ(dig("+short web.default.svc.none.test"), "10.96.0.10\n");
  EXPECT_NE(dig("db.default.svc.none.test").find("status: NXDOMAIN"), std::string::npos);
}

TEST_F(ProgramTest, ChecksACorefile) {
  const std::string check = "{ " + fairlead::test::program_path("fairlead-dns") + " check " +
                            directory + "/Corefile; echo $?; }";
  write_corefile(corefile(""));
  EXPECT_EQ(shell(check), directory + "/Corefile: right\n0\n");
  write_corefile(corefile("    forwrad . 1.1.1.1\n"));
  EXPECT_EQ(shell(check), directory +
                              "/Corefile:10: there is no plugin 'forwrad', here or in CoreDNS, did "
                              "you mean 'forward'?\n1\n");
}

TEST_F(ProgramTest, AnswersDigAndFollowsTheCluster) {
  start();
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_EQ(dig("+short +tcp web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_EQ(dig("+short db.default.svc.cluster.local"), "10.244.0.1\n10.244.0.2\n");
  EXPECT_EQ(dig("+short SRV _http._tcp.web.default.svc.cluster.local"),
            "0 100 80 web.default.svc.cluster.local.\n");
  EXPECT_EQ(dig("+short -x 10.96.0.10"), "web.default.svc.cluster.local.\n");
  EXPECT_EQ(dig("+short -x 10.244.0.2"), "10-244-0-2.db.default.svc.cluster.local.\n");
  const std::string nothing = shell("dig @127.0.0.1 +time=1 +tries=1 x.default.svc.cluster.local");
  EXPECT_NE(nothing.find("status: NXDOMAIN"), std::string::npos) << nothing;
  EXPECT_NE(nothing.find("ns.dns.cluster.local. hostmaster.cluster.local."), std::string::npos)
      << nothing;
  EXPECT_NE(nothing.find("flags: qr aa rd;"), std::string::npos) << nothing;

  api.run([](ClusterApi& a) {
    a.put(kSlices, "db-1",
          test::slice_json("default", "db-1", "db", {"10.244.0.2", "10.244.0.3"}, kPorts));
    a.remove(kServices, "web");
  });
  EXPECT_TRUE(eventually(
      [] { return dig("+short db.default.svc.cluster.local") == "10.244.0.2\n10.244.0.3\n"; }));
  EXPECT_TRUE(eventually([] { return dig("+short web.default.svc.cluster.local").empty(); }));
  const std::string metrics = http("127.0.0.1:9153/metrics");
  EXPECT_NE(metrics.find("coredns_dns_requests_total{server=\"dns://127.0.0.1:53\""),
            std::string::npos)
      << metrics;
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200");
}

TEST_F(ProgramTest, ListensOnTheClusterAddressBeforeItExists) {
  start({"--listen", "10.96.0.53:53"});
  ASSERT_TRUE(ready()) << log();
  space.must("ip route add local 10.96.0.53/32 dev lo");
  EXPECT_EQ(shell("dig @10.96.0.53 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
}

TEST_F(ProgramTest, DefaultsAnswerOnEveryAddressOfBothFamilies) {
  start({});
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(shell("dig @127.1.2.3 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
  EXPECT_EQ(shell("dig @::1 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
}

// No API server: after five seconds what is not known is SERVFAIL, and /ready says no.
TEST_F(ProgramTest, StartsWithoutTheApiServerAndCatchesUp) {
  api.run([](ClusterApi& a) { a.set_down(true); });
  start();
  ASSERT_TRUE(eventually([] {
    return shell("dig @127.0.0.1 +time=1 +tries=1 web.default.svc.cluster.local")
               .find("status: SERVFAIL") != std::string::npos;
  })) << log();
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "kubernetes 503");
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200") << "a restart would not help";
  api.run([](ClusterApi& a) { a.set_down(false); });
  EXPECT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
}

// The answers stay while the API server is away.
TEST_F(ProgramTest, KeepsAnsweringWhileTheApiServerIsAway) {
  start();
  ASSERT_TRUE(ready()) << log();
  api.run([](ClusterApi& a) { a.set_down(true); });
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_NE(
      shell("dig @127.0.0.1 +time=1 +tries=1 x.default.svc.cluster.local").find("status: NXDOMAIN"),
      std::string::npos);
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  api.run([](ClusterApi& a) {
    a.set_down(false);
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
  });
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n";
  })) << log();
}

// The API server is away when a server starts again: what the last one knew is answered, and what
// it did not know is not denied.
TEST_F(ProgramTest, AnswersFromItsSnapshotWhileTheApiServerIsAway) {
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
TEST_F(ProgramTest, IgnoresASnapshotThatIsNotItsOwn) {
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
TEST_F(ProgramTest, AnswersOnInheritedSocketsAndLosesNothingWhenItStartsAgain) {
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

// A second server stands in for the upstream; resolv.conf is followed.
TEST_F(ProgramTest, ForwardsToTheServersOfResolvConfAndFollowsIt) {
  start({"--listen", "127.0.0.1:53"});
  ASSERT_TRUE(ready()) << log();
  EXPECT_NE(log().find("nameserver 127.0.0.1 is this server itself: left out"), std::string::npos)
      << log();
  EXPECT_NE(shell("dig @127.0.0.1 +time=2 +tries=1 example.org").find("status: SERVFAIL"),
            std::string::npos);
  const pid_t first = std::exchange(pid, -1);
  start({"--listen", "127.0.0.2:53", "--cluster-domain", "example.org", "--health-listen", "off",
         "--ready-listen", "127.0.0.1:8282", "--metrics-listen", "off"});
  const pid_t second = std::exchange(pid, first);
  EXPECT_TRUE(eventually([] { return http("127.0.0.1:8282/ready") == "OK 200"; })) << log();
  std::ofstream(directory + "/resolv.conf.new") << "nameserver 127.0.0.2\n";
  std::filesystem::rename(directory + "/resolv.conf.new", directory + "/resolv.conf");
  EXPECT_TRUE(eventually([] {
    return dig("+short web.default.svc.example.org") == "10.96.0.10\n";
  })) << log();
  EXPECT_EQ(dig("+short +tcp web.default.svc.example.org"), "10.96.0.10\n");
  kill(second, SIGKILL);
  waitpid(second, nullptr, 0);
}

TEST_F(ProgramTest, StopsCleanlyOnSigterm) {
  start();
  ASSERT_TRUE(ready()) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

// Queries wait in the sockets from the start; nobody is told to send any before there are answers.
TEST_F(ProgramTest, IsReadyOnlyWhenItKnowsEverything) {
  api.run([](ClusterApi& a) { a.set_down(true); });
  start();
  ASSERT_TRUE(eventually([] { return http("127.0.0.1:8080/health") == "OK 200"; })) << log();
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "kubernetes 503");
  FILE* waiting =
      popen("dig @127.0.0.1 +time=20 +tries=1 +short web.default.svc.cluster.local", "r");
  ASSERT_NE(waiting, nullptr);
  api.run([](ClusterApi& a) { a.set_down(false); });
  char line[64] = {};
  EXPECT_NE(fgets(line, sizeof line, waiting), nullptr);
  EXPECT_STREQ(line, "10.96.0.10\n");
  pclose(waiting);
  EXPECT_TRUE(ready()) << log();
}

// One sentence with the address and what to do, and exit code 1.
TEST_F(ProgramTest, SaysWhichPortItCannotHave) {
  const std::string program = fairlead::test::program_path("fairlead-dns");
  const std::string arguments = " --kubeconfig " + directory + "/kubeconfig --resolv-conf " +
                                directory +
                                "/resolv.conf --health-listen off --ready-listen off "
                                "--metrics-listen off --listen 127.0.0.4:53; echo rc=$?; }";
  const std::string without_right =
      shell("{ setpriv --bounding-set -net_bind_service " + program + arguments);
  EXPECT_NE(without_right.find("listen on 127.0.0.4:53 (UDP): Permission denied; ports below 1024 "
                               "need root or CAP_NET_BIND_SERVICE\nrc=1\n"),
            std::string::npos)
      << without_right;
  const auto taken = open_tcp({IpAddress::v4(127, 0, 0, 4), 53});
  ASSERT_TRUE(taken.ok()) << taken.error().message();
  const std::string busy = shell("{ " + program + arguments);
  EXPECT_NE(busy.find("listen on 127.0.0.4:53 (TCP): Address already in use; another DNS server "
                      "has it: stop that, or give another --listen\nrc=1\n"),
            std::string::npos)
      << busy;
}

TEST_F(ProgramTest, SaysWhyItCannotStart) {
  start();
  ASSERT_TRUE(ready()) << log();
  const pid_t first = std::exchange(pid, -1);
  start();
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("listen on 127.0.0.1:53 (UDP): Address already in use"), std::string::npos)
      << log();
  start({"--listen", "127.0.0.3:53"});
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("ready: listen 127.0.0.1:8181: "), std::string::npos) << log();
  start({"--listen", "127.0.0.3:53", "--forward", "127.0.0.3", "--health-listen", "off",
         "--ready-listen", "off", "--metrics-listen", "off"});
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("forward: nameserver 127.0.0.3 is this server itself"), std::string::npos)
      << log();
  pid = first;
  const std::string missing =
      shell("{ " + fairlead::test::program_path("fairlead-dns") +
            " --kubeconfig /nowhere --listen 127.0.0.4:53 "
            "--health-listen off --ready-listen off --metrics-listen off; echo rc=$?; }");
  EXPECT_NE(missing.find("/nowhere"), std::string::npos) << missing;
  EXPECT_NE(missing.find("rc=1"), std::string::npos) << missing;
}

}  // namespace
}  // namespace fairlead::dns
