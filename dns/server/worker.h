// SPDX-License-Identifier: Apache-2.0
// One answering thread: its own loop, sockets, chain and counters. Workers share nothing but the
// published snapshot; the kernel spreads clients over their sockets (SO_REUSEPORT).
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "dns/chain.h"
#include "dns/metrics.h"
#include "dns/server/handler.h"
#include "dns/server/tcp.h"
#include "dns/server/udp.h"

namespace fairlead::dns {

// Everything is called on the thread that made the worker.
class Worker {
 public:
  // `published`, `metrics` and `cookies` outlive the worker.
  Worker(Published& published, WorkerMetrics& metrics, const CookieMaker& cookies,
         const TcpLimits& limits);
  ~Worker();  // stops at once if still running
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before run().
  Result<void> assemble(const ChainConfig& config) {
    return chain_.assemble(loop_, reader_, config);
  }
  Result<void> listen(const SocketAddress& address);

  // Starts the thread, which answers from now on.
  void run();
  // Answers what the kernel has already received, waits for outstanding replies at most `limit`,
  // and ends the thread. Returns at once; join() waits.
  void stop(Duration limit);
  void join();

 private:
  void finish_when_idle();

  Published::Reader reader_;
  Loop loop_;
  Handler handler_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  TcpServer tcp_;
  WorkerMetrics& metrics_;
  MonoTime stop_by_{};
  Timer stop_timer_;
  Chain chain_;  // goes first: what waits in it refers to the sockets
  std::thread thread_;
};

}  // namespace fairlead::dns
