// SPDX-License-Identifier: Apache-2.0
// The client against servers that say odd things, and against chance.
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "base/http/server.h"
#include "tests/support/raw_client.h"
#include "tests/support/seed.h"
#include "tests/unit/base/http_client_fixture.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::fetch_now;
using test::get;
using test::kLoopback;

// Answers every request head with the same bytes, then closes if told to.
class CannedServer {
 public:
  CannedServer(Loop& loop, std::string answer, bool close_after)
      : loop_(loop), answer_(std::move(answer)), close_after_(close_after) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_storage storage;
    socklen_t length = kLoopback.to_sockaddr(storage);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
    address_ = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
    poll_ = std::make_unique<Poll>(loop, fd_);
    poll_->start(UV_READABLE, [this](int) {
      auto& connection = connections_.emplace_back(std::make_unique<Connection>());
      connection->fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      connection->poll = std::make_unique<Poll>(loop_, connection->fd);
      connection->poll->start(UV_READABLE, [this, raw = connection.get()](int) { serve(*raw); });
    });
  }
  ~CannedServer() {
    for (const auto& connection : connections_) connection->end();
    poll_.reset();
    close(fd_);
  }
  std::string url(const std::string& path = "/") const {
    return "http://" + address_.to_string() + path;
  }
  size_t connections() const { return connections_.size(); }
  const std::string& received() const { return received_; }

 private:
  struct Connection {
    int fd = -1;
    std::unique_ptr<Poll> poll;
    void end() {
      poll.reset();
      if (fd >= 0) close(fd);
      fd = -1;
    }
  };
  void serve(Connection& connection) {
    char buffer[65536];
    const ssize_t length = recv(connection.fd, buffer, sizeof buffer, 0);
    if (length <= 0) return connection.end();
    received_.append(buffer, static_cast<size_t>(length));
    if (!received_.ends_with("\r\n\r\n")) return;
    send(connection.fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    if (close_after_) connection.end();
  }

  Loop& loop_;
  const std::string answer_;
  const bool close_after_;
  int fd_ = -1;
  SocketAddress address_;
  std::unique_ptr<Poll> poll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::string received_;
};

