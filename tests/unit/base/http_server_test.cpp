// SPDX-License-Identifier: Apache-2.0
// The server against raw bytes: what clients do wrong, slowly, at once, or not at all.
#include "tests/unit/base/http_server_fixture.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace test;

const SocketAddress kLoopback{IpAddress::v4(127, 0, 0, 1), 0};

TEST(HttpServer, ResponsesCarryDateAndLength) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("GET /:"));
  EXPECT_NE(client.received().find("\r\nContent-Length: 6\r\n"), std::string::npos);
  EXPECT_NE(client.received().find(" GMT\r\n"), std::string::npos);
}

TEST(HttpServer, Http10ClosesUnlessAskedNotTo) {
  Loop loop;
  Server server(loop);
  RawClient closing(loop, server.address);
  closing.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(closing.wait_for_end());
  EXPECT_NE(closing.received().find("Connection: close"), std::string::npos);
  RawClient keeping(loop, server.address);
  keeping.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(keeping.wait_for("GET /1:"));
  EXPECT_NE(keeping.received().find("Connection: keep-alive"), std::string::npos);
  keeping.send("GET /2 HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(keeping.wait_for("GET /2:"));
  EXPECT_TRUE(keeping.wait_for_end());
}

TEST(HttpServer, Http10StreamsUntilClose) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send("GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(server.wait_held(1));
  server.held[0]->start(200, {});
  server.held[0]->write("one");
  server.held[0]->write("two");
  server.held[0]->finish();
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_TRUE(client.received().ends_with("\r\n\r\nonetwo"));
  EXPECT_EQ(client.received().find("chunked"), std::string::npos);
}

TEST(HttpServer, ConnectionCloseIsHonoured) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + kGet);
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(server.requests, 1);
}

TEST(HttpServer, PipelinesInOrder) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(many);
  ASSERT_TRUE(client.wait_for("GET /299:"));
  size_t at = 0;
  for (int i = 0; i < 300; ++i) {
    at = client.received().find("GET /" + std::to_string(i) + ":", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST(HttpServer, AHeldAnswerHoldsBackTheNext) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send(kHold + kHold + kGet);
  ASSERT_TRUE(server.wait_held(1));
  loop.run_until([] { return false; }, milliseconds(20));
  EXPECT_EQ(server.requests, 1);
  server.held[0]->respond(200, {}, "first");
  EXPECT_EQ(server.requests, 1) << "the next handler never runs inside respond()";
  ASSERT_TRUE(server.wait_held(2));
  server.held[1]->respond(200, {}, "second");
  ASSERT_TRUE(client.wait_for("GET /:"));
  EXPECT_LT(client.received().find("first"), client.received().find("second"));
}

TEST(HttpServer, StopsReadingWhileAnAnswerIsOutstanding) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  // The kernel's buffers fill and stay full: the server takes a bounded part only.
  const std::string flood(64 * 1024, 'x');
  size_t sent = 0;
  for (int quiet = 0; quiet < 20;) {
    const size_t now = client.send_some(flood);
    sent += now;
    quiet = now == 0 ? quiet + 1 : 0;
    loop.run_until([] { return false; }, milliseconds(1));
    ASSERT_LT(sent, 64u << 20) << "the server reads without bound";
  }
  server.held.clear();
}

TEST(HttpServer, AnswersContinueOnlyWhenItIsWaitedFor) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("abc");
  ASSERT_TRUE(client.wait_for("POST /:abc"));
  client.forget_received();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
  ASSERT_TRUE(client.wait_for("POST /:abc"));
  EXPECT_EQ(count(client.received(), "100 Continue"), 0u);
}

TEST(HttpServer, BodilessStatusesHaveNoBody) {
  Loop loop;
  Server server(loop);
  for (const int status : {204, 304}) {
    RawClient client(loop, server.address);
    client.send(kHold);
    ASSERT_TRUE(server.wait_held(1));
    server.held[0]->respond(status, {}, "nobody sees this");
    server.held.clear();
    client.send(kGet);
    ASSERT_TRUE(client.wait_for("GET /:"));
    EXPECT_EQ(client.received().find("nobody"), std::string::npos);
    EXPECT_EQ(count(client.received(), "Content-Length"), 1u);
  }
}

