// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/pod_log.h"

#include <algorithm>

#include "base/log.h"
#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxFailure = 4096;

// What the node said, in its status and words.
ApiError error_of_node(int status, const std::string& body) {
  std::string message = body;
  if (const auto parsed = parse_json(body); parsed && parsed->is_object())
    message = string_at(*parsed, "message");
  if (message.empty()) message = "the node answered " + std::to_string(status);
  if (status == 400) return bad_request(message);
  if (status == 404) {
    ApiError error = bad_request(message);
    error.status = 404;
    error.reason = "NotFound";
    return error;
  }
  if (status == 429) return unavailable("the node is busy: " + message);
  return internal("the node answered " + std::to_string(status) + ": " + message);
}

// As fast as the client takes it: when it has enough, the node waits.
class NodeLogStream : public PodLogStream {
 public:
  NodeLogStream(HttpTransport& transport, HttpRequest request,
                std::shared_ptr<HttpResponder> responder, std::function<void()> on_done)
      : responder_(std::move(responder)), on_done_(std::move(on_done)) {
    responder_->on_drained([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) call_.resume();
    });
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
    if (status_ != 200)
      failure_.append(chunk.substr(0, kMaxFailure - std::min(failure_.size(), kMaxFailure)));
    else if (!responder_->write(chunk))
      call_.pause();
  }
  void complete(const Result<HttpResponseHead>& result) {
    if (status_ == 200 && result) {
      responder_->finish();
    } else if (status_ == 200) {
      // Without its end the answer is seen to be broken: a part never passes for the whole.
      log::warn("api: a log broke off: {}", result.error().message());
      responder_.reset();
    } else {
      const ApiError error =
          result ? error_of_node(status_, failure_)
                 : internal("the node cannot be asked: " + result.error().message());
      responder_->respond(error.status, {{"content-type", "application/json"}}, error.to_json());
    }
    if (const auto done = std::exchange(on_done_, nullptr)) done();
  }

  std::shared_ptr<HttpResponder> responder_;
  std::function<void()> on_done_;
  int status_ = 0;
  std::string failure_;
  HttpCall call_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
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
