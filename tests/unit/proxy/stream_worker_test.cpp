// SPDX-License-Identifier: Apache-2.0
// A Worker where room is short or an endpoint bad, at its end, and in a thread of its own.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "proxy/stream/node_list.h"
#include "proxy/stream/sockets.h"
#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using peers::noise;
using peers::PeerPtr;
using peers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StreamWorker : public peers::WorkerTest {};

TEST_F(StreamWorker, WithoutDescriptorsConnectionsWait) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int probe = dup(0);
  ::close(probe);
  const rlimit none = {static_cast<rlim_t>(probe), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  loop_.run_until([&] { return worker_counters_->pauses.value() >= 2; }, seconds(10));
  EXPECT_EQ(worker_->connections(), 0u);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_GE(worker_counters_->pauses.value(), 2u);
  client->send("at last");
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  run_until([&] { return endpoint->received() == "at last"; });
}

// The one accepted takes it, so none is left to connect with.
TEST_F(StreamWorker, WithOneDescriptorNobodyIsResetAndNoEndpointIsBlamed) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr first = connect(), second = connect();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int probe = dup(0);
  ::close(probe);
  const rlimit one = {static_cast<rlim_t>(probe) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &one);
  loop_.run_until([&] { return worker_counters_->pauses.value() >= 3; }, seconds(60));
  EXPECT_EQ(worker_->connections(), 1u) << "the other one waits to be accepted";
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_GE(worker_counters_->pauses.value(), 3u);
  first->send("first");
  second->send("second");
  run_until([&] {
    return web.peers().size() == 2 && web.peers()[0]->received() == "first" &&
           web.peers()[1]->received() == "second";
  });
  EXPECT_FALSE(first->was_reset() || second->was_reset());
  EXPECT_EQ(counters_->failed.value() + counters_->retried.value() + counters_->ejected.value(),
            0u);
}

TEST_F(StreamWorker, AtTheEndWhatWaitsIsAcceptedAndNothingElse) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr waiting = connect(), too = connect();
  worker_->remove_all();
  EXPECT_EQ(worker_->connections(), 2u);
  const PeerPtr late = connect();
  run_until([&] { return late->was_reset(); });
  waiting->send("in time");
  too->send("in time");
  run_until([&] {
    return web.peers().size() == 2 && web.peers()[0]->received() == "in time" &&
           web.peers()[1]->received() == "in time";
  });
}

// One that takes connections only to reset them keeps failing too.
TEST_F(StreamWorker, AnEndpointThatResetsWhatNothingHasComeOfIsLeftOut) {
  start();
  Server& bad = server(1);
  Server& web = server(2);
  serve({bad.address(), web.address()});
  const auto meets_the_bad_one = [&] {
    const size_t with_bad = bad.peers().size(), with_web = web.peers().size();
    const PeerPtr client = connect();
    client->send("hello");
    run_until([&] { return bad.peers().size() + web.peers().size() > with_bad + with_web; });
    if (bad.peers().size() == with_bad) return false;
    bad.peers().back()->reset();
    // Another's turn where the reset was there before the connection had been used.
    run_until([&] { return client->was_reset() || web.peers().size() > with_web; });
    return true;
  };
  for (int i = 0; i < 100 && counters_->ejected.value() == 0; ++i) meets_the_bad_one();
  EXPECT_EQ(counters_->ejected.value(), 1u);
  const MonoTime begin = loop_.clock().now();
  for (int i = 0; i < 6; ++i) {
    const bool met = meets_the_bad_one();
    EXPECT_TRUE(!met || loop_.clock().now() > begin + seconds(4)) << "its trial, on a slow machine";
  }
}

// Nor is one blamed that has said something first, or whose clients go.
TEST_F(StreamWorker, AnEndpointThatResetsAfterAnAnswerIsNotBlamed) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (size_t i = 0; i < 6; ++i) {
    const PeerPtr client = connect();
    client->send("hello");
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    if (i % 2 == 0) {
      endpoint->send("yes?");
      run_until([&] { return client->received() == "yes?"; });
      endpoint->reset();
      run_until([&] { return client->was_reset(); });
    } else {
      client->reset();
      run_until([&] { return endpoint->was_reset(); });
    }
  }
  EXPECT_EQ(counters_->ejected.value(), 0u);
}

