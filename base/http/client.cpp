// SPDX-License-Identifier: Apache-2.0
#include "base/http/client.h"

#include <vector>

#include "base/http/curl_engine.h"

namespace fairlead {

using internal::CurlEngine;
using internal::CurlTransfer;

// One engine a TLS configuration: the newest takes requests, older ones finish theirs.
class HttpClient::Impl {
 public:
  Impl(Loop& loop, TlsClientConfig tls) : loop_(loop) { use(std::move(tls)); }
  ~Impl() {
    for (const auto& engine : engines_) engine->close();
  }

  void use(TlsClientConfig tls) {
    if (!engines_.empty()) engines_.back()->retire();
    forget_closed();
    engines_.push_back(std::make_shared<CurlEngine>(loop_, std::move(tls), alive_));
  }

  CurlEngine& newest() {
    forget_closed();
    return *engines_.back();
  }

 private:
  void forget_closed() {
    std::erase_if(engines_, [](const auto& engine) { return engine->is_closed(); });
  }

  Loop& loop_;
  const std::shared_ptr<void> alive_ = std::make_shared<char>();
  std::vector<std::shared_ptr<CurlEngine>> engines_;
};

namespace {

struct PendingTransfer : HttpCall::Pending {
  explicit PendingTransfer(std::shared_ptr<CurlTransfer> t) : transfer(std::move(t)) {}
  ~PendingTransfer() override {
    transfer->cancel();
    if (const auto engine = transfer->engine.lock()) engine->cancel(transfer);
  }
  void set_paused(bool paused) override {
    transfer->set_paused(paused);
    const auto engine = transfer->engine.lock();
    if (engine && !paused) engine->resume(transfer);
  }
  std::shared_ptr<CurlTransfer> transfer;
};

}  // namespace

HttpClient::HttpClient(Loop& loop, TlsClientConfig tls)
    : impl_(std::make_shared<Impl>(loop, std::move(tls))) {}
HttpClient::~HttpClient() = default;

HttpCall HttpClient::send(HttpRequest request, HttpHandlers handlers) {
  auto transfer = std::make_shared<CurlTransfer>(std::move(request), std::move(handlers));
  impl_->newest().start(transfer);
  return HttpCall(std::make_unique<PendingTransfer>(std::move(transfer)));
}

void HttpClient::set_tls(TlsClientConfig tls) {
  impl_->use(std::move(tls));
}

namespace {

// What fetch() gathers. `call` is the exchange below it, given up when the body grows too large.
struct Fetch {
  std::string label;
  size_t max_body;
  std::function<void(Result<HttpResponse>)> on_done;
  std::string body;
  HttpCall call;

  void take(std::string_view chunk) {
    if (!on_done) return;
    if (chunk.size() <= max_body - body.size()) {
      body.append(chunk);
      return;
    }
    body = {};
    call.cancel();
    finish(Error(ErrorCode::kResourceExhausted,
                 label + ": the response is larger than " + std::to_string(max_body) + " bytes"));
  }

  void finish(Result<HttpResponse> result) {
    if (const auto done = std::exchange(on_done, nullptr)) done(std::move(result));
  }
};

struct PendingFetch : HttpCall::Pending {
  explicit PendingFetch(std::shared_ptr<Fetch> f) : fetch(std::move(f)) {}
  ~PendingFetch() override {
    fetch->on_done = nullptr;
    fetch->call.cancel();
  }
  std::shared_ptr<Fetch> fetch;
};

}  // namespace

HttpCall fetch(HttpTransport& transport, HttpRequest request, size_t max_body,
               std::function<void(Result<HttpResponse>)> on_done) {
  auto state = std::make_shared<Fetch>();
  state->label = request.method + " " + request.url.substr(0, request.url.find('?'));
  state->max_body = max_body;
  state->on_done = std::move(on_done);
  HttpHandlers handlers;
  handlers.on_body = [state](std::string_view chunk) {
    const auto keep = state;  // the handler itself may go away with the call
    keep->take(chunk);
  };
  handlers.on_done = [state](Result<HttpResponseHead> head) {
    const auto keep = state;
    if (!head.ok()) return keep->finish(head.error());
    keep->finish(HttpResponse{head->status, std::move(head->headers), std::move(keep->body)});
  };
  state->call = transport.send(std::move(request), std::move(handlers));
  return HttpCall(std::make_unique<PendingFetch>(std::move(state)));
}

}  // namespace fairlead
