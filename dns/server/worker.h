// SPDX-License-Identifier: Apache-2.0
// One answering thread: its own loop, sockets, chains and counters. Workers share nothing but the
// plan and what its plugins publish; the kernel spreads clients over their sockets (SO_REUSEPORT).
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "dns/metrics.h"
#include "dns/server/generation.h"
#include "dns/server/handler.h"
#include "dns/server/plan.h"
#include "dns/server/tcp.h"
#include "dns/server/udp.h"

namespace fairlead::dns {

// Everything is called on the thread that made the worker.
class Worker {
 public:
  // The sockets of one address.
  struct Sockets {
    Fd udp;
    Fd tcp;
  };

  // `metrics` and `cookies` outlive the worker.
  Worker(WorkerMetrics& metrics, const CookieMaker& cookies, size_t workers);
  ~Worker();  // stops at once if still running
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Serves `plan` from now on. `sockets`: of those of its listeners that the worker has not, in the
  // plan's order. What was asked before is still answered by the old plan; when nothing of it waits
  // any more (ten seconds at most) `released` takes it, on the worker's thread.
  void serve(std::shared_ptr<const Plan> plan, std::vector<Sockets> sockets,
             std::function<void(std::shared_ptr<const Plan>)> released);

  // Starts the thread, which answers from now on.
  void run();
  // Answers what the kernel has already received, waits for outstanding replies at most `limit`,
  // and ends the thread. Returns at once; join() waits.
  void stop(Duration limit);
  void join();

 private:
  // One address that is listened on.
  struct Binding {
    SocketAddress address;
    std::unique_ptr<Handler> handler;
    std::unique_ptr<UdpListener> udp;  // nullptr: no longer listened on
    bool closing = false;              // until nothing waits for a reply over it
  };
  // A plan that is no longer served.
  struct Old {
    std::unique_ptr<Generation> generation;
    std::vector<size_t> closing;  // bindings that the next plan does not have
    std::function<void(std::shared_ptr<const Plan>)> released;
    MonoTime until{};
  };

  void change_to(std::shared_ptr<const Plan> plan, std::vector<Sockets> sockets,
                 std::function<void(std::shared_ptr<const Plan>)> released);
  void bind(const Generation& generation, size_t number, std::vector<Sockets>& sockets);
  std::vector<size_t> unbind_others();
  const Router& router_for(const SocketAddress& address) const;
  TcpLimits share_of(const TcpLimits& limits) const;
  void release_old();
  void finish_when_idle();

  WorkerMetrics& metrics_;
  const CookieMaker& cookies_;
  const size_t workers_;
  Readers readers_;
  Loop loop_;
  std::vector<Binding> bindings_;
  TcpServer tcp_;
  MonoTime stop_by_{};
  Timer stop_timer_;
  Timer release_timer_;
  bool running_ = false;
  // Go first: what waits in them refers to the sockets.
  std::vector<Old> old_;
  std::unique_ptr<Generation> current_;
  std::function<void(std::shared_ptr<const Plan>)> released_;  // for the current one
  std::thread thread_;
};

}  // namespace fairlead::dns
