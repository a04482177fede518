// SPDX-License-Identifier: Apache-2.0
// Datagrams through a Worker, over loopback.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>

#include "proxy/stream/sockets.h"
#include "tests/support/seed.h"
#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using peers::Datagram;
using peers::noise;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StreamUdp : public peers::WorkerTest {
 protected:
  Datagram& endpoint() {
    sockets_.push_back(std::make_unique<Datagram>());
    sockets_.back()->echo = true;
    return *sockets_.back();
  }
  Datagram& client() {
    sockets_.push_back(std::make_unique<Datagram>());
    return *sockets_.back();
  }
  void serve_udp(const std::vector<SocketAddress>& endpoints) {
    if (worker_->listeners() == 0)
      frontend_ = add_frontend(2, service_of(endpoints, Protocol::kUdp));
    else
      worker_->update(2, service_of(endpoints, Protocol::kUdp));
  }
  void wait_until(const std::function<bool()>& done) {
    run_until([&] {
      for (const auto& socket : sockets_) socket->step();
      return done();
    });
  }
  std::vector<std::unique_ptr<Datagram>> sockets_;
};

TEST_F(StreamUdp, AnswersComeFromTheAddressThatWasAsked) {
  start();
  Datagram& dns = endpoint();
  serve_udp({dns.address()});
  Datagram &one = client(), &other = client();
  const uint64_t seed = fairlead::test::random_seed();
  std::vector<std::string> sent;
  for (const size_t size : {1ul, 0ul, 100ul, 1472ul, 9000ul, 65507ul}) {
    sent.push_back(noise(size, seed + size));
    one.send(frontend_, sent.back());
    wait_until([&] { return one.received.size() == sent.size(); });
    EXPECT_TRUE(one.received.back() == sent.back()) << size;
    EXPECT_EQ(one.senders.back(), frontend_);
  }
  other.send(frontend_, "mine");
  wait_until([&] { return other.received.size() == 1; });
  EXPECT_EQ(one.received.size(), sent.size());
  EXPECT_EQ(worker_->sessions(), 2u) << "one for each client";
  EXPECT_EQ(counters_->opened.value(), 2u);
  EXPECT_EQ(counters_->client_bytes.value(), counters_->server_bytes.value());
}

TEST_F(StreamUdp, ManyAtOnceKeepTheirOrderAndTheirClient) {
  start();
  Datagram &a = endpoint(), &b = endpoint();
  serve_udp({a.address(), b.address()});
  std::vector<Datagram*> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(&client());
  for (int n = 0; n < 50; ++n) {  // a socket's buffer has room for 200
    for (size_t i = 0; i < clients.size(); ++i)
      clients[i]->send(frontend_, std::to_string(i) + ":" + std::to_string(n));
    if (n % 5 != 4) continue;
    wait_until([&] {
      return std::all_of(clients.begin(), clients.end(), [n](const Datagram* one) {
        return one->received.size() == size_t(n) + 1;
      });
    });
  }
  for (const Datagram* one : clients) ASSERT_EQ(one->received.size(), 50u);
  for (size_t i = 0; i < clients.size(); ++i)
    for (int n = 0; n < 50; ++n)
      EXPECT_EQ(clients[i]->received[static_cast<size_t>(n)],
                std::to_string(i) + ":" + std::to_string(n));
  EXPECT_EQ(a.received.size(), 500u) << "ten clients each";
}

TEST_F(StreamUdp, AnEndpointThatRefusesOrGoesIsLeft) {
  start();
  Datagram &gone = endpoint(), &web = endpoint();
  const SocketAddress dead = gone.address();
  gone.close();
  serve_udp({dead, web.address()});
  // A refusal is heard after the datagram has been sent; it is not lost.
  for (int i = 0; i < 8; ++i) {
    Datagram& some = client();
    some.send(frontend_, "hello");
    some.send(frontend_, "");
    some.send(frontend_, "and again");
    wait_until([&] { return some.received.size() == 3; });
    EXPECT_EQ(some.received, (std::vector<std::string>{"hello", "", "and again"}));
  }
  EXPECT_GE(counters_->retried.value(), 3u);
  EXPECT_EQ(counters_->ejected.value(), 1u);
  EXPECT_EQ(worker_counters_->dropped_datagrams.value(), 0u);
  Datagram& one = client();
  one.send(frontend_, "hello");
  wait_until([&] { return !one.received.empty(); });
  // Both endpoints leave: the session goes at once.
  Datagram& next = endpoint();
  serve_udp({next.address()});
  EXPECT_EQ(worker_->sessions(), 0u);
  one.send(frontend_, "and you?");
  wait_until([&] { return !next.received.empty(); });  // what was at hand comes too
  // Nobody is left.
  serve_udp({});
  one.send(frontend_, "anybody?");
  wait_until(
      [&] { return worker_counters_->dropped_datagrams.value() + counters_->denied.value() > 0; });
  EXPECT_EQ(worker_->sessions(), 0u);
}

