// SPDX-License-Identifier: Apache-2.0
// Where the lines of a container come from: the node that runs it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/client.h"
#include "base/http/server.h"

namespace fairlead::orchestrator::apiserver {

struct PodLogRequest {
  std::string ns, pod, container;
  std::string node_address;  // InternalIP
  std::string query;         // "follow=true&tailLines=10", as the client gave it
};

// A running transfer; destroying it ends it.
class PodLogStream {
 public:
  virtual ~PodLogStream() = default;
};

class PodLogSource {
 public:
  virtual ~PodLogSource() = default;
  // Answers through `responder`, with a Status on failure; on_done runs once when it is complete,
  // never from inside the call. On one Loop. Of any size: a client that is slow is waited for, and
  // nothing piles up. An answer that cannot be completed ends the connection.
  virtual std::unique_ptr<PodLogStream> open(const PodLogRequest& request,
                                             std::shared_ptr<HttpResponder> responder,
                                             std::function<void()> on_done) = 0;
};

// From https://NODE:port/containerLogs/NS/POD/CONTAINER?QUERY, the kubelet's URL, with the client
// certificate of `tls`.
std::unique_ptr<PodLogSource> make_node_log_source(Loop& loop, TlsClientConfig tls, uint16_t port);

}  // namespace fairlead::orchestrator::apiserver
