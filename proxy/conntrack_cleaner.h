// SPDX-License-Identifier: Apache-2.0
// Ends UDP flows that conntrack still sends where no service wants them. UDP has no end of its own:
// a client that keeps its socket keeps its flow, and conntrack keeps the NAT decision of its first
// packet, until 30 s of silence. After a change of a UDP frontend every flow to it whose answers do
// not come from a serving endpoint is deleted; the client's next packet is balanced anew.
//
// Done after the kernel has acknowledged the change, and once more kSecondLook later for flows that
// were being made at that very moment. One listing for all frontends waiting, filtered by the
// kernel. TCP flows are left alone: deleting one would pick an endpoint in mid-stream.
//
// The kernel walks the connections of the whole host for a listing, whatever it is asked for: 5 to
// 10 ms with 262,144 buckets. So a listing is followed by kRest times as long without one, kMaxRest
// at most: the first change is acted on at once, and under churn no more than a tenth of a CPU goes
// into listings.
// A look that finds more flows than it may hold is followed by the next one at once.
//
// Node ports: only flows to addresses that have node ports; the same port number on another address
// of this node, or elsewhere, is not ours.
//
// Threads: the loop's. Connection and map must outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "netlink/connection.h"
#include "netlink/conntrack.h"
#include "proxy/service_map.h"

namespace fairlead::proxy {

// The UDP flows to one of `changed` that go where nobody serves any more. `node_addresses`: those
// that have node ports. It knows the services as they were when it first met each of them: there
// may be many flows, and endpoints.
class StaleFlows {
 public:
  StaleFlows(std::set<Frontend> changed, std::vector<IpAddress> node_addresses,
             const ServiceMap& services)
      : changed_(std::move(changed)),
        node_addresses_(std::move(node_addresses)),
        services_(services) {}

  bool contains(const netlink::conntrack::Entry& entry);

 private:
  bool abandoned(const Frontend& frontend, const netlink::conntrack::Entry& entry);

  const std::set<Frontend> changed_;
  const std::vector<IpAddress> node_addresses_;
  const ServiceMap& services_;
  std::map<Frontend, std::vector<SocketAddress>> serving_;  // of those asked for
};

class ConntrackCleaner {
 public:
  static constexpr Duration kSecondLook = std::chrono::seconds(1);
  // Flows deleted in one look: some 3 MB while they are known. What is left is looked at as soon as
  // those are gone, or with the second look if the kernel lets none go.
  static constexpr size_t kMaxDeletes = 16384;
  static constexpr size_t kAtOnce = 64;  // deletions on their way to the kernel
  static constexpr int kRest = 9;
  static constexpr Duration kMaxRest = std::chrono::seconds(1);

  // Says which addresses of a family have node ports now.
  using NodeAddressesOf = std::function<std::vector<IpAddress>(Family)>;

  ConntrackCleaner(Clock& clock, netlink::Connection& netfilter, const ServiceMap& services,
                   NodeAddressesOf node_addresses);
  ~ConntrackCleaner();

  // Frontends whose programming has just been acknowledged; those not UDP are ignored.
  void changed(const Dirty& frontends);

  uint64_t deleted() const { return deleted_; }
  // Runs with each flow that has been deleted, and with each look: how long it took.
  void set_on_deleted(std::function<void(Family)> callback) { on_deleted_ = std::move(callback); }
  void set_on_listed(std::function<void(Family, Duration)> callback) {
    on_listed_ = std::move(callback);
  }
  // Flows to it may still be looked for.
  bool pending(const Frontend& frontend) const {
    return waiting_.contains(frontend) || later_.contains(frontend) || listed_.contains(frontend);
  }
  // The first look is over.
  bool idle() const { return !busy_ && waiting_.empty(); }

 private:
  void next();
  void list_flows(Family family, const std::set<Frontend>& frontends);
  void listed(std::vector<netlink::conntrack::Entry> flows, Family family);
  void remove_next();
  void removed(const netlink::conntrack::Entry& entry, const Result<void>& result);
  void failed(const Error& error);
  void finished();
  void look_again(std::set<Frontend> frontends);

  Clock& clock_;
  netlink::Connection& netfilter_;
  const ServiceMap& services_;
  const NodeAddressesOf node_addresses_;
  std::set<Frontend> waiting_;
  std::set<Frontend> later_;
  std::set<Frontend> listed_;                     // the look is about
  bool busy_ = false;                             // listing, or deleting
  std::vector<netlink::conntrack::Entry> stale_;  // to be deleted
  size_t deleting_ = 0;
  size_t gone_ = 0;    // in this look
  bool more_ = false;  // there were more of them
  bool resting_ = false;
  bool looking_again_ = false;  // second_look_ is set
  MonoTime began_;              // the listing
  Duration listing_took_{};
  uint64_t deleted_ = 0;
  std::function<void(Family)> on_deleted_;
  std::function<void(Family, Duration)> on_listed_;
  Alarm rest_;
  Alarm second_look_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::proxy
