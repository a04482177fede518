// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/pod_log.h"

#include <algorithm>

#include "orchestrator/apiserver/error.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxBacklog = 16 << 20;  // a client this far behind is cut off

class NodeLogStream : public PodLogStream {
 public:
  NodeLogStream(HttpTransport& transport, HttpRequest request,
                std::shared_ptr<HttpResponder> responder, std::function<void()> on_done)
      : responder_(std::move(responder)), on_done_(std::move(on_done)) {
    call_ = transport.send(std::move(request),
                           {[this](const HttpResponseHead& head) { on_head(head); },
                            [this](std::string_view chunk) { on_body(chunk); },
                            [this](const Result<HttpResponseHead>& result) { complete(result); }});
  }

 private:
  void on_head(const HttpResponseHead& head) {
    status_ = head.status;
    if (status_ == 200) responder_->start(200, {{"content-type", "text/plain"}});
  }
  void on_body(std::string_view chunk) {
    if (status_ != 200) {
      failure_.append(chunk.substr(0, 1024 - std::min<size_t>(failure_.size(), 1024)));
      return;
    }
    if (responder_->write(chunk)) {
      waiting_ = 0;
      return;
    }
    // The transport cannot be paused: what the client does not take waits here, up to a limit.
    if (waiting_ == 0) responder_->on_drained([this] { waiting_ = 0; });
    waiting_ += chunk.size();
    if (waiting_ > kMaxBacklog) finish();
  }
  void complete(const Result<HttpResponseHead>& result) {
    if (status_ == 200 || (result && result->status == 200)) return finish();
    ApiError error =
        result
            ? bad_request(failure_.empty() ? "the node answered " + std::to_string(result->status)
                                           : failure_)
            : internal("the node cannot be asked: " + result.error().message());
    if (result && result->status == 404) error.status = 404, error.reason = "NotFound";
    responder_->respond(error.status, {{"content-type", "application/json"}}, error.to_json());
    if (const auto done = std::exchange(on_done_, nullptr)) done();
  }
  void finish() {
    responder_->finish();
    if (const auto done = std::exchange(on_done_, nullptr)) done();
  }

  std::shared_ptr<HttpResponder> responder_;
  std::function<void()> on_done_;
  int status_ = 0;
  size_t waiting_ = 0;
  std::string failure_;
  HttpCall call_;
};

class NodeLogSource : public PodLogSource {
 public:
  NodeLogSource(Loop& loop, TlsClientConfig tls, uint16_t port)
      : client_(loop, std::move(tls)), port_(port) {}

  std::unique_ptr<PodLogStream> open(const PodLogRequest& request,
                                     std::shared_ptr<HttpResponder> responder,
                                     std::function<void()> on_done) override {
    HttpRequest http;
    const bool v6 = request.node_address.find(':') != std::string::npos;
    const std::string host = v6 ? "[" + request.node_address + "]" : request.node_address;
    http.url = "https://" + host + ":" + std::to_string(port_) + "/containerLogs/" +
               percent_encode(request.ns) + "/" + percent_encode(request.pod) + "/" +
               percent_encode(request.container);
    if (!request.query.empty()) http.url += "?" + request.query;
    return std::make_unique<NodeLogStream>(client_, std::move(http), std::move(responder),
                                           std::move(on_done));
  }

 private:
  HttpClient client_;
  uint16_t port_;
};

}  // namespace

std::unique_ptr<PodLogSource> make_node_log_source(Loop& loop, TlsClientConfig tls, uint16_t port) {
  return std::make_unique<NodeLogSource>(loop, std::move(tls), port);
}

}  // namespace fairlead::orchestrator::apiserver
