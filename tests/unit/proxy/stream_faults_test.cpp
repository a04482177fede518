// SPDX-License-Identifier: Apache-2.0
// A worker in a thread whose kernel lacks memory or descriptors now and then: system calls fail at
// random. And one whose user may have few large pipes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "proxy/stream/pipe_pool.h"
#include "proxy/stream/sockets.h"
#include "tests/support/seed.h"
#include "tests/support/syscall_faults.h"
#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using fairlead::test::FaultyThread;
using fairlead::test::SystemCall;
using peers::Datagram;
using peers::noise;
using peers::Peer;
using peers::PeerPtr;
using peers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a kernel without room says to a call: to the first, or so many, and then to one of so many;
// after so many that are well.
struct Lack {
  unsigned one_in;
  std::vector<int> errors;
  size_t first = 1;
  size_t well = 0;
};
using LacksOf = std::map<int, Lack>;
const LacksOf kTcpLacks = {
    {SYS_accept4, {16, {ENOMEM, ENOBUFS, ENFILE, EMFILE}}},
    {SYS_socket, {16, {ENOMEM, ENOBUFS, ENFILE, EMFILE}}},
    {SYS_connect, {16, {ENOMEM, ENOBUFS}}},
    {SYS_epoll_ctl, {16, {ENOMEM, ENOSPC}}},
    {SYS_setsockopt, {16, {ENOMEM, ENOBUFS}}},
    {SYS_pipe2, {2, {ENOMEM, ENFILE, EMFILE}}},
    {SYS_splice, {8, {ENOMEM}}},
};
const LacksOf kUdpLacks = {
    {SYS_socket, {4, {ENOMEM, ENOBUFS, ENFILE, EMFILE}}},
    {SYS_connect, {4, {ENOMEM, ENOBUFS}}},
    {SYS_epoll_ctl, {4, {ENOMEM, ENOSPC}}},
    {SYS_recvmmsg, {4, {ENOMEM}}},
    {SYS_sendmmsg, {4, {ENOMEM, ENOBUFS}}},
};

class Lacks {
 public:
  Lacks(uint64_t seed, LacksOf lacks) : lacks_(std::move(lacks)), random_(seed) {}
  std::vector<int> calls() const {
    std::vector<int> result;
    for (const auto& [call, lack] : lacks_) result.push_back(call);
    return result;
  }
  int decide(const SystemCall& call) {
    // libuv ends the process when it cannot watch its own; ours are edge-triggered.
    if (call.number == SYS_epoll_ctl && !is_ours(call)) return 0;
    // That takes nothing, and makes a reset of a close(2).
    if (call.number == SYS_setsockopt && call.arguments[2] == SO_LINGER) return 0;
    const std::lock_guard lock(mutex_);
    if (!begun_) return 0;
    if (call.number == SYS_sendmmsg)
      most_at_once_ = std::max(most_at_once_, static_cast<size_t>(call.arguments[2]));
    const Lack& lack = lacks_.at(call.number);
    if (seen_[call.number]++ < lack.well) return 0;
    if (failed_[call.number] >= lack.first && random_() % lack.one_in != 0) return 0;
    ++failed_[call.number];
    return lack.errors[random_() % lack.errors.size()];
  }
  // From here on.
  void begin() {
    const std::lock_guard lock(mutex_);
    begun_ = true;
  }
  size_t failed(int call) {
    const std::lock_guard lock(mutex_);
    return failed_[call];
  }
  // Of datagrams.
  size_t most_at_once() {
    const std::lock_guard lock(mutex_);
    return most_at_once_;
  }

 private:
  static bool is_ours(const SystemCall& call) {
    return call.arguments[1] == EPOLL_CTL_ADD && (call.at<epoll_event>(3).events & EPOLLET) != 0;
  }
  const LacksOf lacks_;
  std::mutex mutex_;
  std::mt19937_64 random_;
  bool begun_ = false;
  size_t most_at_once_ = 0;
  std::map<int, size_t> seen_, failed_;
};

// A client, what it sends and what it is to get: by the number that it begins with.
struct Transfer {
  explicit Transfer(uint64_t its_number) : number(its_number) {}
  // Every eighth is large enough to go through pipes.
  size_t size(uint64_t salt) const {
    return number % 8 == 0 ? 1'500'000 : (number * 7919 + salt) % 50'000;
  }
  std::string up() const {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &number, 8);
    return bytes + noise(size(1), number * 2);
  }
  std::string down() const { return noise(size(2), number * 2 + 1); }

  uint64_t number;
  PeerPtr client;
};

