// SPDX-License-Identifier: Apache-2.0
// TCP connections through a Worker, over loopback: every byte, every kind of end, endpoints and
// clients that misbehave.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>

#include "tests/support/seed.h"
#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using peers::noise;
using peers::PeerPtr;
using peers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StreamRelay : public peers::WorkerTest {};

TEST_F(StreamRelay, EveryByteGoesBothWaysAtOnce) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const uint64_t seed = fairlead::test::random_seed();
  size_t total_up = 0, total_down = 0;
  for (const size_t size : {0ul, 1ul, 1000ul, 65535ul, 65536ul, 65537ul, 1000003ul, 20000000ul}) {
    SCOPED_TRACE(size);
    const std::string up = noise(size, seed + size), down = noise(size * 2 + 7, seed - size);
    const PeerPtr client = connect();
    const size_t index = web.peers().size();
    const PeerPtr endpoint = accepted(web, index);
    ASSERT_TRUE(endpoint);
    client->send(up);
    client->finish();
    endpoint->send(down);
    endpoint->finish();
    run_until([&] { return client->ended() && endpoint->ended(); });
    EXPECT_TRUE(endpoint->received() == up);
    EXPECT_TRUE(client->received() == down);
    EXPECT_FALSE(client->was_reset());
    total_up += up.size();
    total_down += down.size();
  }
  run_until([&] { return worker_->connections() == 0; });
  EXPECT_EQ(counters_->client_bytes.value(), total_up);
  EXPECT_EQ(counters_->server_bytes.value(), total_down);
  EXPECT_EQ(counters_->opened.value(), 8u);
  EXPECT_EQ(counters_->connected.value(), 8u);
  EXPECT_EQ(counters_->open.value(), 0u);
  EXPECT_GT(worker_counters_->pipes.value(), 0u) << "large transfers are spliced";
}

// A direction that always has more to do does not keep the other from being told that it may go on:
// a download whose client pauses beside an upload that is never at rest, both copied.
TEST_F(StreamRelay, ADirectionThatIsNeverDoneDoesNotStopTheOther) {
  WorkerSettings settings;
  settings.relay.pipes = 0;
  settings.relay.buffer = 1024;
  start(settings);
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  client->stop_reading();
  endpoint->send(noise(20'000'000, 1));
  run_until([&] {
    const size_t before = endpoint->unsent();
    run_for(milliseconds(20));
    return before == endpoint->unsent();
  });
  const std::string bytes = noise(1'000'000, 2);
  size_t sent = 0;
  const auto keep_sending = [&] {
    if (client->unsent() < bytes.size()) client->send(bytes), sent += bytes.size();
    return client->received().size() > 15'000'000;
  };
  for (int i = 0; i < 20; ++i) keep_sending(), run_for(milliseconds(1));
  client->stop_reading(false);
  run_until(keep_sending);
  EXPECT_GT(sent, bytes.size());
}

TEST_F(StreamRelay, OneDirectionEndsAndTheOtherGoesOn) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (const bool client_first : {true, false}) {
    SCOPED_TRACE(client_first);
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, web.peers().size());
    ASSERT_TRUE(endpoint);
    const PeerPtr& first = client_first ? client : endpoint;
    const PeerPtr& last = client_first ? endpoint : client;
    first->send("the end");
    first->finish();
    run_until([&] { return last->ended(); });
    EXPECT_EQ(last->received(), "the end");
    for (size_t i = 1; i <= 3; ++i) {
      last->send("still there ");
      run_until([&] { return first->received().size() == 12 * i; });
    }
    EXPECT_FALSE(first->ended());
    last->finish();
    run_until([&] { return first->ended() && worker_->connections() == 0; });
    EXPECT_FALSE(first->was_reset() || last->was_reset());
  }
}

TEST_F(StreamRelay, AServerThatSpeaksFirstAndClosesIsHeard) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (int i = 0; i < 50; ++i) {
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, web.peers().size());
    ASSERT_TRUE(endpoint);
    endpoint->send("hello");
    endpoint->step();
    endpoint->close();
    run_until([&] { return client->ended(); });
    EXPECT_EQ(client->received(), "hello");
    client->close();
  }
  run_until([&] { return worker_->connections() == 0; });
}

