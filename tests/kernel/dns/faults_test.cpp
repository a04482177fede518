// SPDX-License-Identifier: Apache-2.0
// fairlead-dns as a program while something goes wrong beside it: what can be answered is answered.
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstring>
#include <random>

#include "base/fd.h"
#include "tests/kernel/dns/program_support.h"
#include "tests/support/seed.h"

namespace fairlead::dns {
namespace {

using Bytes = std::string;

constexpr int kWaitMillis = 10'000;
const char* const kWeb = "web.default.svc.cluster.local";

Bytes question(uint16_t id, const std::string& name) {
  Bytes bytes = {static_cast<char>(id >> 8), static_cast<char>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  std::istringstream labels(name);
  for (std::string label; std::getline(labels, label, '.');)
    bytes += static_cast<char>(label.size()) + label;
  return bytes + Bytes("\0\0\1\0\1", 5);
}

// NOERROR and one record at least.
bool answers(const Bytes& reply) {
  return reply.size() > 12 && (reply[3] & 15) == 0 && reply[7] > 0;
}

// A socket from `from` to port 53 of 127.0.0.1.
Fd connect_from(const std::string& from, int type) {
  const auto to_native = [](const std::string& text, uint16_t port) {
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_port = htons(port);
    std::memcpy(&native.sin_addr, IpAddress::parse(text)->bytes().data(), 4);
    return native;
  };
  Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const sockaddr_in client = to_native(from, 0), server = to_native("127.0.0.1", 53);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&client), sizeof client), 0);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
  return fd;
}

Bytes receive(const Fd& fd) {
  pollfd p{fd.get(), POLLIN, 0};
  if (poll(&p, 1, kWaitMillis) != 1) return {};
  Bytes reply(2048, '\0');
  const ssize_t size = recv(fd.get(), reply.data(), reply.size(), 0);
  reply.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return reply;
}

// Clients that ask one question after another, each of a socket of its own now and then, so that
// every worker is asked. What has no answer is lost.
class Load {
 public:
  Load(const test::NetNamespace& space, std::string name, int clients = 3)
      : name_(std::move(name)) {
    for (int i = 0; i < clients; ++i)
      threads_.emplace_back([this, &space] {
        const auto inside = space.enter();
        for (uint16_t id = 0; !done_.load(); id += kQuestionsOfASocket) ask_some(id);
      });
  }
  ~Load() { stop(); }
  // Returns how many had no answer.
  size_t stop() {
    done_.store(true);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return asked_ - answered_;
  }
  size_t answered() const { return answered_.load(); }
  // Waits until so many more have been answered.
  void wait_for(size_t more) const {
    const size_t enough = answered() + more;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (answered() < enough && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(1ms);
    EXPECT_GE(answered(), enough);
  }

 private:
  static constexpr uint16_t kQuestionsOfASocket = 16;

  void ask_some(uint16_t id) {
    const Fd fd = connect_from("127.0.0.1", SOCK_DGRAM);
    for (uint16_t end = id + kQuestionsOfASocket; id != end && !done_.load(); ++id) {
      const Bytes query = question(id, name_);
      ++asked_;
      send(fd.get(), query.data(), query.size(), 0);
      const Bytes reply = receive(fd);
      if (answers(reply) && reply.substr(0, 2) == query.substr(0, 2)) ++answered_;
    }
  }

  const std::string name_;
  std::atomic<bool> done_{false};
  std::atomic<size_t> asked_{0}, answered_{0};
  std::vector<std::thread> threads_;
};

class FaultsTest : public ProgramTest {
 protected:
  ~FaultsTest() override { stop_upstream(); }
  void stop_upstream() {
    if (upstream <= 0) return;
    kill(upstream, SIGKILL);
    waitpid(std::exchange(upstream, -1), nullptr, 0);
  }
  size_t log_count(const std::string& what) const {
    const std::string text = log();
    size_t count = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
      ++count;
    return count;
  }
  static bool is_nxdomain(const std::string& name) {
    return dig(name).find("status: NXDOMAIN") != std::string::npos;
  }

