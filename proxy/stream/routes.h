// SPDX-License-Identifier: Apache-2.0
// What makes this node answer for the addresses of Services, without putting them on an interface:
// a route `local ADDRESS dev lo` each, in the kernel's table local; and `blackhole CIDR` for ranges
// of cluster IPs, so that an address there without a Service is dropped instead of sent on.
//
// They carry protocol kProtocol, by which the next process knows them again, and --cleanup finds
// them. An address that the kernel has as its own needs none, and is never touched; nor is a route
// of somebody else's that is what we want. What somebody deletes, ours or theirs, is noticed by the
// kernel's notification and put (back). What fails, a listing too, is tried again, with back-off
// from 1 s to 30 s; without CAP_NET_ADMIN everything does.
//
// Threads: the loop's. Works in the network namespace of the thread that opens it. At most
// kInFlight requests wait for the kernel.
#pragma once

#include <linux/rtnetlink.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/loop.h"
#include "netlink/connection.h"
#include "netlink/route/route.h"

namespace fairlead::proxy::stream {

class Routes {
 public:
  static constexpr uint8_t kProtocol = 0xfb;  // rtnetlink(7), rtm_protocol
  static constexpr size_t kInFlight = 64;
  static constexpr Duration kFirstRetry = std::chrono::seconds(1);
  static constexpr Duration kLastRetry = std::chrono::seconds(30);

  static Result<std::unique_ptr<Routes>> open(Loop& loop);
  ~Routes();

  // From start() on these are in the kernel, and no others of ours.
  void want_local(const IpAddress& address, bool wanted) {
    want({Cidr::host(address), RTN_LOCAL}, wanted);
  }
  void want_dropped(const Cidr& range, bool wanted) { want({range, RTN_BLACKHOLE}, wanted); }
  void start();
  // Runs once: everything is as wanted for the first time, or has failed. Before start().
  void set_on_settled(std::function<void()> callback) { on_settled_ = std::move(callback); }

  // How many are not as wanted since the last try.
  size_t failed() const { return failed_.size(); }
  // Some are wanted, and not one of them is there.
  bool all_failed() const;

 private:
  using Key = std::pair<Cidr, uint8_t>;  // destination, type
  struct State {
    bool wanted = false;
    bool present = false;
    bool busy = false;  // a request is under way
  };

  Routes(Loop& loop, std::unique_ptr<netlink::Connection> requests,
         std::unique_ptr<netlink::Connection> watch);
  void want(const Key& key, bool wanted);
  void list(Family family);
  void listed(const Result<std::vector<netlink::route::Route>>& routes);
  void work();
  void change(const Key& key, State& state);
  void changed(const Key& key, bool added, const Result<void>& result);
  void retry_later();
  void on_notification(const netlink::MessageView& message);

  Clock& clock_;
  std::unique_ptr<netlink::Connection> requests_;
  std::unique_ptr<netlink::Connection> watch_;
  std::map<Key, State> routes_;
  std::deque<Key> dirty_;
  std::set<Key> failed_;
  std::function<void()> on_settled_;
  bool started_ = false;
  bool list_again_ = false;  // the last listing was not whole
  int listing_ = 0;          // families
  size_t in_flight_ = 0;
  Duration retry_after_ = kFirstRetry;
  bool retry_planned_ = false;
  Alarm retry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Removes every route a Routes of any process made. Ok too where there are none and nothing may be
// changed.
Result<void> remove_routes(Loop& loop, Duration limit);

}  // namespace fairlead::proxy::stream
