// SPDX-License-Identifier: Apache-2.0
// The stream proxy of one node, wired together: objects in, listening sockets out. It is what
// fairlead-proxy runs with --proxy-mode=userspace, in a Proxy's place.
//
//   put, remove -> ServiceMap -> which frontends -> a socket for each worker -> workers
//                                                -> a local route for each address -> kernel
//   this node's addresses -> node ports, and who is this node
//
// What may not be done (no right to add routes, a port that is taken or below 1024, SCTP) is said
// in a line of the log, the first kLoudest of them, and counted in the metrics; everything else is
// served. It is tried again, with back-off from 1 s to 60 s.
//
// Descriptors: the process takes as many as it may have (RLIMIT_NOFILE). Three eighths of them are
// for listening sockets, as many for connections, an eighth for UDP sessions; the rest is for the
// API server and for whoever asks how we are.
//
// Threads: the loop's; the workers have their own. Works in the network namespace of the thread
// that opens it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/loop.h"
#include "proxy/node_addresses.h"
#include "proxy/object_sink.h"
#include "proxy/stream/metrics_text.h"
#include "proxy/stream/routes.h"
#include "proxy/stream/worker.h"

namespace fairlead::proxy::stream {

struct PlaneSettings {
  std::string node_name;
  std::vector<Config> families;  // one for each IP family to serve
  Policy policy = Policy::kTwoChoices;
  RelaySettings relay;
  UdpSettings udp;
  EjectionRules ejection;
  size_t workers = 0;  // 0: one for each CPU this process may use
};

class Plane : public ObjectSink {
 public:
  static constexpr Duration kFirstRetry = std::chrono::seconds(1);
  static constexpr Duration kLastRetry = std::chrono::seconds(60);
  static constexpr size_t kLoudest = 16;

  static Result<std::unique_ptr<Plane>> open(Loop& loop, PlaneSettings settings);
  ~Plane() override;

  void put(const kube::Service& service) override;
  void put(const kube::EndpointSlice& slice) override;
  void remove_service(const kube::ObjectKey& key) override;
  void remove_slice(const kube::ObjectKey& key) override;
  void set_node(const kube::Node& node) override;
  void set_service_cidrs(std::vector<Cidr> cidrs) override;
  const ServiceMap& services() const override { return services_; }
  void start() override;
  // Runs after each change of services or endpoints.
  void set_on_services_changed(std::function<void()> callback) {
    on_services_changed_ = std::move(callback);
  }

  // Ok, or why not: everything known has been acted upon, and every worker lives. What cannot be
  // served does not make it ill.
  Result<void> check();
  // Everything known has been acted upon, routes too.
  bool idle() const { return ready_ && pending_.empty() && routes_->settled(); }
  // When a change was last acted upon.
  std::optional<WallTime> last_update() const { return last_update_; }
  // `by_service`: with a row for each service port that has had traffic.
  std::string metrics(bool by_service);
  // Closes every listening socket: connections that are open stay.
  void stop_accepting();
  // Open connections and UDP sessions.
  size_t connections() const;
  // After stop_accepting(): there are none any more, and no worker is about to have one.
  bool drained() const { return stopped_ && workers_answered() && connections() == 0; }

 private:
  // The set of endpoints that frontends of one service port share.
  struct SetKey {
    std::string service;
    Protocol protocol;
    Family family;
    bool here;
    auto operator<=>(const SetKey&) const = default;
  };
  struct FrontendState {
    std::shared_ptr<const Service> service;
    std::map<SocketAddress, ListenerId> sockets;
    std::set<SocketAddress> unserved;
  };
  using WorkerCount = std::vector<std::shared_ptr<Counters>>;

  Plane(Loop& loop, PlaneSettings settings);
  Result<void> start_workers(size_t descriptors);
  void mark(const Dirty& dirty);
  void mark_all();
  void update_addresses();
  void apply_soon();
  void apply();
  void apply(const Frontend& frontend);
  void apply(const Frontend& frontend, FrontendState& state, const Target& target);
  std::shared_ptr<const Service> service_of(const Frontend& frontend, const Target& target);
  std::shared_ptr<const EndpointSet> set_of(const Frontend& frontend, const Target& target,
                                            const std::vector<Backend>& backends, bool here);
  void open_socket(const Frontend& frontend, FrontendState& state, const SocketAddress& address);
  void close_sockets(FrontendState& state, const std::set<SocketAddress>& keep);
  void complain(const Frontend& frontend, const SocketAddress& address, const Error& error);
  std::set<SocketAddress> addresses_of(const Frontend& frontend) const;
  void route(const Frontend& frontend, bool wanted);
  void retry_later();
  void sweep();
  bool workers_answered() const;

  Loop& loop_;
  const PlaneSettings settings_;
  ServiceMap services_;
  std::unique_ptr<NodeAddresses> node_addresses_;
  std::unique_ptr<Routes> routes_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::vector<IpAddress> primary_addresses_;
  std::vector<Cidr> api_service_cidrs_;
  std::map<Family, Parameters> parameters_;
  std::shared_ptr<const Origins> origins_ = std::make_shared<const Origins>();
  std::function<void()> on_services_changed_;

  std::unordered_map<Frontend, FrontendState> frontends_;
  std::map<IpAddress, std::set<Frontend>> addresses_;  // that need a route, by whom
  std::set<Cidr> dropped_ranges_;
  std::map<SetKey, std::weak_ptr<const EndpointSet>> sets_;
  std::map<ServicePort, WorkerCount> counters_;
  std::map<Protocol, Totals> folded_;  // of service ports that have gone
  std::set<Frontend> pending_;
  std::set<Frontend> troubled_;
  size_t complaints_ = 0;
  size_t listening_ = 0, most_listening_ = 0;  // sockets, of all workers
  uint64_t next_id_ = 1;
  bool started_ = false;
  bool ready_ = false;    // the addresses are known too
  bool routing_ = false;  // routes_ has begun
  bool stopped_ = false;
  bool applying_soon_ = false;
  bool sweep_ = false;  // services have gone
  std::optional<MonoTime> busy_since_;
  std::optional<WallTime> last_update_;
  std::optional<MonoTime> pinged_at_;
  Duration retry_after_ = kFirstRetry;
  bool retry_planned_ = false;
  Alarm apply_, retry_;
};

}  // namespace fairlead::proxy::stream