  pid_t upstream = -1;  // a second server, for the first to forward to
};

// Looked at with SIGUSR1 alone: what is seen twice is counted twice.
std::string quiet_corefile(const std::string& cluster, const std::string& more) {
  return ".:53 {\n    bind 127.0.0.1\n    ready\n    kubernetes " + cluster +
         "\n    reload 1h\n    prometheus :9253\n" + more + "}\n";
}

TEST_F(FaultsTest, ReloadWithAGoodAndABadCorefileUnderLoadLosesNothing) {
  start_with_corefile(quiet_corefile("cluster.local", ""));
  ASSERT_TRUE(ready()) << log();
  Load load(space, kWeb);
  for (int round = 0; round < 4; ++round) {
    const std::string zone = "round" + std::to_string(round) + ".test";
    write_corefile(quiet_corefile("cluster.local " + zone, ""));
    kill(pid, SIGUSR1);
    EXPECT_TRUE(eventually([&] { return dig("+short web.default.svc." + zone) == "10.96.0.10\n"; }))
        << log();
    const std::string bad = "nonsense" + std::to_string(round);
    write_corefile(quiet_corefile("cluster.local", "    " + bad + "\n"));
    kill(pid, SIGUSR1);
    EXPECT_TRUE(eventually([&] { return log_count("'" + bad + "'") > 0; })) << log();
    EXPECT_EQ(dig("+short web.default.svc." + zone), "10.96.0.10\n") << "the last good one stays";
    load.wait_for(100);
  }
  EXPECT_EQ(load.stop(), 0u) << log();
  const std::string metrics = http("127.0.0.1:9253/metrics");
  EXPECT_NE(metrics.find("coredns_reload_failed_total 4\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("coredns_reload_version_info{hash=\"sha512\",value=\""), std::string::npos)
      << metrics;
}

TEST_F(FaultsTest, SignalsAreCoreDnss) {
  start({"--listen", "127.0.0.1:53", "--lameduck-seconds", "3600"});
  ASSERT_TRUE(ready()) << log();
  const Load others(space, kWeb, 1);  // after SIGTERM it would answer them for an hour
  for (const int ignored : {SIGHUP, SIGUSR2}) {
    kill(pid, ignored);
    EXPECT_EQ(dig(std::string("+short ") + kWeb), "10.96.0.10\n") << ignored << log();
  }
  kill(pid, SIGQUIT);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

// Clients that go on asking after SIGTERM, until they have heard of another server.
TEST_F(FaultsTest, SigtermWithLameduckLosesNothing) {
  start({"--listen", "127.0.0.1:53", "--lameduck-seconds", "60"});
  ASSERT_TRUE(ready()) << log();
  Load load(space, kWeb);
  load.wait_for(500);
  kill(pid, SIGTERM);
  load.wait_for(2000);
  EXPECT_EQ(load.stop(), 0u) << log();
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

// The `lameduck` of a Corefile: so long the server answers, and no longer, though queries come.
TEST_F(FaultsTest, LameduckIsAsLongAsTheCorefileSays) {
  constexpr auto kLameduck = 2s;
  start_with_corefile(
      quiet_corefile("cluster.local", "    health {\n        lameduck 2s\n    }\n"));
  ASSERT_TRUE(ready()) << log();
  const Fd client = connect_from("127.0.0.1", SOCK_DGRAM);
  const auto begun = std::chrono::steady_clock::now();
  kill(pid, SIGTERM);
  const Load others(space, kWeb, 1);  // they go on asking for ever
  for (uint16_t id = 0; std::chrono::steady_clock::now() - begun < kLameduck - 200ms; ++id) {
    const Bytes query = question(id, kWeb);
    send(client.get(), query.data(), query.size(), 0);
    ASSERT_TRUE(answers(receive(client))) << id << log();
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(wait_for_exit(), 0) << log();
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(took, kLameduck);
  EXPECT_LT(took, kLameduck + 2s) << "at most so long";
}

// Who has not heard of another server yet may ask after a while without any question.
TEST_F(FaultsTest, LameduckIsAsLongWithoutQueriesToo) {
  start_with_corefile(
      quiet_corefile("cluster.local", "    health {\n        lameduck 2s\n    }\n"));
  ASSERT_TRUE(ready()) << log();
  const auto begun = std::chrono::steady_clock::now();
  kill(pid, SIGTERM);
  std::this_thread::sleep_for(1500ms);
  const Fd client = connect_from("127.0.0.1", SOCK_DGRAM);
  const Bytes query = question(1, kWeb);
  send(client.get(), query.data(), query.size(), 0);
  EXPECT_TRUE(answers(receive(client))) << log();
  EXPECT_EQ(wait_for_exit(), 0) << log();
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 2s);
}

// It takes two events, in whatever order: in between the name is there, asked over the wire.
TEST_F(FaultsTest, AnEndpointThatMovesToAnotherSliceIsNeverMissed) {
  const auto put = [this](const std::string& slice, std::vector<std::string> addresses) {
    api.run([&](ClusterApi& a) {
      a.put(kSlices, slice, test::slice_json("default", slice, "one", addresses, kPorts));
    });
  };
  api.run([](ClusterApi& a) {
    a.put(kServices, "one", test::service_json("default", "one", "None", kPorts));
  });
  put("one-a", {"10.244.9.1"});
  put("one-b", {});
  start();
  ASSERT_TRUE(ready()) << log();
  Load load(space, "one.default.svc.cluster.local");
  const char* from = "one-a";
  const char* to = "one-b";
  for (int round = 0; round < 20; ++round, std::swap(from, to)) {
    const bool first_gone = round % 2 == 0;
    put(first_gone ? from : to,
        first_gone ? std::vector<std::string>() : std::vector<std::string>{"10.244.9.1"});
    load.wait_for(20);
    put(first_gone ? to : from,
        first_gone ? std::vector<std::string>{"10.244.9.1"} : std::vector<std::string>());
    load.wait_for(20);
  }
  EXPECT_EQ(load.stop(), 0u) << log();
}

// An API server that is a process of its own, so that it can be stopped as a whole.
class ApiProcess {
 public:
  static inline const SocketAddress kAddress{IpAddress::v4(127, 0, 0, 1), 6443};
  void signal(int number) const { kill(process_.pid(), number); }

 private:
  const test::BackgroundProcess process_{
      {test::program_path("test_api_server"), kAddress.to_string()}};
};

// For a minute: longer than it waits for an answer, a bookmark or a connection.
TEST_F(FaultsTest, AnswersGoOnWhileTheApiServersProcessIsStopped) {
  const ApiProcess stopped;
  ASSERT_TRUE(eventually([] {
    return http(ApiProcess::kAddress.to_string() + kServices).find("10.96.0.10") !=
           std::string::npos;
  }));
  std::ofstream(directory + "/kubeconfig") << ClusterApi::kubeconfig(ApiProcess::kAddress);
  start();
  ASSERT_TRUE(ready()) << log();
  Load load(space, kWeb, 1);
  stopped.signal(SIGSTOP);
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < end) {
    load.wait_for(1);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(is_nxdomain("x.default.svc.cluster.local")) << "what is known is still said";
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  stopped.signal(SIGCONT);
  stopped.signal(SIGUSR1);
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n";
  })) << log();
  EXPECT_EQ(load.stop(), 0u) << log();
}

// It takes requests and never answers, and watches have ended.
TEST_F(FaultsTest, AnswersGoOnWhileTheApiServerHangs) {
  start();
  ASSERT_TRUE(ready()) << log();
  Load load(space, kWeb);
  api.run([](ClusterApi& a) { a.set_trouble(ClusterApi::Trouble::kSilent); });
  load.wait_for(2000);
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  api.run([](ClusterApi& a) {
    a.set_trouble(ClusterApi::Trouble::kNone);
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
  });
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n";
  })) << log();
  EXPECT_EQ(load.stop(), 0u) << log();
}

