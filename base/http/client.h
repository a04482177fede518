// SPDX-License-Identifier: Apache-2.0
// Outgoing HTTP(S) on libcurl's multi interface, driven by a Loop.
//
// Threads: everything on the loop's thread. Completion: on_done of every call runs exactly once
// (success, failure or time-out), never from inside send(), unless the HttpCall is destroyed first:
// then nothing of it runs again. Handlers may destroy their own HttpCall and the client. Destroying
// the client cancels its calls in the same way.
// Limits: connections per host, response header size, and the time-outs of each request.
// Connections are kept alive and reused; HTTP/1.1.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/http/types.h"
#include "base/loop.h"
#include "base/result.h"

namespace fairlead {

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://, absolute
  HttpHeaders headers;
  std::string body;
  Duration connect_timeout = std::chrono::seconds(10);
  Duration total_timeout{};  // zero: none (watches)
  Duration idle_timeout{};   // no byte received for this long; zero: none
};

struct HttpResponseHead {
  int status = 0;
  HttpHeaders headers;
};

struct HttpHandlers {
  std::function<void(const HttpResponseHead&)> on_head;  // optional
  std::function<void(std::string_view chunk)> on_body;   // optional; chunks as they arrive
  // Success means the response was complete, whatever its status.
  std::function<void(Result<HttpResponseHead>)> on_done;
};

// A request under way. Destroying it cancels.
class HttpCall {
 public:
  struct Pending {
    virtual ~Pending() = default;
    virtual void set_paused(bool) {}  // a transport that cannot pause goes on
  };
  HttpCall() = default;
  explicit HttpCall(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}
  void cancel() { pending_.reset(); }
  // Back-pressure. After pause() on_body does not run any more, what has been received stays in the
  // kernel and the peer soon has to wait. resume() goes on, never from inside the call itself. An
  // idle time-out does not count the time between.
  void pause() {
    if (pending_) pending_->set_paused(true);
  }
  void resume() {
    if (pending_) pending_->set_paused(false);
  }
  explicit operator bool() const { return pending_ != nullptr; }

 private:
  std::unique_ptr<Pending> pending_;
};

// The narrow boundary that tests replace.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  [[nodiscard]] virtual HttpCall send(HttpRequest request, HttpHandlers handlers) = 0;
};

// Credentials of the client side. PEM text, not file names: whoever reads the files also watches
// them.
struct TlsClientConfig {
  std::string ca_pem;  // empty: the system's certificate authorities
  std::string certificate_pem;
  std::string key_pem;
  std::string server_name;  // verified instead of the URL's host; empty: the URL's host
  bool insecure_skip_verify = false;
};

class HttpClient : public HttpTransport {
 public:
  explicit HttpClient(Loop& loop, TlsClientConfig tls = {});
  ~HttpClient() override;

  [[nodiscard]] HttpCall send(HttpRequest request, HttpHandlers handlers) override;

  // New connections use these; running requests keep theirs.
  void set_tls(TlsClientConfig tls);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// The whole body in one string, at most `max_body` bytes (more is kResourceExhausted).
struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;
};
[[nodiscard]] HttpCall fetch(HttpTransport& transport, HttpRequest request, size_t max_body,
                             std::function<void(Result<HttpResponse>)> on_done);

}  // namespace fairlead
