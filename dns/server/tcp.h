// SPDX-License-Identifier: Apache-2.0
// Queries over TCP (RFC 7766): many to a connection, answered as answers come, in any order.
//
// Limits, so that no client can wear the server out: connections altogether and from one address; a
// deadline for each message from its first byte (a byte now and then does not extend it); idle
// time; time without progress while we have something to send; queries of one connection that wait
// for an answer, and bytes of replies it has not taken: beyond those it is not read. When all
// connections are taken the one idle for longest makes room; when none is idle the newcomer is
// closed. A message of no bytes, or over 4096, closes the connection. Threads: the loop's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/loop.h"
#include "dns/metrics.h"
#include "dns/server/fd.h"
#include "dns/server/handler.h"
#include "dns/zone/snapshot.h"

namespace fairlead::dns {

// Of one worker.
struct TcpLimits {
  size_t connections = 512;
  size_t connections_per_client = 64;
  Duration message = std::chrono::seconds(3);
  Duration idle = std::chrono::seconds(10);
  Duration write = std::chrono::seconds(5);
  size_t waiting_queries = 128;
  size_t unsent_bytes = 256 * 1024;
};

class TcpServer {
 public:
  static constexpr size_t kMaxQuery = 4096;

  TcpServer(Loop& loop, const TcpLimits& limits, Handler& handler, WorkerMetrics& metrics,
            Published::Reader& reader);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  void listen(Fd socket);
  void start();
  // Accepts no more and closes connections as soon as they wait for nothing.
  void stop();
  size_t connections() const { return connections_.size(); }

 private:
  class Connection;
  class Path;
  struct Listener;

  void on_accept(Listener& listener);
  bool make_room(const IpAddress& client);
  void close(uint64_t id);
  void sweep();

  Loop& loop_;
  const TcpLimits limits_;
  Handler& handler_;
  WorkerMetrics& metrics_;
  Published::Reader& reader_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<IpAddress, size_t> clients_;
  uint64_t next_id_ = 0;
  Timer sweep_timer_;                        // runs while there are connections
  Timer retry_timer_;                        // accepting again after a failure
  std::unique_ptr<uint8_t[]> reply_buffer_;  // made with the first connection
  // For replies that come later.
  std::shared_ptr<TcpServer*> self_;
  bool stopping_ = false;
};

}  // namespace fairlead::dns