// A client that has not said a word may be given up by any server, but not at once.
TEST_F(StreamWorker, AnEndpointThatGivesSilentClientsUpIsNotBlamed) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const auto silent_ones = [&](Duration patience) {
    const size_t before = web.peers().size();
    std::vector<PeerPtr> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(connect());
    run_until([&] { return web.peers().size() == before + clients.size(); });
    run_for(patience);
    for (size_t i = before; i < web.peers().size(); ++i) web.peers()[i]->reset();
    run_until([&] {
      return std::all_of(clients.begin(), clients.end(),
                         [](const PeerPtr& client) { return client->was_reset(); });
    });
  };
  silent_ones(milliseconds(1100));
  EXPECT_EQ(counters_->ejected.value(), 0u);
  silent_ones(milliseconds(0));
  EXPECT_EQ(counters_->ejected.value(), 1u);
}

// A program that had the sockets too, saw other endpoints, and has died.
TEST_F(StreamWorker, LetsInWhomItDidBeforeAnotherHadItsSockets) {
  start();
  Server& web = server(1);
  serve({web.address()});
  set_sources(worker_->sockets().front(), Family::kIpv4, std::vector<Cidr>());
  const PeerPtr client = connect();
  run_for(milliseconds(100));
  EXPECT_EQ(counters_->opened.value(), 0u);
  worker_->filter_again();
  run_until([&] { return counters_->opened.value() == 1; });  // it says it once more in a second
}

// The next process has those it was given, and nobody else has the others.
TEST_F(StreamWorker, WhatWaitsAtSocketsThatWereNotHandedOverIsAccepted) {
  start();
  Server& web = server(1);
  serve({web.address()});
  worker_->hand_over(worker_->sockets());
  const PeerPtr theirs = connect();
  frontend_ = add_frontend(2, service_of({web.address()}));
  const PeerPtr ours = connect();
  worker_->leave_all();
  EXPECT_EQ(worker_->connections(), 1u);
  ours->send("in time");
  const PeerPtr endpoint = accepted(web, 0);
  ASSERT_TRUE(endpoint);
  run_until([&] { return endpoint->received() == "in time"; });
}

TEST_F(StreamWorker, MoreConnectionsThanMayBeWait) {
  WorkerSettings settings;
  settings.relay.connections = 2;
  start(settings);
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr first = connect(), second = connect(), third = connect();
  third->send("my turn");
  run_until([&] { return worker_counters_->pauses.value() >= 2; });
  EXPECT_EQ(worker_->connections(), 2u);
  EXPECT_EQ(web.peers().size(), 2u);
  first->reset();
  const PeerPtr endpoint = accepted(web, 2);
  ASSERT_TRUE(endpoint);
  run_until([&] { return endpoint->received() == "my turn"; });
}

class StreamWorkerThread : public testing::Test {
 protected:
  StreamWorkerThread() {
    const std::set<std::string> before = threads();
    auto started = WorkerThread::start({});
    EXPECT_TRUE(started.ok()) << started.error().message();
    thread_ = std::move(*started);
    for (const std::string& one : threads())
      if (!before.contains(one)) name_ = one;
    auto set = std::make_shared<EndpointSet>();
    set->id = 1;
    set->endpoints = {web_.address()};
    auto service = std::make_shared<Service>();
    service->treatment = Treatment::kCluster;
    service->outside = set;
    service->origins = std::make_shared<Origins>();
    service->counters = {counters_};
    auto socket = open_frontend_socket(Protocol::kTcp, address_, std::nullopt);
    EXPECT_TRUE(socket.ok()) << socket.error().message();
    const auto shared = std::make_shared<Fd>(std::move(*socket));
    thread_->post([=, address = address_](Worker& worker) {
      worker.put(1, std::move(*shared), address, service);
    });
  }

  static std::set<std::string> threads() {
    std::set<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
      result.insert(entry.path());
    return result;
  }
  // How often the thread has gone to sleep.
  long sleeps() const {
    std::ifstream status(name_ + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("voluntary_ctxt_switches:")) return std::stol(line.substr(24));
    ADD_FAILURE() << "no count in " << name_;
    return 0;
  }
  void step() {
    for (const PeerPtr& client : clients_) client->step();
    web_.step();
    std::this_thread::sleep_for(milliseconds(1));
  }
  void wait_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) step();
    EXPECT_TRUE(done());
  }
  // The endpoint's end.
  PeerPtr connect() {
    clients_.push_back(std::make_shared<peers::Peer>(address_));
    wait_until([&] { return web_.peers().size() == clients_.size(); });
    return web_.peers().back();
  }

  const SocketAddress address_{IpAddress::v4(127, 0, 0, 99), 18099};
  Server web_{9};
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::unique_ptr<WorkerThread> thread_;
  std::string name_;  // the thread's folder in /proc
  std::vector<PeerPtr> clients_;
};

