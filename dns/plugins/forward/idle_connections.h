// SPDX-License-Identifier: Apache-2.0
// TCP connections to upstream servers that wait for their next question (RFC 7766 section 6.2.1).
//
// One question at a time is asked over a connection, so a slow answer holds up no other. What comes
// unasked over an idle connection, its end included, closes it; so does disuse. There are at most
// kPerServer idle ones to a server, and the newest is used first. Threads: the loop's.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/loop.h"
#include "dns/server/fd.h"

namespace fairlead::dns {

class IdleConnections {
 public:
  static constexpr size_t kPerServer = 8;

  explicit IdleConnections(Loop& loop, Duration limit = std::chrono::seconds(10));
  ~IdleConnections();
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

  // Empty when there is none. The server may have closed it this very moment.
  Fd take(const SocketAddress& server);
  // A connection over which every question has its whole reply, and which nobody polls.
  void put(const SocketAddress& server, Fd socket);
  size_t size() const;

 private:
  struct Connection;
  using List = std::vector<std::unique_ptr<Connection>>;  // oldest first

  void close(const SocketAddress& server, int fd);
  void close_old();

  Loop& loop_;
  const Duration limit_;
  std::map<SocketAddress, List> servers_;
  Timer timer_;  // runs while there are connections
};

}  // namespace fairlead::dns
