// SPDX-License-Identifier: Apache-2.0
// Connections to upstream servers that wait for their next question (RFC 7766 section 6.2.1, RFC
// 7858 section 3.4).
//
// One question at a time is asked over a connection, so a slow answer holds up no other. What comes
// unasked over an idle connection, its end included, closes it; so do disuse and age. There are at
// most IdleLimits::most idle ones to a server, and the newest is used first. Threads: the loop's.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/loop.h"
#include "dns/plugins/forward/stream.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct IdleLimits {
  static constexpr size_t kMost = 64;

  Duration disuse = std::chrono::seconds(10);  // zero: none is kept
  Duration age{};                              // since it was made; zero: any
  size_t most = kMost;                         // to one server
};

class IdleConnections {
 public:
  explicit IdleConnections(Loop& loop, const IdleLimits& limits = {});
  ~IdleConnections();
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

  // Null when there is none. The server may have closed it this very moment.
  std::unique_ptr<Stream> take(const UpstreamServer& server);
  // A connection over which every question has its whole reply, and which nobody polls.
  void put(const UpstreamServer& server, std::unique_ptr<Stream> stream);
  size_t size() const;

 private:
  struct Connection;
  using List = std::vector<std::unique_ptr<Connection>>;  // oldest first

  bool over(const Connection& connection) const;
  void on_readable(const UpstreamServer& server, Connection& connection);
  void close_old();

  Loop& loop_;
  const IdleLimits limits_;
  std::map<UpstreamServer, List> servers_;
  Timer timer_;  // runs while there are connections
};

}  // namespace fairlead::dns