TEST(HttpServer, HeaderInjectionIsDefused) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  server.held[0]->respond(200,
                          {{"X", "a\r\nSet-Cookie: b"},
                           {"Bad Name", "c"},
                           {"Content-Length", "99"},
                           {"Transfer-Encoding", "chunked"}},
                          "body");
  ASSERT_TRUE(client.wait_for("\r\n\r\nbody"));
  EXPECT_NE(client.received().find("X: a  Set-Cookie: b\r\n"), std::string::npos);
  EXPECT_EQ(client.received().find("Bad Name"), std::string::npos);
  EXPECT_EQ(client.received().find("99"), std::string::npos);
  EXPECT_EQ(client.received().find("chunked"), std::string::npos);
}

TEST(HttpServer, SlowRequestsGet408) {
  Loop loop;
  HttpServerOptions options;
  options.request_timeout = milliseconds(100);
  Server server(loop, options);
  for (const char* part : {"GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n",
                           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"}) {
    RawClient client(loop, server.address);
    client.send(part);
    ASSERT_TRUE(client.wait_for_end());
    EXPECT_TRUE(client.received().starts_with("HTTP/1.1 408 ")) << part;
  }
  RawClient silent(loop, server.address);
  ASSERT_TRUE(silent.wait_for_end());
  EXPECT_EQ(silent.received(), "");
}

TEST(HttpServer, IdleConnectionsAreClosed) {
  Loop loop;
  HttpServerOptions options;
  options.idle_timeout = milliseconds(100);
  Server server(loop, options);
  RawClient client(loop, server.address);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("GET /:"));
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(count(client.received(), "HTTP/1.1 "), 1u);
}

TEST(HttpServer, ALongAnswerIsNotIdle) {
  Loop loop;
  HttpServerOptions options;
  options.idle_timeout = milliseconds(50);
  options.request_timeout = milliseconds(50);
  Server server(loop, options);
  RawClient client(loop, server.address);
  client.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  loop.run_until([] { return false; }, milliseconds(200));
  server.held[0]->respond(200, {}, "late");
  EXPECT_TRUE(client.wait_for("late"));
}

TEST(HttpServer, OfConnectionsBeyondTheCapTheIdlestIsClosed) {
  Loop loop;
  HttpServerOptions options;
  options.max_connections = 2;
  Server server(loop, options);
  RawClient first(loop, server.address);
  RawClient second(loop, server.address);
  second.send(kGet);
  ASSERT_TRUE(second.wait_for("GET /:"));
  first.send(kGet);
  ASSERT_TRUE(first.wait_for("GET /:"));
  RawClient third(loop, server.address);
  third.send(kGet);
  EXPECT_TRUE(third.wait_for("GET /:"));
  EXPECT_TRUE(second.wait_for_end());
  EXPECT_FALSE(first.ended());
  EXPECT_EQ(server.server.connections(), 2u);
}

TEST(HttpServer, TheNewestConnectionBeyondTheCapIsClosedWhereAllAreBusy) {
  Loop loop;
  HttpServerOptions options;
  options.max_connections = 2;
  Server server(loop, options);
  RawClient first(loop, server.address);
  RawClient second(loop, server.address);
  first.send(kHold);
  second.send(kHold);
  ASSERT_TRUE(server.wait_held(2));
  RawClient third(loop, server.address);
  ASSERT_TRUE(third.wait_for_end());
  EXPECT_FALSE(first.ended() || second.ended());
  EXPECT_EQ(server.server.connections(), 2u);
  first.close_now();
  ASSERT_TRUE(loop.run_until([&] { return server.server.connections() == 1; }, seconds(20)));
  RawClient fourth(loop, server.address);
  fourth.send(kGet);
  EXPECT_TRUE(fourth.wait_for("GET /:"));
}

TEST(HttpServer, DroppedAnswerClosesTheConnection) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send("GET /drop HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(client.received(), "");
}

TEST(HttpServer, PeerVanishingDuringTheAnswer) {
  for (const bool by_reset : {false, true}) {
    Loop loop;
    Server server(loop);
    RawClient client(loop, server.address);
    client.send(kHold);
    ASSERT_TRUE(server.wait_held(1));
    server.held[0]->start(200, {});
    server.held[0]->write("something");
    bool closed = false;
    // The callback holds its own responder: the cycle must end with the connection.
    server.held[0]->on_closed(
        [&closed, responder = server.held[0]] { closed = responder->closed(); });
    if (by_reset)
      client.reset();
    else
      client.close_now();
    EXPECT_TRUE(loop.run_until([&] { return closed; }, seconds(20)));
    EXPECT_EQ(server.server.connections(), 0u);
  }
}