TEST_F(StreamRelay, AnEndGoesWithTheLastOfWhatWasSaid) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (const size_t size : {1ul, 3000ul}) {  // the kernel of this machine sends both in one
    const PeerPtr client = connect();
    client->send("x");
    const PeerPtr endpoint = accepted(web, web.peers().size());
    run_until([&] { return endpoint->received() == "x"; });
    const uint32_t before = client->packets();
    endpoint->send(noise(size, size));
    endpoint->finish();
    endpoint->step();  // the relay finds both at once
    run_until([&] { return client->ended(); });
    EXPECT_EQ(client->received(), noise(size, size));
    EXPECT_EQ(client->packets(), before + 1);
    client->close();
  }
}

TEST_F(StreamRelay, AResetIsPassedOnAfterWhatCameBefore) {
  start();
  Server& web = server(1);
  serve({web.address()});
  {
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web);
    ASSERT_TRUE(endpoint);
    endpoint->send("last words");
    endpoint->step();
    endpoint->reset();  // the worker has not run since
    run_until([&] { return client->was_reset(); });
    EXPECT_EQ(client->received(), "last words");
  }
  {
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, 1);
    ASSERT_TRUE(endpoint);
    client->send("hello");
    client->step();
    client->reset();
    run_until([&] { return endpoint->was_reset(); });
    EXPECT_EQ(endpoint->received(), "hello");
  }
  {  // After its end of stream.
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, 2);
    ASSERT_TRUE(endpoint);
    client->finish();
    run_until([&] { return endpoint->ended(); });
    client->reset();
    run_until([&] { return worker_->connections() == 0; });
    endpoint->send("anybody?");
    run_until([&] { return endpoint->was_reset(); });
  }
}

// Whatever finds out first: the send of the upload, or the event.
TEST_F(StreamRelay, AResetDuringAnUploadIsNoCleanEnd) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (size_t i = 0; i < 20 && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    const uint64_t before = counters_->client_bytes.value();
    client->send(noise(20000000, i));
    endpoint->stop_reading(i % 2 == 0);
    run_until([&] { return counters_->client_bytes.value() > before + 1000000; });
    endpoint->send("last words");
    endpoint->step();
    if (i % 4 < 2) client->step();
    endpoint->reset();
    run_until([&] { return client->was_reset() || client->ended(); });
    EXPECT_TRUE(client->was_reset());
    EXPECT_EQ(client->received(), "last words");
    client->close();
  }
  run_until([&] { return worker_->connections() == 0; });
}

// As an HTTP server does that refuses a large body: an answer, and the rest is not read.
TEST_F(StreamRelay, AnAnswerBeforeTheUploadIsOverIsHeard) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (size_t i = 0; i < 20 && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    const uint64_t before = counters_->client_bytes.value();
    client->send(noise(20000000, i));
    endpoint->stop_reading();
    run_until([&] { return counters_->client_bytes.value() > before + 1000000; });
    endpoint->send("413 too large");
    if (i % 2 == 0) endpoint->finish();
    endpoint->step();
    endpoint->close();  // with bytes that nobody has read: a reset
    run_until([&] { return client->was_reset(); });
    EXPECT_EQ(client->received(), "413 too large");
    client->close();
  }
  run_until([&] { return worker_->connections() == 0; });
}

TEST_F(StreamRelay, WhatABrokenServerHadSaidWaitsForASlowReader) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  client->stop_reading();
  const std::string bytes = noise(30000000, fairlead::test::random_seed());
  endpoint->send(bytes);
  run_for(milliseconds(200));  // until nobody takes any more
  endpoint->reset();
  run_for(milliseconds(50));
  EXPECT_EQ(worker_->connections(), 1u);
  client->stop_reading(false);
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(client->received().size(), counters_->server_bytes.value()) << "all that was read";
  EXPECT_TRUE(bytes.starts_with(client->received()));
  EXPECT_EQ(worker_->connections(), 0u);
}

