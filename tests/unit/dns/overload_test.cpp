// SPDX-License-Identifier: Apache-2.0
// More queries than a server can answer, over real sockets: who asks little has its answers.
#include <linux/sock_diag.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "tests/unit/dns/server_support.h"

namespace fairlead::dns::test {
namespace {

// All threads that are begun from here on share one processor, so that the server is never away
// while others go on for long: else the machine would lose queries, not the server.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

// A client that asks as fast as it can and reads nothing.
class Flood {
 public:
  Flood(const SocketAddress& server, const std::string& from) : query_(make_query(kWeb, Type::kA)) {
    fd_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    socklen_t length = SocketAddress{ip(from), 0}.to_sockaddr(storage);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    length = server.to_sockaddr(storage);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~Flood() {
    done_.store(true);
    thread_.join();
  }
  uint64_t sent() const { return sent_.load(); }

 private:
  void run() {
    std::array<mmsghdr, 64> batch{};
    iovec part{query_.data(), query_.size()};
    for (mmsghdr& each : batch) each.msg_hdr = {nullptr, 0, &part, 1, nullptr, 0, 0};
    while (!done_.load()) {
      const int sent = sendmmsg(fd_.get(), batch.data(), batch.size(), 0);
      if (sent > 0) sent_ += static_cast<uint64_t>(sent);
    }
  }
  Bytes query_;
  Fd fd_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> sent_{0};
  std::thread thread_;
};

class Overload : public ServerTest {
 protected:
  static constexpr size_t kQuestions = 50;
  static constexpr int kGivenUpMillis = 1000;

  std::map<std::string, uint64_t> shed_by_label() const {
    std::map<std::string, uint64_t> sums;
    for (const auto& worker : server->metrics())
      for (const auto& [label, count] : worker->shed()) sums[label] += count;
    return sums;
  }
  uint64_t shed() const {
    uint64_t sum = 0;
    for (const auto& [label, count] : shed_by_label()) sum += count;
    return sum;
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  // How much of the receive buffer of the server's only UDP socket is taken.
  double filled() const {
    std::array<uint32_t, SK_MEMINFO_VARS> info{};
    socklen_t size = sizeof info;
    const int fd = server->sockets().at(0);
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &size), 0);
    return static_cast<double>(info[SK_MEMINFO_RMEM_ALLOC]) / info[SK_MEMINFO_RCVBUF];
  }
  // Asks once for each of `questions` and takes from them what is answered. It does not wait for a
  // reply before the next question, so that it asks at any moment.
  void ask(std::set<uint16_t>& questions) const {
    Socket quiet(address, SOCK_DGRAM);
    for (const uint16_t id : questions) {
      QueryOptions options;
      options.id = id;
      quiet.send(make_query(kWeb, Type::kA, options));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    while (!questions.empty()) {
      const Bytes reply = quiet.receive(kGivenUpMillis);
      if (reply.empty()) return;
      if (to_text(reply) == kWebAnswer) questions.erase(read_u16(reply.data()));
    }
  }
};

TEST_F(Overload, AQuietClientHasItsAnswersBesideAGreedyOne) {
  // A machine that is busy otherwise takes the processor from the server for longer than the socket
  // can hold a flood, so now and then something is lost: nothing in release builds, up to 18 %
  // under ThreadSanitizer. Without shedding it is a third there and over four fifths here.
  constexpr size_t kRounds = 10;
  const OneProcessor one;
  open("127.0.0.1", 1);
  const Flood flood(address, "127.0.0.2");
  // More than the socket holds: the server meets an overload when it begins.
  ASSERT_TRUE(eventually([&] { return flood.sent() > 10'000; }));
  server->run();
  ASSERT_TRUE(eventually([&] { return shed() > 10'000; })) << shed();
  size_t lost = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    std::set<uint16_t> questions;
    for (uint16_t id = 0; id < kQuestions; ++id) questions.insert(id);
    ask(questions);
    lost += questions.size();
  }
  EXPECT_LE(lost, kRounds * kQuestions * 25 / 100);
  // Counted for the block, also when a later plan calls it otherwise.
  const auto counts = shed_by_label();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts.begin()->first, "dns://:" + std::to_string(address.port));
  const auto renamed = std::make_shared<Plan>(*first_plan);
  renamed->blocks[0].label = "dns://renamed:53";
  ASSERT_TRUE(server->change_to(renamed).ok());
  EXPECT_TRUE(eventually([&] { return shed_by_label()["dns://renamed:53"] > 0; }));
}

// Ordinary load leaves it asleep, also many queries at once that nearly fill the socket, again and
// again: three or four full batches in a row, and then none. The worker stands still while they are
// sent: it gives back a plan.
TEST_F(Overload, NobodyIsShedWhenTheServerKeepsUp) {
  constexpr size_t kMostQueries = 400;  // less than the full batches of an overload
  constexpr int kServerBuffer = 100'000, kClientBuffer = 1 << 20;
  struct Rounds {
    std::atomic<int> stands{0}, goes{0};
  };
  const auto rounds = std::make_shared<Rounds>();
  on_released = [rounds](const auto&) {
    const int round = ++rounds->stands;
    (void)eventually([&] { return rounds->goes.load() >= round; });
  };
  start("127.0.0.1", 1);
  Socket client(address, SOCK_DGRAM);
  const auto set_buffer = [](int fd, int size) {
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
  };
  set_buffer(server->sockets().at(0), kServerBuffer);
  set_buffer(client.fd(), kClientBuffer);
  for (int round = 1; round <= 20; ++round) {
    ASSERT_TRUE(server->change_to(first_plan).ok());
    ASSERT_TRUE(eventually([&] { return rounds->stands.load() == round; }));
    size_t sent = 0;
    for (; sent < kMostQueries && filled() < 0.9; ++sent) client.send(make_query(kWeb, Type::kA));
    rounds->goes.store(round);
    for (size_t i = 0; i < sent; ++i) ASSERT_EQ(to_text(client.receive()), kWebAnswer) << i;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // no streak lasts so long
  }
  EXPECT_EQ(shed(), 0u);
}

}  // namespace
}  // namespace fairlead::dns::test
