// SPDX-License-Identifier: Apache-2.0
// Services that ask to be relayed (annotation stream.fairlead.io/mode: userspace) on a node in mode
// nftables: a Proxy, and beside it, from the first such Service on, a Plane.
//
//   put, remove -> Proxy -> which frontends changed -> those that ask -> Plane
//                    ^                                                     |
//                    +---- relayed: its rules translate to <---- sockets of this node
//
// To the rules a relayed frontend has one endpoint, a socket of this process (kRelay of choice.h).
// So connection tracking keeps every connection where it was when a frontend goes over to the
// stream proxy or comes back, and addresses and ports are those of the rules. A frontend comes back
// when its Service no longer asks, or has nothing to relay to, or an endpoint that is itself an
// address and port of a Service: rules translate what the relay sends there, and may lead it here
// again. (Seen when the Service, its endpoints or this node's addresses change, not when the
// other Service does.) Its sockets stay for kGrace after the rules have it and UDP flows to them
// are no more. What cannot be relayed (SCTP, a family of which this node has no address, no
// descriptor left) stays with the rules; but TCP of a Service whose endpoints expect the PROXY
// protocol, or may do so, is dropped while it is not relayed: a client could write a header of its
// own.
//
// The Plane and its threads stay when the last Service has left.
//
// Threads: the loop's. The Proxy must outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "proxy/object_sink.h"
#include "proxy/proxy.h"
#include "proxy/stream/plane.h"

namespace fairlead::proxy::stream {

class OptIn : public ObjectSink, private PlaneOwner {
 public:
  // For connections that were being made when the rules changed.
  static constexpr Duration kGrace = std::chrono::seconds(2);
  static constexpr Duration kFirstRetry = std::chrono::seconds(1);
  static constexpr Duration kLastRetry = std::chrono::seconds(60);

  OptIn(Loop& loop, Proxy& proxy, PlaneSettings settings);
  ~OptIn() override;

  void put(const kube::Service& service) override;
  void put(const kube::EndpointSlice& slice) override;
  void remove_service(const kube::ObjectKey& key) override;
  void remove_slice(const kube::ObjectKey& key) override;
  void set_node(const kube::Node& node) override;
  void set_service_cidrs(std::vector<Cidr> cidrs) override;
  const ServiceMap& services() const override { return proxy_.services(); }
  void start() override;

  // Hears of annotations that mean nothing (WishBook).
  void set_on_bad_annotation(OnBadAnnotation callback) { wishes_.set_on_bad(std::move(callback)); }
  // Null until a Service has asked.
  Plane* plane() { return plane_.get(); }
  // Ok, or why rules or relaying are not what they should be.
  Result<void> check();
  // Everything that asks is relayed, and the rules have the rest.
  bool idle() const;

  // The rules get everything back, for good.
  void give_back();
  // After that: they have had it for kGrace.
  bool given_back() const { return entries_.empty(); }

 private:
  struct Entry {
    bool wanted = true;                     // else it is on its way back to the rules,
    std::optional<MonoTime> settled_since;  // and they have had it since
    bool closing = false;                   // its sockets are being closed
  };

  Stage stage(const Frontend& frontend) const override;
  Dirty frontends(Family family) const override;
  void placed(const Frontend& frontend, const std::optional<SocketAddress>& at) override;
  bool wants(const Frontend& frontend);
  bool comes_back(Protocol protocol, const std::vector<Backend>& endpoints) const;
  void consider(const Dirty& dirty);
  void consider(const Frontend& frontend);
  void open_plane();
  void look_at_leaving();
  void end_leaving();

  Loop& loop_;
  Proxy& proxy_;
  PlaneSettings settings_;
  WishBook wishes_;
  std::set<kube::ObjectKey> told_;  // of whom it has been said that they are not relayed
  const ApiServers api_servers_;    // none: of no interest here
  std::map<Frontend, Entry> entries_;
  std::vector<IpAddress> primary_addresses_;
  std::vector<Cidr> service_cidrs_;
  std::unique_ptr<Plane> plane_;
  bool started_ = false;
  bool ending_ = false;  // give_back()
  bool opening_ = false;
  bool looking_ = false;
  Duration retry_after_ = kFirstRetry;
  Alarm look_, retry_;
};

}  // namespace fairlead::proxy::stream
