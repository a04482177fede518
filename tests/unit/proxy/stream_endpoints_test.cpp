// SPDX-License-Identifier: Apache-2.0
// How a Worker comes to an endpoint: who is asked, who is passed over, and what is told to whom.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using peers::PeerPtr;
using peers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StreamEndpoints : public peers::WorkerTest {};

TEST_F(StreamEndpoints, WhatTheClientHasSaidAcknowledgesTheEndpoint) {
  start();
  Server& web = server(1);
  serve({web.address()});
  const PeerPtr client = connect();
  client->send("x");
  client->step();
  const PeerPtr endpoint = accepted(web);
  EXPECT_EQ(endpoint->packets(), 2u) << "SYN, and what acknowledges and has the byte";
  EXPECT_EQ(endpoint->received(), "x");
}

// ... and without that it does not wait for it.
TEST_F(StreamEndpoints, AServerThatIsToSpeakFirstIsNotKeptWaiting) {
  start();
  Server& web = server(1);
  serve({web.address()});
  for (size_t i = 0; i < 20; ++i) {
    const PeerPtr client = connect();
    run_until([&] { return counters_->connected.value() > i; });
    web.step();
    ASSERT_EQ(web.peers().size(), i + 1) << "the kernel would have acknowledged later";
  }
}

TEST_F(StreamEndpoints, AnEndpointThatRefusesIsPassedOver) {
  start();
  Server& down = server(1, false);
  Server& web = server(2);
  serve({down.address(), web.address()});
  for (size_t i = 0; i < 10; ++i) {
    const PeerPtr client = connect();
    client->send("to whoever is there");  // before any endpoint has been reached
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    run_until([&] { return endpoint->received() == "to whoever is there"; });
    EXPECT_FALSE(client->was_reset());
  }
  EXPECT_GE(counters_->retried.value(), 3u);
  EXPECT_EQ(counters_->ejected.value(), 1u) << "three times, then it is left alone";
  EXPECT_EQ(counters_->retried.value(), 3u);
  EXPECT_EQ(counters_->failed.value(), 0u);
}

// The relay would be asked by itself, and so on, until nobody has a connection any more.
TEST_F(StreamEndpoints, ItIsNoEndpointOfItsOwn) {
  start();
  Server& web = server(1);
  const auto none = service_of({});
  frontend_ = add_frontend(1, none);
  worker_->update(1, service_of({frontend_}));
  const PeerPtr client = connect();
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(counters_->opened.value(), 1u);
  EXPECT_EQ(counters_->failed.value(), 1u);
  worker_->update(1, service_of({frontend_, web.address()}));
  for (size_t i = 0; i < 4; ++i) {
    connect()->send("x");
    const PeerPtr endpoint = accepted(web, i);
    run_until([&] { return endpoint->received() == "x"; });
  }
  EXPECT_EQ(counters_->opened.value(), 5u);
}

// connect(2) itself says so: no TCP to a broadcast address.
TEST_F(StreamEndpoints, AnEndpointThatCannotBeAskedAtAllIsPassedOverAndCounted) {
  start();
  Server& web = server(1);
  serve({web.address(), {IpAddress::v4(255, 255, 255, 255), 80}});
  for (size_t i = 0; i < 2; ++i) {
    const PeerPtr client = connect();
    client->send("hello");
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    run_until([&] { return endpoint->received() == "hello"; });
  }
  EXPECT_GE(counters_->retried.value(), 1u) << "it had its turn";
  EXPECT_EQ(counters_->failed.value(), 0u);
}

TEST_F(StreamEndpoints, WhenAllRefuseTheClientIsReset) {
  start();
  serve({server(1, false).address(), server(2, false).address(), server(3, false).address(),
         server(4, false).address()});
  const PeerPtr client = connect();
  client->send("anybody?");
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(counters_->failed.value(), 1u);
  EXPECT_EQ(counters_->retried.value(), 2u) << "three attempts in all";
  EXPECT_EQ(worker_->connections(), 0u);
}

TEST_F(StreamEndpoints, AnEndpointThatDoesNotAnswerIsGivenUp) {
  WorkerSettings settings;
  settings.relay.connect_timeout = milliseconds(200);
  start(settings);
  Server& silent = server(1);
  Server& web = server(2);
  silent.hang();
  serve({silent.address(), web.address()});
  for (size_t i = 0; i < 4; ++i) {
    const PeerPtr client = connect();
    client->send("hello");
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    run_until([&] { return endpoint->received() == "hello"; });
  }
  EXPECT_GE(counters_->retried.value(), 1u);
  for (size_t i = 4; counters_->ejected.value() == 0 && i < 40; ++i)
    ASSERT_TRUE((connect()->send("hello"), accepted(web, i)));
  EXPECT_EQ(counters_->ejected.value(), 1u) << "it is left out in the end";
  // None else: the client is reset in the end.
  serve({silent.address()});
  const uint64_t retried = counters_->retried.value();
  const PeerPtr client = connect();
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(counters_->retried.value(), retried + 2) << "what was lost may have been a packet";
}

TEST_F(StreamEndpoints, AnEndpointThatDoesNotAnswerAtFirstHasAnotherChance) {
  WorkerSettings settings;
  settings.relay.connect_timeout = seconds(1);
  start(settings);
  Server& web = server(1);
  web.hang();
  serve({web.address()});
  const PeerPtr client = connect();
  client->send("hello");
  // The second SYN has been dropped by then.
  run_until([&] { return counters_->retried.value() == 1; });
  web.resume();
  run_until([&] {
    return std::any_of(web.peers().begin(), web.peers().end(),
                       [](const PeerPtr& peer) { return peer->received() == "hello"; });
  });
  EXPECT_FALSE(client->was_reset());
}

TEST_F(StreamEndpoints, AClientThatGoesWhileItsEndpointIsSoughtIsForgotten) {
  WorkerSettings settings;
  settings.relay.connect_timeout = milliseconds(300);
  start(settings);
  Server& silent = server(1);
  Server& web = server(2);
  silent.hang();
  serve({silent.address(), web.address()});
  for (int i = 0; i < 4; ++i) {
    connect()->send("never mind");
    run_for(milliseconds(20));
    clients_.back()->reset();
  }
  run_until([&] { return worker_->connections() == 0; });
  EXPECT_EQ(counters_->open.value(), 0u);
}

}  // namespace
}  // namespace fairlead::proxy::stream