// What happened meanwhile is no longer in the API server's history: everything is listed again.
TEST_F(FaultsTest, A410GoneIsMadeUpForAndNothingElseIsLost) {
  api.run([](ClusterApi& a) {
    a.put(kServices, "old", test::service_json("default", "old", "10.96.0.12", kPorts));
  });
  start();
  ASSERT_TRUE(ready()) << log();
  ASSERT_EQ(dig("+short old.default.svc.cluster.local"), "10.96.0.12\n");
  Load load(space, kWeb);
  api.run([](ClusterApi& a) {
    a.set_down(true);
    a.remove(kServices, "old");
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
    a.put(kSlices, "db-1", test::slice_json("default", "db-1", "db", {"10.244.0.9"}, kPorts));
    a.compact();
    a.set_down(false);
  });
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n";
  })) << log();
  EXPECT_TRUE(eventually([] { return is_nxdomain("old.default.svc.cluster.local"); })) << log();
  EXPECT_TRUE(eventually([] {
    return dig("+short db.default.svc.cluster.local") == "10.244.0.9\n";
  })) << log();
  EXPECT_GT(log_count("listing again"), 0u) << log();
  EXPECT_EQ(load.stop(), 0u) << log();
}

// Names nobody has, of the cluster and of an upstream server, beside names that are asked for all
// the time: the storm takes neither the place of the warm names in the cache nor their turn.
TEST_F(FaultsTest, AnNxdomainStormLeavesWarmNamesAnswered) {
  constexpr int kNames = 30'000;  // half of them upstream: more than a cache holds denials
  constexpr int kAtOnce = 64;
  start_with_corefile(
      ".:53 {\n    bind 127.0.0.2\n    ready :8282\n    kubernetes up.test {\n"
      "        ttl 3600\n    }\n}\n");
  ASSERT_TRUE(eventually([] { return http("127.0.0.1:8282/ready") == "OK 200"; })) << log();
  upstream = std::exchange(pid, -1);
  start_with_corefile(quiet_corefile("cluster.local", "    cache\n    forward . 127.0.0.2\n"));
  ASSERT_TRUE(ready()) << log();
  Load cluster(space, kWeb, 1);
  Load cached(space, "web.default.svc.up.test", 1);
  std::mt19937 random(test::random_seed());
  const Fd storm = connect_from("127.0.0.3", SOCK_DGRAM);
  for (int i = 0; i < kNames;) {
    for (int k = 0; k < kAtOnce; ++k, ++i) {
      const std::string name = "x" + std::to_string(random()) + ".default.svc.";
      const Bytes query =
          question(static_cast<uint16_t>(i), name + (i % 2 ? "up.test" : "cluster.local"));
      send(storm.get(), query.data(), query.size(), 0);
    }
    for (int k = 0; k < kAtOnce && !receive(storm).empty(); ++k) continue;
  }
  cluster.wait_for(10);
  cached.wait_for(10);
  EXPECT_EQ(cluster.stop(), 0u);
  EXPECT_EQ(cached.stop(), 0u);
  stop_upstream();
  EXPECT_EQ(dig("+short web.default.svc.up.test"), "10.96.0.10\n") << "still in the cache";
}