class StreamFaults : public testing::Test {
 protected:
  StreamFaults() : StreamFaults(kTcpLacks) {}
  explicit StreamFaults(const LacksOf& lacks) : lacks_(seed_, lacks) {
    std::promise<std::unique_ptr<WorkerThread>> started;
    thread_ = std::make_unique<FaultyThread>(
        lacks_.calls(), [this](const SystemCall& call) { return lacks_.decide(call); },
        [&started, over = over_.get_future().share()] {
          started.set_value(std::move(WorkerThread::start({}).value()));
          over.wait();
        });
    worker_ = started.get_future().get();
    lacks_.begin();
  }
  ~StreamFaults() override {
    worker_.reset();
    over_.set_value();
  }

  // A frontend of it.
  SocketAddress serve(const std::vector<SocketAddress>& endpoints,
                      Protocol protocol = Protocol::kTcp) {
    auto set = std::make_shared<EndpointSet>();
    set->id = 1;
    set->endpoints = endpoints;
    auto service = std::make_shared<Service>();
    service->protocol = protocol;
    service->treatment = Treatment::kCluster;
    service->outside = set;
    service->origins = std::make_shared<Origins>();
    service->counters = {counters_};
    const IpAddress any_loopback = IpAddress::v4(127, 0, 0, 98);
    const SocketAddress address{any_loopback, free_port(protocol, any_loopback).value()};
    const auto socket =
        std::make_shared<Fd>(open_frontend_socket(protocol, address, std::nullopt).value());
    worker_->post([=](Worker& worker) { worker.put(1, std::move(*socket), address, service); });
    return address;
  }
  bool wait_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  void begin(const SocketAddress& frontend) {
    transfers_.emplace_back(transfers_.size());
    Transfer& transfer = transfers_.back();
    transfer.client = std::make_shared<Peer>(frontend);
    transfer.client->send(transfer.up());
    transfer.client->finish();
  }
  // The server answers each as its number says.
  void step(Server& server) {
    server.step();
    for (; answered_.size() < server.peers().size();) answered_.push_back(false);
    for (size_t i = 0; i < answered_.size(); ++i) {
      Peer& peer = *server.peers()[i];
      if (answered_[i] || peer.received().size() < 8) continue;
      answered_[i] = true;
      peer.send(transfer_of(peer).down());
      peer.finish();
    }
    for (const Transfer& transfer : transfers_) transfer.client->step();
  }
  static Transfer transfer_of(const Peer& peer) {
    uint64_t number = 0;
    std::memcpy(&number, peer.received().data(), 8);
    return Transfer(number);
  }

  const uint64_t seed_ = fairlead::test::random_seed();
  Lacks lacks_;
  std::promise<void> over_;
  std::unique_ptr<FaultyThread> thread_;
  std::unique_ptr<WorkerThread> worker_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::vector<Transfer> transfers_;
  std::vector<bool> answered_;  // by the server's peers
};

TEST_F(StreamFaults, EveryConnectionIsWholeAndNothingIsLeftBehind) {
  Server web(20);
  const SocketAddress frontend = serve({web.address()});
  const auto ended = [](const Transfer& transfer) {
    return transfer.client->ended() && !transfer.client->was_reset();
  };
  const auto over = [](const Transfer& transfer) {
    return transfer.client->ended() || transfer.client->was_reset();
  };
  constexpr size_t kAtOnce = 20;
  for (size_t begun = 0; begun < 120; ++begun) {
    begin(frontend);
    ASSERT_TRUE(wait_until([&] {
      step(web);
      return size_t(std::count_if(transfers_.begin(), transfers_.end(), over)) + kAtOnce > begun;
    }));
  }
  ASSERT_TRUE(wait_until([&] {
    step(web);
    return std::all_of(transfers_.begin(), transfers_.end(), over);
  }));
  EXPECT_TRUE(wait_until([&] {  // uploads too
    step(web);
    return counters_->open.value() == 0;
  }));
  size_t whole = 0;
  for (const Transfer& transfer : transfers_) {
    const std::string& got = transfer.client->received();
    EXPECT_TRUE(transfer.down().starts_with(got)) << transfer.number;
    if (ended(transfer))
      EXPECT_EQ(got.size(), transfer.down().size()) << transfer.number << " ended like a whole one";
    whole += ended(transfer);
  }
  size_t uploads = 0;
  for (const PeerPtr& peer : web.peers()) {
    if (peer->received().empty()) continue;  // could not be watched once it had been made
    ++uploads;
    ASSERT_GE(peer->received().size(), 8u);
    EXPECT_TRUE(peer->received() == transfer_of(*peer).up());
  }
  EXPECT_EQ(uploads, transfers_.size());
  EXPECT_EQ(whole, transfers_.size()) << "each lack is waited for, or done without";
  for (const auto& [call, lack] : kTcpLacks) EXPECT_GT(lacks_.failed(call), 0u) << call;
  EXPECT_EQ(counters_->ejected.value(), 0u) << "no endpoint is to blame";
}