TEST_F(StreamRelay, AReaderThatStopsHoldsItsSenderUpAndLosesNothing) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  const std::string bytes = noise(40000000, fairlead::test::random_seed());
  client->stop_reading();
  endpoint->send(bytes);
  endpoint->finish();
  // Until nothing more is taken, however busy this machine is.
  size_t unsent = bytes.size();
  for (size_t before = 0; unsent != before || unsent == bytes.size();) {
    before = unsent;
    run_for(milliseconds(200));
    unsent = endpoint->unsent();
    ASSERT_GT(unsent, bytes.size() / 4) << "kernel buffers and one pipe hold the rest";
  }
  // The other direction is not held up by it.
  client->send("meanwhile");
  run_until([&] { return endpoint->received() == "meanwhile"; });
  client->stop_reading(false);
  run_until([&] { return client->ended(); });
  EXPECT_TRUE(client->received() == bytes);
}

TEST_F(StreamRelay, AnEndpointThatDripsIsRelayedDropByDrop) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  for (size_t i = 1; i <= 300; ++i) {
    endpoint->send("x");
    run_until([&] { return client->received().size() == i; });
  }
  EXPECT_EQ(worker_counters_->pipes.value(), 0u);
}

TEST_F(StreamRelay, UrgentBytesComeInTheirPlace) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  std::string sent;
  for (int i = 0; i < 20; ++i) {
    const std::string before(static_cast<size_t>(i) * 1000, 'a');
    client->send(before);
    run_until([&] { return client->unsent() == 0; });
    client->send_urgent('!');
    client->send("after");
    sent += before + "!after";
    if (i % 3 == 0) run_until([&] { return endpoint->received() == sent; });
  }
  run_until([&] { return endpoint->received().size() == sent.size(); });
  EXPECT_EQ(endpoint->received(), sent);
}

TEST_F(StreamRelay, NothingMovingForTheTimeOutEndsIt) {
  WorkerSettings settings;
  settings.relay.idle_timeout = seconds(3);
  settings.relay.half_closed_timeout = seconds(1);
  start(settings);
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr idle = connect(), busy = connect();
  const PeerPtr endpoint = accepted(web, 1);
  ASSERT_TRUE(endpoint);
  run_until([&] {
    if (endpoint->received().size() % 10 == 0) busy->send("a few more");
    return idle->was_reset();
  });
  EXPECT_FALSE(busy->was_reset());
  EXPECT_EQ(worker_counters_->timeouts.value(), 1u);
  busy->finish();
  run_until([&] { return worker_->connections() == 0; });
  EXPECT_EQ(worker_counters_->timeouts.value(), 2u);
}

// A peer that vanishes without a word is found by keepalive, which costs four calls: for those that
// have been quiet for a while.
TEST_F(StreamRelay, AQuietConnectionIsWatched) {
  WorkerSettings settings;
  settings.relay.quiet = milliseconds(200);
  start(settings);
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  const auto watched = [&] {
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
      sockaddr_storage storage{};
      socklen_t length = sizeof storage;
      auto* peer = reinterpret_cast<sockaddr*>(&storage);
      if (getpeername(fd, peer, &length) != 0 ||
          SocketAddress::from_sockaddr(peer) != web.address())
        continue;
      int on = 0, idle = 0;
      length = sizeof on;
      getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &length);
      getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &length);
      if (on != 0 && idle == 300) ++count;
    }
    return count;
  };
  EXPECT_EQ(watched(), 0u);
  run_until([&] { return watched() == 1; });
  client->send("still here");
  run_until([&] { return endpoint->received() == "still here"; });
}