TEST(HttpClient, WhatServersSay) {
  struct Case {
    const char* name;
    std::string answer;
    int status;  // 0: an error
    std::string body_or_error;
  };
  const Case cases[] = {
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
      {"until close", "HTTP/1.0 200 OK\r\n\r\nhi", 200, "hi"},
      {"chunks and a trailer",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: u\r\n\r\n", 200,
       "hi"},
      {"interim response",
       "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200,
       "hi"},
      {"redirect is not followed",
       "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, ""},
      {"error status is a response", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", 500, "no"},
      {"nothing", "", 0, "Empty reply from server"},
      {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", 0, "ended inside the response head"},
      {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 0,
       "bytes remaining to read"},
      {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", 0, ""},
      {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, ""},
      {"HTTP/0.9", "hi", 0, "HTTP/0.9"},
      {"another protocol", "SSH-2.0-x\r\n", 0, "HTTP/0.9"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Loop loop;
    CannedServer server(loop, c.answer, true);
    HttpClient client(loop);
    const auto response = fetch_now(loop, client, get(server.url("/p?secret")));
    ASSERT_EQ(response.ok(), c.status != 0) << (response.ok() ? "" : response.error().message());
    if (response.ok()) {
      EXPECT_EQ(response->status, c.status);
      EXPECT_EQ(response->body, c.body_or_error);
      EXPECT_FALSE(response->headers.get("T"));
      EXPECT_FALSE(response->headers.get("A"));
    } else {
      const std::string& message = response.error().message();
      EXPECT_TRUE(message.starts_with("GET " + server.url("/p") + ": ")) << message;
      EXPECT_NE(message.find(c.body_or_error), std::string::npos) << message;
      EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable);
    }
  }
}

TEST(HttpClient, AnEndlessHeadIsRefused) {
  Loop loop;
  std::string answer = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) answer += "X: " + std::string(1000, 'x') + "\r\n";
  CannedServer server(loop, answer, false);
  HttpClient client(loop);
  const auto response = fetch_now(loop, client, get(server.url()));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code(), ErrorCode::kResourceExhausted) << response.error().message();
}

TEST(HttpClient, SendsWhatItWasGivenAndNoMore) {
  Loop loop;
  CannedServer server(loop, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
  HttpClient client(loop);
  HttpRequest request = get(server.url("/a/../b%2Fc"));
  request.headers.add("Accept", "application/json");
  request.headers.add("X", "1");
  request.headers.add("X", "2");
  ASSERT_TRUE(fetch_now(loop, client, request).ok());
  const std::string host = server.url("").substr(7);
  EXPECT_EQ(server.received(), "GET /a/../b%2Fc HTTP/1.1\r\nHost: " + host +
                                   "\r\nAccept: application/json\r\nX: 1\r\nX: 2\r\n\r\n");
}

TEST(HttpClient, IgnoresProxiesOfTheEnvironment) {
  Loop loop;
  CannedServer server(loop, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  HttpClient client(loop);
  EXPECT_TRUE(fetch_now(loop, client, get(server.url())).ok());
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
}

TEST(HttpClient, AConnectionTheServerClosedIsReplaced) {
  Loop loop;
  CannedServer server(loop, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true);
  HttpClient client(loop);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(fetch_now(loop, client, get(server.url())).ok());
  EXPECT_EQ(server.connections(), 5u);
}

// A peer that vanished without a word is found within a minute, asked or not.
TEST(HttpClient, ConnectionsProbeTheirPeer) {
  Loop loop;
  CannedServer server(loop, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false);
  HttpClient client(loop);
  bool begun = false;
  HttpHandlers handlers;
  handlers.on_head = [&](const HttpResponseHead&) { begun = true; };
  const HttpCall call = client.send(get(server.url()), std::move(handlers));
  ASSERT_TRUE(loop.run_until([&] { return begun; }, seconds(20)));
  int found = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* peer = reinterpret_cast<sockaddr*>(&storage);
    if (getpeername(fd, peer, &length) != 0 || storage.ss_family != AF_INET) continue;
    if ("http://" + SocketAddress::from_sockaddr(peer).to_string() + "/" != server.url()) continue;
    ++found;
    const auto option = [fd](int level, int name) {
      int value = -1;
      socklen_t size = sizeof value;
      getsockopt(fd, level, name, &value, &size);
      return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 30);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 10);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 60'000);
  }
  EXPECT_EQ(found, 1);
}

// Random sends, cancels and new credentials against a server that closes as it pleases: descriptors
// are handed out again all the time. Every call that is not cancelled completes exactly once.
TEST(HttpClient, SurvivesChance) {
  std::mt19937_64 rng(test::random_seed());
  Loop loop;
  HttpServer server(loop, {}, [&](HttpServerRequest, std::shared_ptr<HttpResponder> responder) {
    switch (rng() % 4) {
      case 0:
        return;
      case 1:
        return responder->respond(200, {{"Connection", "close"}}, "bye");
      case 2:
        return responder->respond(200, {}, std::string(rng() % 100'000, 'x'));
      default:
        responder->start(200, {});
        responder->write("half");
        if (rng() % 2 == 0) responder->finish();
    }
  });
  const auto address = server.listen(kLoopback);
  ASSERT_TRUE(address.ok());
  struct Call {
    HttpCall call;
    int done = 0;
    bool cancelled = false;
  };
  std::vector<std::unique_ptr<Call>> calls;
  HttpClient client(loop);
  const auto send = [&] {
    auto* call = calls.emplace_back(std::make_unique<Call>()).get();
    call->call =
        fetch(client, get("http://" + address->to_string() + "/"), 50'000, [&, call](auto) {
          ++call->done;
          Call& other = *calls[rng() % calls.size()];
          if (rng() % 4 == 0 && other.done == 0) {
            other.cancelled = true;
            other.call.cancel();
          }
          if (rng() % 64 == 0) client.set_tls({});
        });
  };
  for (int i = 0; i < 1500; ++i) {
    send();
    if (rng() % 3 == 0) loop.run_until([] { return false; }, milliseconds(1));
  }
  const auto settled = [&] {
    return std::all_of(calls.begin(), calls.end(),
                       [](const auto& c) { return c->done + (c->cancelled ? 1 : 0) > 0; });
  };
  EXPECT_TRUE(loop.run_until(settled, seconds(60)));
  for (const auto& call : calls) EXPECT_EQ(call->done + (call->cancelled ? 1 : 0), 1);
}

TEST(HttpClient, LoopsOnSeveralThreadsDoNotMeet) {
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      Loop loop;
      HttpServer server(loop, {}, [](auto, auto responder) { responder->respond(200, {}, "x"); });
      const auto address = server.listen(kLoopback);
      HttpClient client(loop);
      for (int n = 0; address.ok() && n < 50; ++n)
        answered += fetch_now(loop, client, get("http://" + address->to_string())).ok() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 150);
}

}  // namespace
}  // namespace fairlead