class StreamUdpFaults : public StreamFaults {
 protected:
  StreamUdpFaults() : StreamFaults(kUdpLacks) {}
};

// A datagram may be lost then; who asks again is answered.
TEST_F(StreamUdpFaults, WhoAsksAgainIsAnsweredAndNothingIsLeftBehind) {
  Datagram web;
  web.echo = true;
  const SocketAddress frontend = serve({web.address()}, Protocol::kUdp);
  std::vector<std::unique_ptr<Datagram>> clients;
  for (int i = 0; i < 30; ++i) clients.push_back(std::make_unique<Datagram>());
  for (int round = 0; round < 10; ++round) {
    const std::string question = noise(100, static_cast<uint64_t>(round));
    const auto answered = [&](const std::unique_ptr<Datagram>& client) {
      return !client->received.empty() && client->received.back() == question;
    };
    EXPECT_TRUE(wait_until([&] {
      for (const auto& client : clients)
        if (!answered(client)) client->send(frontend, question);
      std::this_thread::sleep_for(milliseconds(5));
      web.step();
      std::this_thread::sleep_for(milliseconds(5));
      for (const auto& client : clients) client->step();
      return std::all_of(clients.begin(), clients.end(), answered);
    })) << round;
  }
  for (const auto& [call, lack] : kUdpLacks) EXPECT_GT(lacks_.failed(call), 0u) << call;
  EXPECT_EQ(counters_->ejected.value(), 0u) << "no endpoint is to blame";
  EXPECT_EQ(counters_->open.value(), clients.size());
  worker_->post([](Worker& worker) { worker.remove(1); });
  EXPECT_TRUE(wait_until([&] { return counters_->open.value() == 0; }));
}

// One call that fails once, on the way of the only datagram there is.
class StreamUdpHiccup : public StreamFaults,
                        public testing::WithParamInterface<std::pair<int, int>> {
 protected:
  StreamUdpHiccup() : StreamFaults({{GetParam().first, {1'000'000, {GetParam().second}}}}) {}
};

TEST_P(StreamUdpHiccup, LosesNothing) {
  Datagram one, other, client;
  one.echo = other.echo = true;
  client.send(serve({one.address(), other.address()}, Protocol::kUdp), "hello");
  EXPECT_TRUE(wait_until([&] {
    for (Datagram* each : {&one, &other, &client}) each->step();
    return !client.received.empty();
  }));
  EXPECT_EQ(lacks_.failed(GetParam().first), 1u);
  EXPECT_EQ(one.received.size() + other.received.size(), 1u);
}

// Without memory the kernel is asked again, for it will not tell of the datagram once more; of an
// endpoint that nothing reaches (as ICMP says of an earlier datagram) another is asked.
INSTANTIATE_TEST_SUITE_P(, StreamUdpHiccup,
                         testing::Values(std::pair{SYS_recvmmsg, ENOMEM},
                                         std::pair{SYS_sendmmsg, EHOSTUNREACH}),
                         [](const auto& call) {
                           return call.param.first == SYS_recvmmsg ? "Receiving" : "Sending";
                         });

// Said of an earlier one, it is said once; of this one, whenever it is sent: what a rule of this
// host drops, say.
class StreamUdpTrouble : public StreamFaults, public testing::WithParamInterface<size_t> {
 protected:
  StreamUdpTrouble() : StreamFaults({{SYS_sendmmsg, {1'000'000, {EPERM}, GetParam()}}}) {}
};

