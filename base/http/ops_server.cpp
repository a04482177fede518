// SPDX-License-Identifier: Apache-2.0
#include "base/http/ops_server.h"

#include <utility>

namespace fairlead {
namespace {

const HttpHeaders kPlainText{{"Content-Type", "text/plain; charset=utf-8"}};

HttpServerOptions small_server() {
  HttpServerOptions options;
  options.max_header_bytes = 16 * 1024;
  options.max_body_bytes = 64 * 1024;
  options.max_connections = 256;
  return options;
}

}  // namespace

bool serve_ops(const OpsEndpoints& endpoints, const HttpServerRequest& request,
               HttpResponder& responder) {
  const bool wants_metrics = request.path == "/metrics" && endpoints.metrics != nullptr;
  const auto check = endpoints.checks.find(request.path);
  if (!wants_metrics && check == endpoints.checks.end()) return false;
  if (request.method != "GET" && request.method != "HEAD") {
    responder.respond(405, {{"Allow", "GET, HEAD"}}, "");
  } else if (wants_metrics) {
    responder.respond(200, {{"Content-Type", Metrics::kContentType}}, endpoints.metrics->text());
  } else {
    HealthAnswer answer = check->second();
    responder.respond(
        answer.healthy ? 200 : 503,
        {{"Content-Type", answer.content_type}, {"X-Content-Type-Options", "nosniff"}},
        std::move(answer.body));
  }
  return true;
}

OpsServer::OpsServer(Loop& loop, OpsEndpoints endpoints)
    : server_(loop, small_server(),
              [endpoints = std::move(endpoints)](const HttpServerRequest& request,
                                                 const std::shared_ptr<HttpResponder>& responder) {
                if (!serve_ops(endpoints, request, *responder))
                  responder->respond(404, kPlainText, "not found\n");
              }) {}

}  // namespace fairlead
