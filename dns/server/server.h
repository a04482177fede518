// SPDX-License-Identifier: Apache-2.0
// The workers together: opens every socket first, so that a taken port is known at once, then
// answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dns/chain.h"
#include "dns/metrics.h"
#include "dns/server/worker.h"

namespace fairlead::dns {

struct ServerOptions {
  std::vector<SocketAddress> listen;
  // Addresses of `listen` that may be left out when the kernel has no such family.
  bool ipv6_optional = false;
  size_t workers = 1;
  TcpLimits tcp{};  // of all workers together; each gets its share
};

class Server {
 public:
  // Queries wait in the kernel's buffers until run(). `published` outlives the server.
  static Result<std::unique_ptr<Server>> open(ServerOptions options, const ChainConfig& config,
                                              Published& published);

  void run();
  bool running() const { return running_; }
  // Blocks until every worker has ended: outstanding replies get at most `limit`.
  void stop(Duration limit);

  const std::vector<SocketAddress>& addresses() const { return options_.listen; }
  std::span<const std::unique_ptr<WorkerMetrics>> metrics() const { return metrics_; }
  // Queries so far: to see whether any still come.
  uint64_t queries() const;

 private:
  explicit Server(ServerOptions options);

  ServerOptions options_;
  // One secret for all workers: a client's next query may come to another.
  const CookieMaker cookies_;
  std::vector<std::unique_ptr<WorkerMetrics>> metrics_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool running_ = false;
};

}  // namespace fairlead::dns
