// SPDX-License-Identifier: Apache-2.0
// Counts what flows to services carried, when they end: the kernel's events of connection tracking,
// with the packets and bytes it accounts when net.netfilter.nf_conntrack_acct is on. Flows that are
// open are not in it, nor those that began before it was on.
//
// Events come by a socket of their own. The kernel drops them when this process is too slow for
// them (ENOBUFS): that is counted and said, and nothing is read again for it.
//
// Threads: the loop's. What it is given must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "base/metrics.h"
#include "netlink/conntrack.h"
#include "proxy/service_counters.h"

namespace fairlead::proxy {

class FlowCounter {
 public:
  // Whose flow it is, by where its first packet was sent.
  using OwnerOf = std::function<std::optional<ServicePort>(const netlink::conntrack::Tuple&)>;

  static constexpr size_t kReceiveBuffer = 4 << 20;  // bytes of events that may wait for us
  static Result<std::unique_ptr<FlowCounter>> open(Loop& loop, Metrics& metrics,
                                                   ServiceCounters& counters, OwnerOf owner,
                                                   size_t receive_buffer = kReceiveBuffer);

  uint64_t losses() const { return losses_; }
  // Flows to services have ended without a count: accounting is off, or was when they began.
  uint64_t uncounted() const { return uncounted_; }

 private:
  FlowCounter(Loop& loop, Metrics& metrics, ServiceCounters& counters, OwnerOf owner);
  void ended(const netlink::conntrack::Entry& flow);
  void lost();

  static constexpr Duration kComplain = std::chrono::minutes(1);
  Clock& clock_;
  ServiceCounters& counters_;
  const OwnerOf owner_;
  Counter losses_metric_;
  uint64_t losses_ = 0;
  uint64_t uncounted_ = 0;
  std::optional<MonoTime> complained_;
  std::unique_ptr<netlink::Connection> connection_;
};

}  // namespace fairlead::proxy