TEST_P(StreamUdpTrouble, OfOneTakesNoOtherAlong) {
  Datagram web, client;
  const SocketAddress frontend = serve({web.address()}, Protocol::kUdp);
  std::promise<void> all_sent;
  worker_->post([&](Worker&) { all_sent.get_future().wait(); });
  std::vector<std::string> sent = {"a", "b", "c"};
  for (const std::string& each : sent) client.send(frontend, each);
  all_sent.set_value();
  if (GetParam() > 1) sent.erase(sent.begin());
  EXPECT_TRUE(wait_until([&] {
    web.step();
    return web.received.size() == sent.size();
  }));
  EXPECT_EQ(web.received, sent);
  EXPECT_EQ(lacks_.failed(SYS_sendmmsg), GetParam());
  EXPECT_EQ(lacks_.most_at_once(), 1u) << "what the kernel hears of the second it does not tell";
}

INSTANTIATE_TEST_SUITE_P(, StreamUdpTrouble, testing::Values(1, 2), [](const auto& times) {
  return times.param == 1 ? "SaidOnce" : "SaidAgain";
});

// The same towards the client.
class StreamUdpAnswers : public StreamFaults {
 protected:
  StreamUdpAnswers() : StreamFaults({{SYS_sendmmsg, {1'000'000, {EPERM}, 1, 1}}}) {}
};

TEST_F(StreamUdpAnswers, OneThatCannotBeSentTakesNoOtherAlong) {
  Datagram web, client;
  client.send(serve({web.address()}, Protocol::kUdp), "hello");
  ASSERT_TRUE(wait_until([&] {
    web.step();
    return !web.received.empty();
  }));
  std::promise<void> all_sent;
  worker_->post([&](Worker&) { all_sent.get_future().wait(); });
  for (const char* each : {"a", "b", "c"}) web.send(web.senders.front(), each);
  all_sent.set_value();
  EXPECT_TRUE(wait_until([&] {
    client.step();
    return client.received.size() == 2;
  }));
  EXPECT_EQ(client.received, (std::vector<std::string>{"b", "c"}));
}

class StreamThreads : public peers::WorkerTest {};

TEST_F(StreamThreads, SaysSoWhereTheKernelHasNoThread) {
  const FaultyThread thread(
      {SYS_clone3}, [](const SystemCall&) { return EAGAIN; },
      [] {
        const size_t before = open_descriptors();
        const auto started = WorkerThread::start({});
        ASSERT_FALSE(started.ok());
        EXPECT_TRUE(started.error().is(ErrorCode::kResourceExhausted)) << started.error().message();
        EXPECT_EQ(open_descriptors(), before);
      });
}

// Nobody's, in a thread of its own: user and rights are a thread's (credentials(7)).
TEST(PipePool, GivesNoneThatTheKernelKeepsSmall) {
  size_t soft_pages = 0;
  std::ifstream("/proc/sys/fs/pipe-user-pages-soft") >> soft_pages;
  constexpr int kBytes = 1024 * 1024;
  constexpr size_t kAsked = 200, kPages = kBytes / 4096;
  constexpr uid_t kNobody = 65534;
  std::thread([&] {
    if (geteuid() == 0) ASSERT_EQ(syscall(SYS_setresuid, kNobody, kNobody, kNobody), 0);
    Count made;
    PipePool pool(kBytes, kAsked, made);
    std::vector<Pipe> pipes;
    while (Pipe pipe = pool.take()) pipes.push_back(std::move(pipe));
    EXPECT_FALSE(pool.take()) << "and asks no more";
    EXPECT_EQ(made.value(), pipes.size());
    for (const Pipe& pipe : pipes) EXPECT_GE(fcntl(pipe.writer.get(), F_GETPIPE_SZ), 64 * 1024);
    if (soft_pages == 0)
      EXPECT_EQ(pipes.size(), kAsked) << "no limit here";
    else
      EXPECT_LE(pipes.size(), std::min(kAsked, soft_pages / 16)) << "each has 16 pages at least";
    if (soft_pages > kPages * 8 && soft_pages < kPages * kAsked)
      EXPECT_LT(pipes.size(), kAsked) << "it has refused";
  }).join();
}

}  // namespace
}  // namespace fairlead::proxy::stream
