// SPDX-License-Identifier: Apache-2.0
// Lets an endpoint see the client's address in place of this node's: connection tracking is told of
// a connection before its first packet, with the translation that its packets are to have, as if a
// rule had decided it. So no packet of anybody meets a rule for it, no mark or routing rule is
// needed, and what comes back finds this node's socket. It comes back here where a packet of the
// rules would too: they keep the same sources (service.h).
//
// Needs CAP_NET_ADMIN, and a nat chain of nftables, anybody's, in the network namespace. Costs a
// message to the kernel a connection, and its answer, for which the worker waits: as long as the
// kernel needs, while somebody flushes its connection table. A failure that is not of one
// connection is said, and nothing is tried for kPause; meanwhile endpoints see this node.
//
// Threads: the loop's of the worker it is for.
#pragma once

#include <memory>

#include "base/address.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/result.h"
#include "netlink/connection.h"
#include "netlink/conntrack.h"
#include "proxy/frontend.h"
#include "proxy/stream/counters.h"

namespace fairlead::proxy::stream {

class SourceNat {
 public:
  // What is not used within it is forgotten.
  static constexpr Duration kUnused = std::chrono::seconds(30);
  static constexpr Duration kAnswerLimit = std::chrono::seconds(1);
  static constexpr Duration kPause = std::chrono::seconds(10);

  static Result<std::unique_ptr<SourceNat>> open(Loop& loop,
                                                 std::shared_ptr<WorkerCounters> counters);

  // Of a connection from `own`, an address and port of this node, to `endpoint`, which has not sent
  // anything: it will be seen as `client`'s, from its port where that is free.
  void translate(Protocol protocol, const SocketAddress& own, const SocketAddress& endpoint,
                 const SocketAddress& client);
  // One that will not be translated: it counts.
  void give_up() { counters_->unkept_sources.add(); }

 private:
  SourceNat(Clock& clock, std::unique_ptr<netlink::Connection> netfilter,
            std::shared_ptr<WorkerCounters> counters);
  Result<void> create(const netlink::conntrack::Entry& flow, const SocketAddress& client);
  Result<void> tell(Protocol protocol, const SocketAddress& own, const SocketAddress& endpoint,
                    const SocketAddress& client);

  Clock& clock_;
  std::unique_ptr<netlink::Connection> netfilter_;
  const std::shared_ptr<WorkerCounters> counters_;
  MonoTime again_at_{};  // not before
};

}  // namespace fairlead::proxy::stream