TEST_F(StreamRelay, ThousandsOfConnectionsLeaveNothingBehind) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const size_t before = open_descriptors();
  const std::string large = noise(300000, 1);
  for (size_t i = 0; i < 1000; ++i) {
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    client->send(i % 10 == 0 ? large : "hello");
    if (i % 7 == 0) {
      client->step();
      client->reset();
    } else {
      client->finish();
      endpoint->finish();
      run_until([&] { return client->ended() && endpoint->ended(); });
    }
    run_until([&] { return worker_->connections() == 0; });
    client->close();
    endpoint->close();
    clients_.clear();
  }
  const size_t pipes = 2 * worker_counters_->pipes.value();
  EXPECT_EQ(open_descriptors(), before + pipes);
  EXPECT_LE(pipes, 4u);
  EXPECT_EQ(counters_->open.value(), 0u);
}

TEST_F(StreamRelay, WhoIsNotLetInGetsNoAnswer) {
  start();
  Server& web = server(1);
  auto only_others = service_of({web.address()});
  only_others->ranges = std::make_shared<const std::vector<Cidr>>(
      std::vector<Cidr>{Cidr::parse("127.9.0.0/16").value()});
  frontend_ = add_frontend(1, only_others);
  const PeerPtr client = connect();
  client->send("let me in");
  run_for(milliseconds(200));
  EXPECT_FALSE(client->was_reset());
  EXPECT_EQ(web.peers().size(), 0u);
  serve({web.address()});  // anybody, from now on; the SYN comes again after a second
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  run_until([&] { return endpoint->received() == "let me in"; });
}

TEST_F(StreamRelay, ARemovedFrontendRefusesAndItsConnectionsStay) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  const PeerPtr endpoint = accepted(web);
  ASSERT_TRUE(endpoint);
  worker_->remove(1);
  const PeerPtr late = connect();
  run_until([&] { return late->was_reset(); });
  client->send("still here");
  run_until([&] { return endpoint->received() == "still here"; });
  worker_.reset();
  run_until([&] { return client->was_reset() && endpoint->was_reset(); });
}

// Endpoints come, go and stay away while connections, checked byte by byte, begin and end.
TEST_F(StreamRelay, EveryByteArrivesWhileEndpointsChange) {
  std::mt19937_64 random(fairlead::test::random_seed());
  start();
  for (int i = 1; i <= 6; ++i) server(i, i != 3);
  const auto some_of_them = [&] {
    std::vector<SocketAddress> some = {servers_[0]->address()};
    for (size_t i = 1; i < servers_.size(); ++i)
      if (random() % 2 == 0) some.push_back(servers_[i]->address());
    return some;
  };
  serve(some_of_them());
  struct Exchange {
    PeerPtr client, endpoint;
    std::string up, down;
  };
  std::vector<Exchange> exchanges;
  for (int round = 0; round < 60; ++round) {
    serve(some_of_them());
    Exchange exchange;
    // The first bytes say whose it is, so that the endpoint's side is found.
    exchange.up = noise(8 + random() % 200000, random());
    exchange.down = noise(random() % 200000, random());
    exchange.client = connect();
    exchange.client->send(exchange.up);
    exchange.client->finish();
    exchanges.push_back(std::move(exchange));
    run_for(milliseconds(static_cast<int64_t>(random() % 4)));
  }
  const auto find_endpoint = [&](Exchange& exchange) {
    for (const auto& one : servers_)
      for (const PeerPtr& peer : one->peers()) {
        if (peer->received().size() < 8 || exchange.endpoint) continue;
        if (exchange.up.compare(0, 8, peer->received(), 0, 8) != 0) continue;
        exchange.endpoint = peer;
        peer->send(exchange.down);
        peer->finish();
      }
  };
  run_until([&] {
    bool all = true;
    for (Exchange& exchange : exchanges) {
      find_endpoint(exchange);
      all &= exchange.endpoint && exchange.client->ended() && exchange.endpoint->ended();
    }
    return all;
  });
  for (const Exchange& exchange : exchanges) {
    ASSERT_TRUE(exchange.endpoint);
    EXPECT_TRUE(exchange.endpoint->received() == exchange.up);
    EXPECT_TRUE(exchange.client->received() == exchange.down);
  }
  EXPECT_EQ(counters_->failed.value(), 0u);
}

}  // namespace
}  // namespace fairlead::proxy::stream