size_t resident_kilobytes(pid_t pid) {
  std::istringstream status(read_all("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  return 0;
}

// Whatever arrives: names nobody has asked for, with long answers, what is no message, connections
// that stay. When all that is bounded has its bound, more of it takes no more memory.
TEST_F(FaultsTest, MemoryIsBoundedWhateverArrives) {
  constexpr int kAtOnce = 64;
  const char* const given = std::getenv("ASAN_OPTIONS");
  // What is freed is kept a while by a sanitizer, and counts.
  environment = {
      {"ASAN_OPTIONS", std::string(given != nullptr ? given : "") + ":quarantine_size_mb=1"}};
  start_with_corefile(
      ".:53 {\n    bind 127.0.0.2\n    template IN TXT long.test {\n        answer \"{{ .Name }} "
      "3600 TXT " +
      Bytes(250, 'x') + " " + Bytes(250, 'y') + "\"\n    }\n    template IN A long.test {\n" +
      "        rcode NXDOMAIN\n    }\n}\n");
  EXPECT_TRUE(eventually([] {
    return shell("dig @127.0.0.2 +time=1 +tries=1 TXT a.long.test").find("NOERROR") !=
           std::string::npos;
  })) << log();
  upstream = std::exchange(pid, -1);
  start_with_corefile(quiet_corefile("cluster.local", "    cache\n    forward . 127.0.0.2\n"));
  ASSERT_TRUE(ready()) << log();
  std::mt19937 random(test::random_seed());
  const auto flood = [&](int count) {
    std::vector<Fd> clients;  // so that every worker has its share
    for (int i = 0; i < 8; ++i)
      clients.push_back(connect_from("127.0.0." + std::to_string(10 + i), SOCK_DGRAM));
    std::vector<Fd> idle;
    for (int i = 0; i < 600; ++i)
      idle.push_back(connect_from("127.0.1." + std::to_string(1 + i % 200), SOCK_STREAM));
    size_t answered = 0;
    for (int i = 0; i < count; i += kAtOnce) {
      const Fd& client = clients[static_cast<size_t>(i / kAtOnce) % clients.size()];
      for (int k = 0; k < kAtOnce; ++k) {
        Bytes query = question(static_cast<uint16_t>(k), std::to_string(random()) + ".long.test");
        if (k % 2 == 0) query[query.size() - 3] = 16;  // TXT
        send(client.get(), query.data(), query.size(), 0);
        for (char& c : query) c = static_cast<char>(random());
        query[2] |= static_cast<char>(0x80);  // a reply: nothing is said to it
        send(client.get(), query.data(), query.size(), 0);
      }
      for (int k = 0; k < kAtOnce && !receive(client).empty(); ++k) ++answered;
    }
    EXPECT_GE(answered, static_cast<size_t>(count - count / 100)) << log();
  };
  flood(60'000);  // six times as many as a cache holds, of both kinds
  const size_t before = resident_kilobytes(pid);
  flood(60'000);
  const size_t after = resident_kilobytes(pid);
  EXPECT_GT(before, 0u);
  EXPECT_LT(after, before + before / 10) << "kB";
}

size_t open_files(pid_t pid) {
  const auto files = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

// Room for so many connections of this process, which root may take. Who may not has fewer, and the
// test says how many it was.
size_t connections_there_can_be(size_t wanted) {
  constexpr rlim_t kOthers = 200;
  rlimit files{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlim_t enough = wanted + kOthers;
  const rlimit more{std::max(files.rlim_cur, enough), std::max(files.rlim_max, enough)};
  if (setrlimit(RLIMIT_NOFILE, &more) == 0) return wanted;
  EXPECT_GT(files.rlim_max, kOthers);
  files.rlim_cur = files.rlim_max;
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  const size_t fewer = files.rlim_max - kOthers;
  std::printf("RLIMIT_NOFILE: %zu connections in place of %zu\n", fewer, wanted);
  ::testing::Test::RecordProperty("connections", std::to_string(fewer));
  return fewer;
}

// Ten thousand connections from two hundred addresses, or as many as this process may open, each in
// the middle of a message for ever.
TEST_F(FaultsTest, SlowConnectionsLeaveRoomForOthers) {
  constexpr size_t kClients = 200, kConnections = 50;
  const size_t connections = connections_there_can_be(kClients * kConnections);
  start();
  ASSERT_TRUE(ready()) << log();
  const size_t before = open_files(pid);
  Load load(space, kWeb);
  std::vector<Fd> slow;
  for (size_t i = 0; i < connections; ++i) {
    slow.push_back(connect_from("127.0.1." + std::to_string(1 + i % kClients), SOCK_STREAM));
    send(slow.back().get(), "\0", 1, MSG_NOSIGNAL);
    if (i % 200 == 199)
      EXPECT_EQ(dig("+tcp +time=10 +short " + std::string(kWeb)), "10.96.0.10\n") << i;
  }
  EXPECT_LE(open_files(pid), before + 520) << "512 connections, and what accepts them";
  load.wait_for(500);
  EXPECT_EQ(load.stop(), 0u) << log();
}

// Ten thousand that have asked and are idle, or as many as this process, which is all clients, may
// open.
TEST_F(FaultsTest, ManyIdleConnectionsLeaveRoomForOthers) {
  constexpr size_t kMostClients = 200, kConnections = 50;
  const size_t clients = connections_there_can_be(kMostClients * kConnections) / kConnections;
  ASSERT_GT(clients, 0u);
  start();
  ASSERT_TRUE(ready()) << log();
  Load load(space, kWeb);
  std::vector<Fd> idle;
  const Bytes query = question(7, kWeb);
  for (size_t i = 0; i < clients * kConnections; ++i) {
    idle.push_back(connect_from("127.0.1." + std::to_string(1 + i % clients), SOCK_STREAM));
    const Bytes framed = Bytes{0, static_cast<char>(query.size())} + query;
    send(idle.back().get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    const Bytes reply = receive(idle.back());
    EXPECT_TRUE(reply.size() > 2 && answers(reply.substr(2))) << i;
  }
  load.wait_for(500);
  EXPECT_EQ(load.stop(), 0u) << log();
}

}  // namespace
}  // namespace fairlead::dns