TEST(HttpServer, EarlierAnswersReachAClientThatStoppedSending) {
  Loop loop;
  Server server(loop);
  RawClient client(loop, server.address);
  client.send(kGet + kGet);
  client.end_sending();
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_EQ(count(client.received(), "200 OK"), 2u);
}

TEST(HttpServer, SlowReaderMeetsBackPressure) {
  Loop loop;
  HttpServerOptions options;
  options.max_buffered_bytes = 256 * 1024;
  Server server(loop, options);
  RawClient client(loop, server.address, 4096);
  client.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  client.pause();
  const auto responder = server.held[0];
  responder->start(200, {});
  const auto chunk = std::make_shared<const std::string>(64 * 1024, 'c');
  size_t written = 0;
  bool inside = false;
  int drains = 0;
  const auto pump = [&] {
    inside = true;
    bool more = true;
    while (more && written < (32u << 20)) {
      more = responder->write_shared(chunk);
      written += chunk->size();
    }
    inside = false;
  };
  responder->on_drained([&] {
    EXPECT_FALSE(inside);
    ++drains;
    pump();
    if (written >= (32u << 20)) responder->finish();
  });
  pump();
  EXPECT_LT(written, 16u << 20) << "write() must say when it is enough";
  const size_t before = written;
  loop.run_until([] { return false; }, milliseconds(50));
  EXPECT_LT(written - before, 8u << 20);
  client.resume();
  ASSERT_TRUE(client.wait_for("\r\n0\r\n\r\n"));
  EXPECT_GT(drains, 0);
  EXPECT_EQ(count(client.received(), "c"),
            (32u << 20) + count("HTTP/1.1 200 OK Date Transfer-Encoding chunked", "c"));
}

TEST(HttpServer, AClientThatNeverReadsIsClosed) {
  Loop loop;
  HttpServerOptions options;
  options.idle_timeout = milliseconds(100);
  Server server(loop, options);
  RawClient client(loop, server.address, 4096);
  client.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  client.pause();
  bool closed = false;
  server.held[0]->on_closed([&] { closed = true; });
  server.held[0]->start(200, {});
  EXPECT_FALSE(server.held[0]->write(std::string(32u << 20, 'x')));
  EXPECT_TRUE(loop.run_until([&] { return closed; }, seconds(20)));
}

TEST(HttpServer, PipelinedRequestsOfAClientThatDoesNotReadAreBounded) {
  Loop loop;
  HttpServerOptions options;
  options.max_buffered_bytes = 64 * 1024;
  int handled = 0;
  HttpServer server(loop, options, [&](auto, auto responder) {
    ++handled;
    responder->respond(200, {}, std::string(1 << 20, 'x'));
  });
  const auto address = server.listen(kLoopback);
  ASSERT_TRUE(address.ok());
  RawClient client(loop, *address, 4096);
  client.pause();
  for (int i = 0; i < 100; ++i) client.send(kGet);
  loop.run_until([] { return false; }, milliseconds(100));
  EXPECT_LT(handled, 20);
  client.resume();
  ASSERT_TRUE(loop.run_until([&] { return client.received().size() > (100u << 20); }, seconds(30)));
  EXPECT_EQ(handled, 100);
}

TEST(HttpServer, DrainLetsRunningRequestsFinish) {
  Loop loop;
  Server server(loop);
  RawClient busy(loop, server.address);
  RawClient idle(loop, server.address);
  busy.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  bool drained = false;
  server.server.drain(seconds(30), [&] { drained = true; });
  EXPECT_FALSE(drained);
  ASSERT_TRUE(idle.wait_for_end());
  EXPECT_FALSE(RawClient(loop, server.address).connected());
  server.held[0]->respond(200, {}, "finished");
  ASSERT_TRUE(busy.wait_for_end());
  EXPECT_TRUE(busy.received().ends_with("finished"));
  EXPECT_NE(busy.received().find("Connection: close"), std::string::npos);
  busy.close_now();
  EXPECT_TRUE(loop.run_until([&] { return drained; }, seconds(20)));
}

