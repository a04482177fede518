// SPDX-License-Identifier: Apache-2.0
// The DNS server of this node answers on the cluster DNS address itself: as long as it says it is
// ready, packets to that address stay on the node and out of connection tracking; when it stops,
// they are balanced like any service's.
//
// Ready is: its URL answers 200, asked every kPeriod. The first 200 counts, and so does the second
// failure in a row. While ready each address has a route `local ADDRESS dev lo` of protocol
// kRouteProtocol, put back every kRenew polls in case someone removed it. Until the first verdict
// nothing of them is touched: what a previous process left goes on working. Routes of addresses
// that are none of ours any more go at the start.
//
// Threads: the loop's. Inert until start().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/http/client.h"
#include "netlink/connection.h"

namespace fairlead::proxy {

class LocalDns {
 public:
  static constexpr Duration kPeriod = std::chrono::milliseconds(500);
  static constexpr int kFailures = 2;
  static constexpr int kRenew = 20;
  static constexpr uint8_t kRouteProtocol =
      0xfa;  // marks routes as ours (rtnetlink(7), rtm_protocol)

  using Exempt = std::function<void(bool)>;

  LocalDns(Clock& clock, HttpTransport& http, netlink::Connection& route,
           std::vector<IpAddress> addresses, std::string ready_url, Exempt exempt);
  ~LocalDns();

  void start();
  bool ready() const { return state_ == State::kReady; }

 private:
  void remove_others();
  enum class State : uint8_t { kUnknown, kReady, kNotReady };
  void poll();
  void answered(const Result<HttpResponse>& response);
  void set_ready(bool ready);
  void put_routes(bool present);

  Clock& clock_;
  HttpTransport& http_;
  netlink::Connection& route_;
  const std::vector<IpAddress> addresses_;
  const std::string url_;
  const Exempt exempt_;
  State state_ = State::kUnknown;
  int failures_ = 0;
  int polls_ = 0;
  Alarm next_, others_;
  HttpCall call_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Removes every route a LocalDns of any process made.
Result<void> remove_local_dns_routes(netlink::Connection& route, Duration limit);

}  // namespace fairlead::proxy
