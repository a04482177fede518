// SPDX-License-Identifier: Apache-2.0
// The far end of an ApiClient for one test: a function answers each request, in the clock's next
// moment.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/client.h"

namespace fairlead::orchestrator {

class StubApi : public HttpTransport {
 public:
  using Json = nlohmann::json;
  struct Request {
    std::string method;
    std::string path;
    std::string content_type;
    Json body;
  };
  struct Reply {
    int status = 200;
    Json body = Json::object();
  };

  StubApi(Clock& clock, std::function<Reply(const Request&)> answer)
      : clock_(clock),
        answer_(std::move(answer)),
        credentials_(*kube::Credentials::load(clock, config(),
                                              [](const std::string& path) -> Result<std::string> {
                                                return Error(ErrorCode::kNotFound, path);
                                              })),
        client_(*this, credentials_, "test") {}

  [[nodiscard]] HttpCall send(HttpRequest request, HttpHandlers handlers) override {
    Request seen{request.method, request.url.substr(config().server.size()),
                 std::string(request.headers.get("Content-Type").value_or("")),
                 Json::parse(request.body, nullptr, false)};
    auto call = std::make_unique<Call>();
    call->alarm =
        clock_.after(Duration::zero(), [this, seen, handlers = std::move(handlers)]() mutable {
          const HttpHandlers copy = std::move(handlers);  // outlives the call
          requests.push_back(seen);
          const Reply reply = answer_(seen);
          HttpResponseHead head;
          head.status = reply.status;
          if (copy.on_head) copy.on_head(head);
          if (copy.on_body) copy.on_body(reply.body.dump());
          copy.on_done(head);
        });
    return HttpCall(std::move(call));
  }
  kube::ApiClient& client() { return client_; }
  // Since the last call: "PATCH /api/v1/nodes/n/status".
  std::vector<std::string> lines() {
    std::vector<std::string> list;
    for (const Request& each : std::exchange(requests, {}))
      list.push_back(each.method + " " + each.path);
    return list;
  }

  std::vector<Request> requests;

 private:
  struct Call : HttpCall::Pending {
    Alarm alarm;
  };
  static kube::ClientConfig config() {
    kube::ClientConfig config;
    config.server = "http://test";
    return config;
  }

  Clock& clock_;
  std::function<Reply(const Request&)> answer_;
  kube::Credentials credentials_;
  kube::ApiClient client_;
};

}  // namespace fairlead::orchestrator
