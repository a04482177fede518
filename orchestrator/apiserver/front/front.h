// SPDX-License-Identifier: Apache-2.0
// The HTTP face of the Registry on one Loop: routes, negotiation, authentication, streams.
//
// Threads: everything on its Loop's thread. It must be destroyed there, after the HttpServer that
// calls it and before the Registry.
// Limits: watches end after 30 to 60 minutes, or what timeoutSeconds says; a watcher that lets more
// than 10,000 changes, or 32 MiB of them, pile up is closed. What a watch begins with, objects or
// the changes it is behind, does not pile up: it is sent as the client takes it, however much.
#pragma once

#include <memory>
#include <set>

#include "base/http/server.h"
#include "base/metrics.h"
#include "orchestrator/apiserver/auth/auth.h"
#include "orchestrator/apiserver/pod_log.h"
#include "orchestrator/apiserver/registry/registry.h"

namespace fairlead::orchestrator::apiserver {

struct FrontOptions {
  std::string server_address;  // "10.0.0.1:6443", told in discovery
  const Authenticator* authenticator = nullptr;
  Metrics* metrics = nullptr;
};

struct Request;
using RequestRef = std::shared_ptr<Request>;
class Stream;

class Front {
 public:
  Front(Loop& loop, Registry& registry, FrontOptions options, std::unique_ptr<PodLogSource> logs);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  void handle(HttpServerRequest request, std::shared_ptr<HttpResponder> responder);

 private:
  void serve_plain(const RequestRef& request);
  void serve_resource(const RequestRef& request);
  void serve_get(const RequestRef& request);
  void serve_list(const RequestRef& request);
  void serve_watch(const RequestRef& request);
  void serve_create(const RequestRef& request);
  void serve_update(const RequestRef& request);
  void serve_patch(const RequestRef& request);
  void serve_delete(const RequestRef& request);
  void serve_delete_collection(const RequestRef& request);
  void serve_scale(const RequestRef& request);
  void serve_log(const RequestRef& request);
  void serve_pod_create(const RequestRef& request);  // binding, eviction
  WrittenDone written(const RequestRef& request);
  void keep(std::shared_ptr<Stream> stream);

  Loop& loop_;
  Registry& registry_;
  const FrontOptions options_;
  std::unique_ptr<PodLogSource> logs_;
  std::set<std::shared_ptr<Stream>> streams_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::orchestrator::apiserver
