// SPDX-License-Identifier: Apache-2.0
// The workers together: opens every socket first, so that a taken port is known at once, then
// answers. Threads: the program's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "dns/metrics.h"
#include "dns/server/inherited.h"
#include "dns/server/plan.h"
#include "dns/server/worker.h"

namespace fairlead::dns {

class Server {
 public:
  // `released` takes each plan that a worker has no more use for, on the worker's thread: what the
  // plan holds is not to be destroyed there.
  using Released = std::function<void(std::shared_ptr<const Plan>)>;

  // Whether every address that is not inherited is free, before anything else is begun.
  static Result<void> check_free_addresses(const Plan& plan,
                                           const InheritedSockets& inherited = {});

  // Queries wait in the kernel's buffers until run(). Inherited sockets are used for the addresses
  // they have, and kept: a later plan may listen there.
  static Result<std::unique_ptr<Server>> open(std::shared_ptr<const Plan> plan, size_t workers,
                                              Released released = nullptr,
                                              InheritedSockets inherited = {});

  void run();
  bool running() const { return running_; }
  // Another plan in place of the one that is served. What stays is listened on without a gap; on an
  // error nothing is changed.
  Result<void> change_to(std::shared_ptr<const Plan> plan);
  // Blocks until every worker has ended: outstanding replies get at most `limit`.
  void stop(Duration limit);

  // Inherited sockets that the plan does not have are closed.
  void forget_inherited() { inherited_ = {}; }
  // All it listens on, to be handed over. They stay the server's.
  std::vector<int> sockets() const;

  // Where it listens.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  std::span<const std::unique_ptr<WorkerMetrics>> metrics() const { return metrics_; }
  // Queries so far: to see whether any still come.
  uint64_t queries() const;

 private:
  Server(size_t workers, Released released, InheritedSockets inherited);
  void keep_copies(const Plan& plan, const std::vector<std::vector<Worker::Sockets>>& sockets);
  Result<Worker::Sockets> open_sockets(const SocketAddress& address, size_t worker) const;

  InheritedSockets inherited_;
  const Released released_;
  // One secret for all workers: a client's next query may come to another.
  const CookieMaker cookies_;
  std::vector<std::unique_ptr<WorkerMetrics>> metrics_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<SocketAddress> addresses_;
  // Of each address a second descriptor of every worker's sockets, for who takes over.
  std::map<SocketAddress, std::vector<Worker::Sockets>> copies_;
  std::vector<SocketAddress> once_;  // where it has listened: sockets may be on their way out
  bool running_ = false;
};

}  // namespace fairlead::dns
