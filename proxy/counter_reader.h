// SPDX-License-Identifier: Apache-2.0
// Reads what the kernel has counted for services, when somebody asks: one listing of `svc` and
// `node_svc` of each family, shared by everyone who asks within kFresh.
//
// It lists over the connection that notifications come by: one queue, so that an element's last
// word and what a listing says of it arrive in the order in which they were said (our own commits
// and listings are made by this thread, one after the other). A listing that changes disturbed is
// good enough: what it missed is in the next one. The kernel's commit lock is not taken.
//
// Threads: the loop's. Clock, connection and counters must outlive it; whoever still waits when it
// is destroyed is not told.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "netlink/connection.h"
#include "proxy/service_counters.h"

namespace fairlead::proxy {

class CounterReader {
 public:
  static constexpr Duration kFresh = std::chrono::milliseconds(500);

  // `sets`: those that count, as they are in the kernel now.
  CounterReader(Clock& clock, netlink::Connection& notified, ServiceCounters& counters,
                std::function<std::vector<netlink::nft::Set>()> sets);
  ~CounterReader();

  // From here on the connection hears of changes, but while a table is loaded anew. Tables that
  // were there before this process are looked at once: what they had counted is not ours.
  void begin(std::vector<netlink::nft::TableFamily> older_tables);

  using Done = std::function<void(Result<void>)>;
  // Tells, not before this returns, when counters are at most kFresh old.
  void look(Done done);
  std::optional<MonoTime> looked_at() const { return looked_at_; }

  // Each notification about nftables that comes, also of our own changes.
  void notified(const netlink::MessageView& message);

 private:
  void start();
  void list_next();
  void listed(Result<void> result);
  void finish();
  bool ours(netlink::nft::TableFamily family) const { return !older_.contains(family); }

  static constexpr int kMaxTries = 20;  // to see all of an older table
  Clock& clock_;
  netlink::Connection& connection_;
  ServiceCounters& counters_;
  const std::function<std::vector<netlink::nft::Set>()> sets_;
  bool begun_ = false;
  bool running_ = false;
  std::set<netlink::nft::TableFamily> older_;  // not looked at yet
  std::vector<netlink::nft::Set> left_;        // to be listed, the last one first
  int tries_ = 0;                              // to list that one
  std::optional<Error> error_;
  std::optional<MonoTime> looked_at_;
  std::vector<Done> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::proxy
