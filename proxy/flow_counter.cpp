// SPDX-License-Identifier: Apache-2.0
#include "proxy/flow_counter.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/log.h"

namespace fairlead::proxy {

namespace conntrack = netlink::conntrack;

FlowCounter::FlowCounter(Loop& loop, Metrics& metrics, ServiceCounters& counters, OwnerOf owner)
    : clock_(loop.clock()),
      counters_(counters),
      owner_(std::move(owner)),
      losses_metric_(metrics.counter("fairlead_proxy_conntrack_event_losses_total",
                                     "Times the kernel dropped events of ended flows")) {}

Result<std::unique_ptr<FlowCounter>> FlowCounter::open(Loop& loop, Metrics& metrics,
                                                       ServiceCounters& counters, OwnerOf owner,
                                                       size_t receive_buffer) {
  std::unique_ptr<FlowCounter> counter(new FlowCounter(loop, metrics, counters, std::move(owner)));
  netlink::Connection::Options options;
  options.receive_buffer = receive_buffer;
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter, options);
  if (!connection.ok()) return connection.error();
  counter->connection_ = std::move(*connection);
  counter->connection_->set_on_notification([it = counter.get()](const netlink::MessageView& m) {
    if (!conntrack::is_destroyed(m)) return;
    const Result<conntrack::Entry> flow = conntrack::parse_entry(m);
    if (flow.ok()) it->ended(*flow);
  });
  counter->connection_->set_on_resync([it = counter.get()] { it->lost(); });
  const Result<void> subscribed = counter->connection_->subscribe(NFNLGRP_CONNTRACK_DESTROY);
  if (!subscribed.ok()) return subscribed.error();
  return counter;
}

void FlowCounter::ended(const conntrack::Entry& flow) {
  if ((flow.status & IPS_DST_NAT) == 0) return;
  const auto owner = owner_(flow.original);
  if (!owner) return;
  if (!flow.from_client || !flow.from_server) {
    ++uncounted_;
    return;
  }
  counters_.ended(*owner, {1, flow.from_client->packets, flow.from_client->bytes,
                           flow.from_server->packets, flow.from_server->bytes});
}

void FlowCounter::lost() {
  ++losses_;
  losses_metric_.add();
  const MonoTime now = clock_.now();
  if (complained_ && now - *complained_ < kComplain) return;
  complained_ = now;
  log::warn("the kernel dropped events of ended flows: bytes of Services are too low");
}

}  // namespace fairlead::proxy
