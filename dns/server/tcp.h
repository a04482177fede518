// SPDX-License-Identifier: Apache-2.0
// Queries over TCP (RFC 7766): many to a connection, answered as answers come, in any order.
//
// Limits, so that no client can wear the server out: connections altogether and from one address; a
// deadline for each message from its first byte (a byte now and then does not extend it); idle
// time; time without progress while we have something to send; queries of one connection that wait
// for an answer, and bytes of replies it has not taken: beyond those it is not read. When all
// connections are taken the one idle for longest makes room; when none is idle, the one that has
// been in the middle of a message for longest; when each has something to answer, the newcomer is
// closed. A message of no bytes, or over 4096, closes the connection. Threads: the loop's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "dns/metrics.h"
#include "dns/server/handler.h"
#include "dns/server/tcp_limits.h"
#include "dns/zone/readers.h"

namespace fairlead::dns {

class TcpServer {
 public:
  static constexpr size_t kMaxQuery = 4096;

  TcpServer(Loop& loop, WorkerMetrics& metrics, Readers& readers);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  // `handler` outlives the server. `limits` hold for what is accepted from now on.
  void listen(Fd socket, Handler& handler, const TcpLimits& limits);
  void set_limits(const Handler& handler, const TcpLimits& limits);
  // Accepts no more for that handler; what is connected goes on until it is idle for long.
  void unlisten(const Handler& handler);
  void start();
  // Accepts no more and closes connections as soon as they wait for nothing.
  void stop();
  size_t connections() const { return connections_.size(); }

 private:
  class Connection;
  class Path;
  class Waiting;
  struct Listener;

  void on_accept(Listener& listener);
  bool make_room(const IpAddress& client, const TcpLimits& limits);
  void close(uint64_t id);
  void sweep();

  Loop& loop_;
  WorkerMetrics& metrics_;
  Readers& readers_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<IpAddress, size_t> clients_;
  uint64_t next_id_ = 0;
  Timer sweep_timer_;                        // runs while there are connections
  Timer retry_timer_;                        // accepting again after a failure
  std::unique_ptr<uint8_t[]> reply_buffer_;  // made with the first connection
  // For replies that come later.
  std::shared_ptr<TcpServer*> self_;
  bool started_ = false;
  bool stopping_ = false;
};

}  // namespace fairlead::dns
