// SPDX-License-Identifier: Apache-2.0
// A Worker where room is short, at its end, and in a thread of its own.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

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

TEST(StreamWorkerThread, ServesInAThreadOfItsOwnAndEndsWithIt) {
  Server web(9);
  auto started = WorkerThread::start({});
  ASSERT_TRUE(started.ok()) << started.error().message();
  auto thread = std::move(*started);
  auto set = std::make_shared<EndpointSet>();
  set->id = 1;
  set->endpoints = {web.address()};
  auto service = std::make_shared<Service>();
  service->treatment = Treatment::kCluster;
  service->outside = set;
  service->origins = std::make_shared<Origins>();
  const auto counters = std::make_shared<Counters>();
  service->counters = {counters};
  const SocketAddress address{IpAddress::v4(127, 0, 0, 99), 18099};
  auto socket = open_frontend_socket(Protocol::kTcp, address, std::nullopt);
  ASSERT_TRUE(socket.ok()) << socket.error().message();
  const auto shared = std::make_shared<Fd>(std::move(*socket));
  thread->post([=](Worker& worker) { worker.put(1, std::move(*shared), address, service); });
  std::vector<PeerPtr> clients;
  const auto wait_until = [&](const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) {
      for (const PeerPtr& client : clients) client->step();
      web.step();
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_TRUE(done());
  };
  const std::string up = noise(500000, 1), down = noise(700000, 2);
  for (size_t i = 0; i < 5; ++i) {
    clients.push_back(std::make_shared<peers::Peer>(address));
    clients.back()->send(up);
    wait_until([&] { return web.peers().size() > i; });
    web.peers()[i]->send(down);
  }
  wait_until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [&](const PeerPtr& client) { return client->received() == down; });
  });
  EXPECT_EQ(counters->open.value(), 5u);
  thread->ping();
  wait_until([&] { return thread->counters().answered.value() == thread->pings(); });
  thread.reset();
  wait_until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const PeerPtr& client) { return client->was_reset(); });
  });
}

TEST(StreamNodeList, TheApiServersAddressIsInItsUrl) {
  EXPECT_EQ(api_server_address("https://192.0.2.1:6443"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(api_server_address("https://192.0.2.1"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(api_server_address("https://[2001:db8::1]:6443/prefix"),
            IpAddress::parse("2001:db8::1").value());
  EXPECT_EQ(api_server_address("https://api.example:6443"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::proxy::stream
