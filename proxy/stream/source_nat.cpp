// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/source_nat.h"

#include "base/log.h"

namespace fairlead::proxy::stream {

Result<std::unique_ptr<SourceNat>> SourceNat::open(Loop& loop,
                                                   std::shared_ptr<WorkerCounters> counters) {
  auto netfilter = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!netfilter.ok()) return netfilter.error();
  return std::unique_ptr<SourceNat>(
      new SourceNat(loop.clock(), std::move(*netfilter), std::move(counters)));
}

SourceNat::SourceNat(Clock& clock, std::unique_ptr<netlink::Connection> netfilter,
                     std::shared_ptr<WorkerCounters> counters)
    : clock_(clock), netfilter_(std::move(netfilter)), counters_(std::move(counters)) {}

void SourceNat::translate(Protocol protocol, const SocketAddress& own,
                          const SocketAddress& endpoint, const SocketAddress& client) {
  if (clock_.now() < again_at_) return give_up();
  const Result<void> told = tell(protocol, own, endpoint, client);
  if (told.ok()) return;
  give_up();
  if (told.error().is_already_exists()) return;
  log::warn("endpoints of what is relayed see this node's address for a while: {}",
            told.error().message());
  again_at_ = clock_.now() + kPause;
}

// From another port where somebody has the client's. What connection tracking remembers of an
// earlier connection from this one's own port, for up to two minutes after its end, is in the way
// and goes.
Result<void> SourceNat::tell(Protocol protocol, const SocketAddress& own,
                             const SocketAddress& endpoint, const SocketAddress& client) {
  netlink::conntrack::Entry flow;
  flow.original = {own.address, endpoint.address, protocol_number(protocol), own.port,
                   endpoint.port};
  Result<void> told = create(flow, client);
  if (told.ok() || !told.error().is_already_exists()) return told;
  const Result<void> gone =
      netfilter_->request_sync(netlink::conntrack::delete_entry(flow), kAnswerLimit);
  if (!gone.ok() && !gone.error().is_not_found()) return gone;
  return create(flow, client);
}

Result<void> SourceNat::create(const netlink::conntrack::Entry& flow, const SocketAddress& client) {
  const auto from = [&](uint16_t port) {
    return netfilter_->request_sync(
        netlink::conntrack::create_entry(flow.original, client.address, port, kUnused),
        kAnswerLimit);
  };
  const Result<void> told = from(client.port);
  return told.ok() || !told.error().is_already_exists() ? told : from(0);
}

}  // namespace fairlead::proxy::stream
