// SPDX-License-Identifier: Apache-2.0
// Queries over UDP: one socket of one worker, up to 64 datagrams in a system call each way.
//
// When the kernel takes no more replies the socket is not read until it does: what cannot be
// answered waits, and is dropped, in the kernel's receive buffer rather than in ours. When more
// come than can be answered the clients that ask most are shed (fair_share.h). Threads: the loop's.
// Nothing is allocated for a query that is answered at once.
#pragma once

#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/loop.h"
#include "dns/metrics.h"
#include "dns/server/fair_share.h"
#include "dns/server/handler.h"
#include "dns/zone/readers.h"

namespace fairlead::dns {

class UdpListener {
 public:
  // A query longer than this is cut, and then malformed.
  static constexpr size_t kMaxQuery = 2048;
  static constexpr unsigned kBatch = 64;

  // `wildcard`: the socket tells where each query went (open_udp). `shed` counts queries that are
  // shed, and outlives the listener.
  UdpListener(Loop& loop, Fd socket, bool wildcard, Handler& handler, WorkerMetrics& metrics,
              Counter& shed, Readers& readers);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  void start();
  // Another counter from now on.
  void count_shed(Counter& shed) { shed_ = &shed; }
  // Answers what the kernel has received and then reads no more. Replies under way are still sent.
  void stop();

 private:
  struct Batch;
  class Path;

  void on_ready();
  bool receive_batch();
  bool sheds(bool full);
  bool send_batch();
  void wait_until_writable();
  void send_one(const SocketAddress& peer, const IpAddress* source,
                std::span<const uint8_t> message);

  Fd socket_;
  const bool wildcard_;
  Handler& handler_;
  WorkerMetrics& metrics_;
  Counter* shed_;
  Readers& readers_;
  Loop& loop_;
  FairShare share_;
  std::unique_ptr<Batch> batch_;
  // For replies that come later: they may find that the listener has gone.
  std::shared_ptr<UdpListener*> self_;
  Poll poll_;
  bool stopped_ = false;
};

}  // namespace fairlead::dns