TEST_F(StreamWorkerThread, ServesInAThreadOfItsOwnAndEndsWithIt) {
  const std::string up = noise(500000, 1), down = noise(700000, 2);
  for (size_t i = 0; i < 5; ++i) {
    const PeerPtr endpoint = connect();
    clients_.back()->send(up);
    endpoint->send(down);
  }
  wait_until([&] {
    return std::all_of(clients_.begin(), clients_.end(),
                       [&](const PeerPtr& client) { return client->received() == down; });
  });
  EXPECT_EQ(counters_->open.value(), 5u);
  thread_->ping();
  wait_until([&] { return thread_->counters().answered.value() == thread_->pings(); });
  thread_.reset();
  wait_until([&] {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const PeerPtr& client) { return client->was_reset(); });
  });
}

// Whether it is the client that is slow, or the endpoint.
class StreamSlowReceiver : public StreamWorkerThread, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    const PeerPtr endpoint = connect();
    slow_ = GetParam() ? clients_.back() : endpoint;
    sender_ = GetParam() ? endpoint : clients_.back();
    const int yes = 1;  // each piece is a packet
    ASSERT_EQ(setsockopt(sender_->fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), 0);
    slow_->stop_reading();
    fill();
  }
  void send(size_t bytes) {
    const std::string more = noise(bytes, sent_.size());
    sender_->send(more);
    sent_ += more;
    step();
  }
  uint64_t taken() const {
    return (GetParam() ? counters_->server_bytes : counters_->client_bytes).value();
  }
  // Sends until the worker takes no more, though its kernel has room.
  void fill() {
    for (uint64_t before = UINT64_MAX; before != taken() && sent_.size() < 50'000'000;) {
      for (int unchanged = 0; unchanged < 5; ++unchanged) {
        before = taken();
        send(4096);
        if (before != taken()) unchanged = 0;
      }
      for (int i = 0; i < 100; ++i) step();
    }
    ASSERT_EQ(sender_->unsent(), 0u);
    ASSERT_LT(taken(), sent_.size());
  }
  void expect_all() {
    slow_->stop_reading(false);
    wait_until([&] { return slow_->received().size() == sent_.size(); });
    EXPECT_TRUE(slow_->received() == sent_);
  }

  PeerPtr slow_, sender_;
  std::string sent_;
};

// It waits in the kernel, and nobody is woken for it; when the receiver goes on all of it arrives,
// and what is sent then is passed on as ever.
TEST_P(StreamSlowReceiver, WhatItIsSentWakesNobodyAndArrives) {
  const long before = sleeps();
  constexpr int kPieces = 200;
  for (int i = 0; i < kPieces; ++i) send(1);
  ASSERT_EQ(sender_->unsent(), 0u);
  EXPECT_LT(sleeps() - before, kPieces / 10) << "of " << kPieces << " packets";
  expect_all();
  send(100);
  expect_all();
  slow_->send("and back");
  wait_until([&] { return sender_->received() == "and back"; });
}

TEST_P(StreamSlowReceiver, AnEndThatComesMeanwhileArrives) {
  for (int i = 0; i < 5; ++i) send(1);
  sender_->finish();
  for (int i = 0; i < 20; ++i) step();
  EXPECT_FALSE(slow_->ended());
  expect_all();
  wait_until([&] { return slow_->ended(); });
  EXPECT_FALSE(slow_->was_reset());
  slow_->send("and back");
  wait_until([&] { return sender_->received() == "and back"; });
}

TEST_P(StreamSlowReceiver, AResetThatComesMeanwhileArrives) {
  for (int i = 0; i < 5; ++i) send(1);
  sender_->reset();
  for (int i = 0; i < 20; ++i) step();
  slow_->stop_reading(false);
  wait_until([&] { return slow_->was_reset(); });
  EXPECT_TRUE(sent_.starts_with(slow_->received()));
  wait_until([&] { return counters_->open.value() == 0; });
}

INSTANTIATE_TEST_SUITE_P(, StreamSlowReceiver, testing::Bool(),
                         [](const auto& which) { return which.param ? "Client" : "Endpoint"; });

TEST(StreamNodeList, TheApiServersAddressIsInItsUrl) {
  EXPECT_EQ(api_server_address("https://192.0.2.1:6443"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(api_server_address("https://192.0.2.1"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(api_server_address("https://[2001:db8::1]:6443/prefix"),
            IpAddress::parse("2001:db8::1").value());
  EXPECT_EQ(api_server_address("https://api.example:6443"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::proxy::stream
