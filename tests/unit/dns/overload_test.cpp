// SPDX-License-Identifier: Apache-2.0
// More queries than a server can answer, over real sockets: who asks little has its answers.
#include <sched.h>

#include <array>
#include <atomic>
#include <functional>
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
  uint64_t shed() const {
    uint64_t sum = 0;
    for (const auto& worker : server->metrics())
      for (const auto& [label, count] : worker->shed()) sum += count;
    return sum;
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
};

TEST_F(Overload, AQuietClientHasAllAnswersBesideAGreedyOne) {
  // A machine that is busy otherwise takes the processor from the server for longer than the socket
  // can hold a flood, so now and then something is lost. Without shedding a third of each round is.
  constexpr size_t kQuestions = 50;
  constexpr int kRounds = 20;
  const OneProcessor one;
  open("127.0.0.1", 1);
  const Flood flood(address, "127.0.0.2");
  // More than the socket holds: the server meets an overload when it begins.
  ASSERT_TRUE(eventually([&] { return flood.sent() > 10'000; }));
  server->run();
  ASSERT_TRUE(eventually([&] { return shed() > 10'000; })) << shed();
  size_t answered = 0;
  for (int round = 0; round < kRounds && answered < kQuestions; ++round) {
    // It does not wait for replies, so that it asks at any moment.
    Socket quiet(address, SOCK_DGRAM);
    for (uint16_t id = 0; id < kQuestions; ++id) {
      QueryOptions options;
      options.id = id;
      quiet.send(make_query(kWeb, Type::kA, options));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::set<uint16_t> seen;
    for (Bytes reply; !(reply = quiet.receive(300)).empty() && seen.size() < kQuestions;)
      if (to_text(reply) == kWebAnswer) seen.insert(read_u16(reply.data()));
    answered = seen.size();
  }
  EXPECT_EQ(answered, kQuestions);
  const auto counts = server->metrics()[0]->shed();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].first, "dns://" + address.to_string());
}

// Ordinary load leaves it asleep.
TEST_F(Overload, NobodyIsShedWhenTheServerKeepsUp) {
  start("127.0.0.1", 1);
  Socket client(address, SOCK_DGRAM);
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 100; ++i) client.send(make_query(kWeb, Type::kA));
    for (int i = 0; i < 100; ++i) ASSERT_EQ(to_text(client.receive()), kWebAnswer);
  }
  EXPECT_EQ(shed(), 0u);
}

}  // namespace
}  // namespace fairlead::dns::test
