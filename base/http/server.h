// SPDX-License-Identifier: Apache-2.0
// Incoming HTTP/1.1 on libuv, TLS by OpenSSL, parsed by Boost.Beast.
//
// Threads: one server lives on one Loop and calls its handler there; HttpResponder may be kept and
// used later, on that same thread (post to the loop from elsewhere).
// Keep-alive and pipelining: requests of one connection are handled one at a time, in order.
// Back-pressure: HttpResponder::write returns false once more than `max_buffered` bytes wait for a
// slow client; on_drained tells when to go on.
// Limits: header bytes (431), body bytes (413), time to receive a request (408, then close), idle
// time between requests, open connections (one more closes the one that has been between requests
// for longest; if none is, the newest is refused by closing it). A client that takes no byte for
// the idle time while bytes wait for it is closed. A client that closes its sending side while its
// request is being answered counts as gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/http/types.h"
#include "base/loop.h"
#include "base/result.h"

namespace fairlead {

// Who stands behind a verified client certificate: Kubernetes reads the common name as the user and
// the organizations as its groups.
struct HttpClientIdentity {
  std::string common_name;
  std::vector<std::string> organizations;
};

struct HttpServerRequest {
  std::string method;
  std::string target;  // as sent: "/api/v1/pods?limit=5"
  std::string path;    // decoded: "/api/v1/pods"
  std::vector<std::pair<std::string, std::string>> query;
  HttpHeaders headers;
  std::string body;
  SocketAddress peer;
  std::optional<HttpClientIdentity> client;

  std::optional<std::string_view> query_value(std::string_view name) const;
};

// The answer to one request: either respond() once, or start(), write()..., finish().
// Dropping it unanswered closes the connection. After the peer has gone every call does nothing.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;
  virtual void respond(int status, HttpHeaders headers, std::string body) = 0;
  // Chunked transfer coding; HTTP/1.0 clients get the bytes until close.
  virtual void start(int status, HttpHeaders headers) = 0;
  // False: enough is buffered, wait for on_drained. What is given is sent all the same.
  virtual bool write(std::string_view chunk) = 0;
  // The same bytes for many clients without a copy for each.
  virtual bool write_shared(std::shared_ptr<const std::string> chunk) = 0;
  virtual void finish() = 0;
  // Nothing more can be sent: the peer has gone or the answer is complete.
  virtual bool closed() const = 0;
  // Runs each time after write returned false, never inside write.
  virtual void on_drained(std::function<void()> callback) = 0;
  // Runs once if the connection ends before the answer is complete; not when the server is
  // destroyed.
  virtual void on_closed(std::function<void()> callback) = 0;
};

using HttpHandler =
    std::function<void(HttpServerRequest request, std::shared_ptr<HttpResponder> responder)>;

struct TlsServerConfig {
  std::string certificate_pem;  // leaf first, then its chain
  std::string key_pem;
  std::string client_ca_pem;  // empty: client certificates are not asked for
};

// A body and its content type.
struct HttpErrorBody {
  std::string content_type;
  std::string body;
};

struct HttpServerOptions {
  // Words the answers the server itself gives (400, 408, 413, 431, 505); not set: plain text.
  std::function<HttpErrorBody(int status, const std::string& text)> error_body;
  std::optional<TlsServerConfig> tls;
  size_t max_header_bytes = 64 * 1024;
  size_t max_body_bytes = 3 * 1024 * 1024;  // Kubernetes' limit on a request body
  size_t max_buffered_bytes = 1024 * 1024;
  size_t max_connections = 4096;
  Duration request_timeout = std::chrono::seconds(30);
  Duration idle_timeout = std::chrono::minutes(3);
  bool reuse_port = false;  // SO_REUSEPORT: several servers, each on its own loop, share an address
};

class HttpServer {
 public:
  HttpServer(Loop& loop, HttpServerOptions options, HttpHandler handler);
  ~HttpServer();  // closes every connection; may run inside the handler
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds and listens; port 0 takes a free one. Returns the address bound. May be called again for
  // further addresses.
  Result<SocketAddress> listen(const SocketAddress& address);
  // New connections use the new certificate.
  Result<void> set_tls(const TlsServerConfig& tls);
  // Stops accepting, lets running requests finish for `limit`, closes the rest, then calls back.
  void drain(Duration limit, std::function<void()> on_done);
  size_t connections() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fairlead
