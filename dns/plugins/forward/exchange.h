// SPDX-License-Identifier: Apache-2.0
// One question to one upstream server and its reply.
//
// UDP from a socket of its own, connected: a random port (the kernel's choice) and a random ID for
// each question, and only datagrams from the server asked arrive. What does not answer the question
// is dropped; the first such datagram sends us to TCP, where nobody can guess (RFC 5452). TC does
// too (RFC 7766 section 5). TCP goes over an idle connection when there is one; if that ends before
// the reply begins the server had closed it, and a new one is made.
//
// Threads: the loop's. The callback runs exactly once, never from the constructor, unless the
// exchange is destroyed first. It may destroy the exchange.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/loop.h"
#include "dns/message.h"
#include "dns/plugins/forward/idle_connections.h"
#include "dns/server/fd.h"

namespace fairlead::dns {

struct ExchangeLimits {
  Duration udp_reply = std::chrono::seconds(2);
  Duration tcp_connect = std::chrono::seconds(2);
  Duration tcp_reply = std::chrono::seconds(2);  // from connected to complete
};

class UpstreamExchange {
 public:
  // The reply lives until the callback returns.
  using OnDone = std::function<void(Result<ReplyView>)>;

  // `query`: a whole message, whose ID is replaced. `idle` outlives the exchange.
  UpstreamExchange(Loop& loop, IdleConnections& idle, const SocketAddress& server,
                   std::vector<uint8_t> query, uint16_t id, bool over_tcp,
                   const ExchangeLimits& limits, OnDone on_done);
  UpstreamExchange(const UpstreamExchange&) = delete;
  UpstreamExchange& operator=(const UpstreamExchange&) = delete;

  const SocketAddress& server() const { return server_; }

 private:
  void start_udp();
  void start_tcp();
  void connect_tcp();
  void await_tcp_reply();
  void on_udp();
  void on_tcp(int events);
  bool write_tcp();
  void read_tcp();
  void tcp_failed(Error error);
  void fail(Error error);
  void give_up_tcp(Error error);
  void done(Result<ReplyView> result);
  Result<void> open(int type);
  std::string what() const;

  Loop& loop_;
  IdleConnections& idle_;
  const SocketAddress server_;
  std::vector<uint8_t> query_;
  const ExchangeLimits limits_;
  OnDone on_done_;
  Fd socket_;
  std::unique_ptr<Poll> poll_;  // closed before the socket
  Timer timer_;
  bool over_tcp_ = false;
  bool connected_ = false;
  bool reused_ = false;  // the connection has carried questions before
  size_t sent_ = 0;
  std::vector<uint8_t> in_;         // the reply so far; over TCP with its length in front
  std::vector<uint8_t> truncated_;  // the reply with TC that made us turn to TCP
};

}  // namespace fairlead::dns
