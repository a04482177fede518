// SPDX-License-Identifier: Apache-2.0
// The API server as a part of a program: store, registry, HTTPS, bootstrap objects.
//
// Threads: start and stop from one thread. Requests are served on threads of its own, each with a
// Loop; the store has another. in_process() gives an Api on a Loop of the caller's; every such Api
// and its watches are destroyed before stop().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/http/server.h"
#include "base/metrics.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/apiserver/pki.h"
#include "orchestrator/apiserver/pod_log.h"

namespace fairlead::orchestrator {

struct ApiServerOptions {
  std::string data_dir;  // the database is data_dir/state.db
  SocketAddress bind{IpAddress::any(Family::kIpv4), 6443};
  IpAddress advertise;  // of default/kubernetes' endpoint: one that pods can reach
  Cidr service_cidr;    // "10.96.0.0/16"
  uint16_t node_port_first = 30000;
  uint16_t node_port_last = 32767;
  Pki pki;
  int io_threads = 1;
  uint16_t node_api_port = 10250;  // where nodes serve container logs
  // Where pods' logs come from, made once on each I/O loop; not set: from the nodes over HTTPS.
  std::function<std::unique_ptr<apiserver::PodLogSource>(Loop&)> make_log_source;
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options);
  ~ApiServer();  // stops
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Opens the store, makes the bootstrap objects, listens. Blocks until requests are served or it
  // failed; the Error says what to do (port taken, data directory in use, file damaged).
  Result<void> start();
  void stop();

  SocketAddress address() const;  // bound; after start()
  std::unique_ptr<Api> in_process(Loop& loop);
  Metrics& metrics();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::orchestrator
