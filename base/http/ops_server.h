// SPDX-License-Identifier: Apache-2.0
// The endpoints an operator and a kubelet look at: /metrics, /healthz, /livez, /readyz.
//
// Threads: one OpsServer lives on one Loop; the checks run there. GET and HEAD only.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/http/server.h"
#include "base/metrics.h"

namespace fairlead {

// What a check found: a healthy answer is 200, any other 503.
struct HealthAnswer {
  bool healthy = true;
  std::string body = "ok";
  std::string content_type = "text/plain; charset=utf-8";
};

struct OpsEndpoints {
  Metrics* metrics = nullptr;  // /metrics; not owned; none: 404
  // By path: "/healthz". More paths may be given.
  std::map<std::string, std::function<HealthAnswer()>> checks;
};

// The handler alone, for a server that has more to say: false when the path is not one of these.
bool serve_ops(const OpsEndpoints& endpoints, const HttpServerRequest& request,
               HttpResponder& responder);

// A server of its own for them. Other paths are 404, other methods 405.
class OpsServer {
 public:
  OpsServer(Loop& loop, OpsEndpoints endpoints);

  // As HttpServer::listen.
  Result<SocketAddress> listen(const SocketAddress& address) { return server_.listen(address); }

 private:
  HttpServer server_;
};

}  // namespace fairlead