TEST(HttpServer, DrainEndsAtItsLimit) {
  Loop loop;
  Server server(loop);
  RawClient busy(loop, server.address);
  busy.send(kHold);
  ASSERT_TRUE(server.wait_held(1));
  bool closed = false;
  bool drained = false;
  server.held[0]->on_closed([&] { closed = true; });
  server.server.drain(milliseconds(50), [&] { drained = true; });
  EXPECT_TRUE(loop.run_until([&] { return drained; }, seconds(20)));
  EXPECT_TRUE(closed);
  bool again = false;
  server.server.drain(milliseconds(50), [&] { again = true; });
  EXPECT_FALSE(again);
  EXPECT_TRUE(loop.run_until([&] { return again; }, seconds(20)));
}

TEST(HttpServer, MayBeDestroyedAnywhere) {
  enum class When { kInHandlerAnswered, kInHandlerHeld, kInClosed, kInDrained, kInDrainDone };
  for (const When when : {When::kInHandlerAnswered, When::kInHandlerHeld, When::kInClosed,
                          When::kInDrained, When::kInDrainDone}) {
    SCOPED_TRACE(static_cast<int>(when));
    Loop loop;
    std::unique_ptr<HttpServer> server;
    std::shared_ptr<HttpResponder> held;
    HttpServerOptions options;
    options.max_buffered_bytes = 1000;
    server = std::make_unique<HttpServer>(
        loop, options, [&](HttpServerRequest, std::shared_ptr<HttpResponder> responder) {
          if (when == When::kInHandlerAnswered) responder->respond(200, {}, "x");
          held = std::move(responder);
          if (when == When::kInHandlerAnswered || when == When::kInHandlerHeld) server.reset();
        });
    const auto address = server->listen(kLoopback);
    ASSERT_TRUE(address.ok());
    RawClient client(loop, *address, 4096);
    client.send(kGet + kGet);
    ASSERT_TRUE(loop.run_until([&] { return held != nullptr; }, seconds(20)));
    if (when == When::kInClosed) {
      held->on_closed([&] { server.reset(); });
      client.reset();
    } else if (when == When::kInDrained) {
      held->start(200, {});
      held->on_drained([&] { server.reset(); });
      held->write(std::string(16u << 20, 'x'));
    } else if (when == When::kInDrainDone) {
      server->drain(milliseconds(1), [&] { server.reset(); });
    }
    EXPECT_TRUE(loop.run_until([&] { return server == nullptr; }, seconds(20)));
    held->respond(200, {}, "into the void");
    EXPECT_TRUE(held->closed());
  }
}

TEST(HttpServer, OnClosedDoesNotRunWhenTheServerIsDestroyed) {
  Loop loop;
  bool closed = false;
  std::shared_ptr<HttpResponder> held;
  {
    Server server(loop);
    RawClient client(loop, server.address);
    client.send(kHold);
    ASSERT_TRUE(server.wait_held(1));
    held = server.held[0];
    held->on_closed([&] { closed = true; });
  }
  EXPECT_TRUE(held->closed());
  EXPECT_FALSE(closed);
}

TEST(HttpServer, ListenSaysWhatFailed) {
  Loop loop;
  Server server(loop);
  const auto taken = server.server.listen(server.address);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().message(),
            "listen " + server.address.to_string() + ": Address already in use");
  const auto foreign = server.server.listen({IpAddress::v4(192, 0, 2, 1), 0});
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().message(), "listen 192.0.2.1:0: Cannot assign requested address");
  EXPECT_TRUE(server.server.listen(kLoopback).ok()) << "more than one address";
}

TEST(HttpServer, SeveralServersShareAPort) {
  Loop loop;
  HttpServerOptions options;
  options.reuse_port = true;
  Server first(loop, options);
  HttpServer second(loop, options, [](auto, auto) {});
  EXPECT_TRUE(second.listen(first.address).ok());
}

TEST(HttpServer, SpeaksIpv6AndNamesThePeer) {
  Loop loop;
  Server server(loop);
  const auto six = server.server.listen({*IpAddress::parse("::1"), 0});
  ASSERT_TRUE(six.ok()) << six.error().message();
  RawClient client(loop, *six);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("GET /:"));
  EXPECT_EQ(server.last.peer.address.to_string(), "::1");
  const auto dual = server.server.listen({IpAddress::any(Family::kIpv6), 0});
  ASSERT_TRUE(dual.ok());
  RawClient mapped(loop, {IpAddress::v4(127, 0, 0, 1), dual->port});
  mapped.send(kGet);
  ASSERT_TRUE(mapped.wait_for("GET /:"));
  EXPECT_EQ(server.last.peer.address.to_string(), "127.0.0.1");
}

}  // namespace
}  // namespace fairlead