TEST_F(StreamUdp, WhatNobodyTakesIsDropped) {
  start();
  std::vector<SocketAddress> dead;
  for (int i = 0; i < 4; ++i) {
    Datagram& gone = endpoint();
    dead.push_back(gone.address());
    gone.close();
  }
  serve_udp({dead[0]});
  Datagram& one = client();
  one.send(frontend_, "hello");
  wait_until([&] { return worker_counters_->dropped_datagrams.value() == 1; });
  EXPECT_EQ(worker_->sessions(), 0u);
  serve_udp(dead);
  one.send(frontend_, "anybody?");
  wait_until([&] { return worker_counters_->dropped_datagrams.value() == 2; });
  EXPECT_EQ(counters_->retried.value(), 2u) << "three endpoints in all";
  EXPECT_EQ(worker_->sessions(), 0u);
}

// Whoever has refused is not asked again, though the policy would (who refuses has nothing to do);
// however many datagrams there are.
TEST_F(StreamUdp, WhatIsRefusedGoesToAnother) {
  start();
  Datagram& web = endpoint();
  std::vector<SocketAddress> all = {web.address()};
  for (int i = 0; i < 2; ++i) {
    Datagram& gone = endpoint();
    all.push_back(gone.address());
    gone.close();
  }
  auto service = service_of(all, Protocol::kUdp);
  auto set = std::make_shared<EndpointSet>(*service->outside);
  set->policy = Policy::kLeastConnections;
  service->outside = set;
  frontend_ = add_frontend(2, service);
  for (size_t count = 1; count <= 4; ++count) {
    Datagram& some = client();
    for (size_t i = 0; i < count; ++i) some.send(frontend_, std::to_string(i));
    wait_until([&] { return some.received.size() == count; });
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(some.received[i], std::to_string(i));
  }
  EXPECT_GE(counters_->retried.value(), 4u);
  EXPECT_EQ(worker_counters_->dropped_datagrams.value(), 0u);
}

// The refusal is told by a call that sends; what had been answered was there before.
TEST_F(StreamUdp, WhatWasAnsweredBeforeARefusalArrives) {
  start();
  Datagram& web = endpoint();
  web.echo = false;
  serve_udp({web.address()});
  Datagram& one = client();
  one.send(frontend_, "hello");
  wait_until([&] { return !web.received.empty(); });
  for (size_t i = 0; i < Datagrams::kMost + 8; ++i) one.send(frontend_, "more");
  web.send(web.senders.front(), "answer");
  web.close();
  wait_until([&] { return !one.received.empty(); });
  EXPECT_EQ(one.received, std::vector<std::string>{"answer"});
}

// A datagram would go round for ever.
TEST_F(StreamUdp, ItIsNoEndpointOfItsOwn) {
  start();
  Datagram& web = endpoint();
  serve_udp({web.address()});
  serve_udp({frontend_});
  Datagram& one = client();
  one.send(frontend_, "hello");
  wait_until([&] { return worker_counters_->dropped_datagrams.value() == 1; });
  EXPECT_EQ(worker_->sessions(), 0u);
  serve_udp({frontend_, web.address()});
  one.send(frontend_, "hello");
  wait_until([&] { return one.received.size() == 1; });
  EXPECT_EQ(counters_->opened.value(), 1u);
}

// More than is kept: what was refused is lost, what comes then is not.
TEST_F(StreamUdp, WhatIsMuchIsNotKept) {
  start();
  Datagram &gone = endpoint(), &web = endpoint();
  const SocketAddress dead = gone.address();
  gone.close();
  serve_udp({dead, web.address()});
  for (int i = 0; i < 2; ++i) {  // each has its turn
    Datagram& some = client();
    some.send(frontend_, std::string(4000, 'x'));
    wait_until([&] {
      some.send(frontend_, "again");
      return !some.received.empty();
    });
  }
  EXPECT_EQ(counters_->retried.value(), 0u);
}

// Bursts that rules would pass: 92 of these fit the buffer that a socket has by itself, 184 one
// that asks for the most it may have without a privilege.
TEST_F(StreamUdp, ABurstFindsRoom) {
  start();
  Datagram& dns = endpoint();
  serve_udp({dns.address()});
  Datagram& one = client();
  one.send(frontend_, "first");
  wait_until([&] { return one.received.size() == 1; });
  for (int i = 0; i < 150; ++i) one.send(frontend_, std::string(1200, 'x'));
  wait_until([&] { return one.received.size() == 151; });
}

