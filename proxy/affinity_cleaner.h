// SPDX-License-Identifier: Apache-2.0
// Takes back what an affinity map remembers of endpoints that a service does not use any more: the
// kernel itself would send their clients there until the memory times out. Done after the kernel
// has acknowledged the change, and once more kSecondLook later for flows that were being made at
// that very moment. Only maps whose endpoints became fewer are listed.
//
// Threads: the loop's. The connection must outlive it; it is the one whose changes of the table are
// known as ours.
//
// Bounds: one map at a time, kMost of its clients in a look and kPiece in a transaction (sent by
// the connection's thread), so that others get the kernel's commit lock in between. Whoever commits
// anything meanwhile interrupts the listing: what it has shown is forgotten then, and the rest in
// another look. There are more of them, kSecondLook apart, until one has forgotten all that it has
// found.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/clock.h"
#include "netlink/connection.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

class AffinityCleaner {
 public:
  static constexpr Duration kSecondLook = std::chrono::seconds(1);
  static constexpr size_t kMost = 65536;
  static constexpr size_t kPiece = 256;
  static constexpr int kMostFailures = 8;  // of pieces, in a look

  AffinityCleaner(Clock& clock, netlink::Connection& connection)
      : clock_(clock), connection_(connection) {}
  ~AffinityCleaner() { *alive_ = false; }

  // Frontends that have just been acknowledged, and what is programmed for them now.
  void changed(const Ruleset& programmed, const std::vector<Frontend>& frontends);

  // The first look is over.
  bool idle() const { return !busy_ && waiting_.empty(); }

 private:
  using Place = std::pair<IpAddress, uint16_t>;
  using Places = std::set<Place>;

  void endpoints(const Ruleset& programmed, uint64_t number, const Backends& backends);
  void look_again();
  void next();
  void row(const netlink::MessageView& message);
  void listed(const Result<void>& result);
  void forget();
  void failed(const Error& error);
  void end_look();

  Clock& clock_;
  netlink::Connection& connection_;
  std::map<uint64_t, Places> known_;      // where the clients in each map may be sent
  std::map<uint64_t, nft::Set> waiting_;  // maps to look at
  std::map<uint64_t, nft::Set> later_;    // and once more
  bool busy_ = false;                     // with
  uint64_t number_ = 0;
  nft::Set map_;
  std::vector<nft::Element> stale_;  // still to be forgotten
  int failures_ = 0;                 // in this look
  bool again_ = false;               // it has not forgotten all
  bool looking_again_ = false;       // second_look_ is set
  Alarm second_look_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::proxy
