// SPDX-License-Identifier: Apache-2.0
// One question to one upstream server and its reply.
//
// UDP from a socket of its own, connected: a random port (the kernel's choice) and a random ID for
// each question, and only datagrams from the server asked arrive. What does not answer the question
// is dropped; the first such datagram sends us to TCP, where nobody can guess (RFC 5452). TC does
// too (RFC 7766 section 5). TCP, or TLS for a server that is asked so and then always, goes over an
// idle connection when there is one; if that ends before the reply begins the server had closed it,
// and a new one is made. HTTPS is libcurl's business, connections included.
//
// Threads: the loop's. The callback runs exactly once, never from the constructor, unless the
// exchange is destroyed first. It may destroy the exchange.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "dns/message.h"
#include "dns/plugins/forward/https_client.h"
#include "dns/plugins/forward/idle_connections.h"
#include "dns/plugins/forward/metrics.h"
#include "dns/plugins/forward/stream.h"
#include "dns/plugins/forward/tls_client.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct ExchangeLimits {
  Duration udp_reply = std::chrono::seconds(2);
  Duration tcp_connect = std::chrono::seconds(2);  // with the handshake of TLS
  Duration tcp_reply = std::chrono::seconds(2);    // from connected to complete
};

// What the questions of one worker have in common; all of it outlives them.
struct Outside {
  Loop& loop;
  TlsDialer& tls;  // outlives `idle`
  IdleConnections& idle;
  std::optional<IpAddress> source;  // where they come from; the kernel's choice without
  HttpsClient* https = nullptr;     // null: no server is asked over HTTPS
};

class UpstreamExchange {
 public:
  // The reply lives until the callback returns.
  using OnDone = std::function<void(Result<ReplyView>)>;

  // `query`: a whole message, whose ID is replaced.
  UpstreamExchange(const Outside& outside, const UpstreamServer& server, std::vector<uint8_t> query,
                   uint16_t id, bool over_tcp, const ExchangeLimits& limits,
                   ForwardMetrics::Server& counts, OnDone on_done);
  UpstreamExchange(const UpstreamExchange&) = delete;
  UpstreamExchange& operator=(const UpstreamExchange&) = delete;

  const UpstreamServer& server() const { return server_; }
  // Why the security of the connection could not be had; empty: that is not what failed.
  const std::string& tls_failure() const { return tls_failure_; }

 private:
  void start_udp();
  void on_udp();
  void start_https();
  void on_https(const Result<HttpResponse>& response);
  void start_stream();
  void connect_stream();
  void use_stream(std::unique_ptr<Stream> stream);
  void on_stream();
  Result<bool> open_stream();
  Result<bool> write_stream();
  Result<bool> read_stream();
  void await_stream_reply();
  void on_stream_reply();
  void stream_failed(Error error);
  void fail(Error error);
  void give_up(Error error);
  void done(Result<ReplyView> result);
  ForwardMetrics::Proto proto() const;
  std::string what() const;
  Error late(const char* what_is_missing) const;

  const Outside& outside_;
  const UpstreamServer server_;
  std::vector<uint8_t> query_;
  const ExchangeLimits limits_;
  ForwardMetrics::Server& counts_;
  OnDone on_done_;
  Fd socket_;                       // for UDP
  std::unique_ptr<Stream> stream_;  // for all else
  std::unique_ptr<Poll> poll_;      // closed before the socket
  Timer timer_;
  bool over_tcp_ = false;
  bool open_ = false;         // the stream
  bool reused_ = false;       // it has carried questions before
  std::vector<uint8_t> out_;  // the query with its length in front
  size_t sent_ = 0;
  std::vector<uint8_t> in_;         // the reply so far; over a stream with its length in front
  std::vector<uint8_t> truncated_;  // the reply with TC that made us turn to TCP
  std::string tls_failure_;
  HttpCall call_;  // over HTTPS
};

}  // namespace fairlead::dns