TEST_F(StreamUdp, ALeavingEndpointThatServesKeepsItsSessions) {
  start();
  Datagram &a = endpoint(), &b = endpoint();
  serve_udp({a.address()});
  Datagram& one = client();
  one.send(frontend_, "1");
  wait_until([&] { return one.received.size() == 1; });
  auto service = service_of({b.address()}, Protocol::kUdp);
  auto set = std::make_shared<EndpointSet>(*service->outside);
  set->leaving = {a.address()};
  service->outside = set;
  worker_->update(2, service);
  one.send(frontend_, "2");
  wait_until([&] { return one.received.size() == 2; });
  EXPECT_EQ(a.received.size(), 2u);
  Datagram& other = client();
  other.send(frontend_, "3");
  wait_until([&] { return other.received.size() == 1; });
  EXPECT_EQ(b.received.size(), 1u);
}

// As when externalTrafficPolicy changes: the endpoints are those of another set.
TEST_F(StreamUdp, ASetThatTakesAnothersPlaceEndsTheSessionsItDoesNotServe) {
  start();
  Datagram &stays = endpoint(), &goes = endpoint();
  serve_udp({stays.address(), goes.address()});
  std::vector<Datagram*> clients = {&client(), &client()};
  for (Datagram* one : clients) {
    one->send(frontend_, "1");
    wait_until([&] { return one->received.size() == 1; });
  }
  EXPECT_EQ(worker_->sessions(), 2u);
  auto service = service_of({stays.address()}, Protocol::kUdp);
  auto set = std::make_shared<EndpointSet>(*service->outside);
  set->id = 77;
  service->outside = set;
  worker_->update(2, service);
  EXPECT_EQ(worker_->sessions(), 1u);
  for (Datagram* one : clients) {
    one->send(frontend_, "2");
    wait_until([&] { return one->received.size() == 2; });
  }
  EXPECT_EQ(goes.received.size(), 1u);
  EXPECT_EQ(stays.received.size(), 3u);
}

TEST_F(StreamUdp, SessionsEndByTimeAndByNumber) {
  WorkerSettings settings;
  settings.udp.fresh_timeout = seconds(2);
  settings.udp.timeout = seconds(4);
  settings.udp.sessions = 3;
  start(settings);
  Datagram& web = endpoint();
  serve_udp({web.address()});
  const size_t before = open_descriptors();
  std::vector<Datagram*> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(&client());
    clients.back()->send(frontend_, "x");
    wait_until([&] { return clients.back()->received.size() == 1; });
  }
  EXPECT_EQ(worker_->sessions(), 3u);
  EXPECT_EQ(worker_counters_->evicted_sessions.value(), 2u);
  wait_until([&] { return worker_->sessions() == 0; });
  web.echo = false;
  clients[0]->send(frontend_, "no answer");
  wait_until([&] { return web.received.size() == 6; });
  EXPECT_EQ(worker_->sessions(), 1u);
  wait_until([&] { return worker_->sessions() == 0; });
  EXPECT_EQ(open_descriptors(), before + clients.size());
  EXPECT_EQ(counters_->open.value(), 0u);
}

// A call goes on while others ask one thing each, however many.
TEST_F(StreamUdp, WhatLastsIsKeptBeforeQuestionsWithOneAnswer) {
  WorkerSettings settings;
  settings.udp.sessions = 3;
  start(settings);
  Datagram& web = endpoint();
  serve_udp({web.address()});
  Datagram& call = client();
  const auto answered = [&](Datagram& one, size_t times) {
    one.send(frontend_, "x");
    wait_until([&] { return one.received.size() == times; });
  };
  answered(call, 1);
  const SocketAddress seen = web.senders.back();
  run_for(kLasting);
  answered(call, 2);
  for (int i = 0; i < 6; ++i) answered(client(), 1);
  EXPECT_EQ(worker_->sessions(), 3u);
  answered(call, 3);
  EXPECT_EQ(web.senders.back(), seen) << "the same session";
}

TEST_F(StreamUdp, ARemovedFrontendEndsItsSessions) {
  start();
  Datagram& web = endpoint();
  serve_udp({web.address()});
  Datagram& one = client();
  one.send(frontend_, "x");
  wait_until([&] { return one.received.size() == 1; });
  one.send(frontend_, "y");  // at hand when it is removed
  worker_->remove(2);
  EXPECT_EQ(worker_->sessions(), 0u);
  run_for(milliseconds(20));
  EXPECT_EQ(web.received.size(), 1u);
}

}  // namespace
}  // namespace fairlead::proxy::stream
