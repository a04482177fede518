// SPDX-License-Identifier: Apache-2.0
// The stream proxy of one node, wired together: objects in, listening sockets out. It is what
// fairlead-proxy runs with --proxy-mode=userspace, in a Proxy's place.
//
//   put, remove -> ServiceMap -> which frontends -> a socket for each worker -> workers
//                                                -> a local route for each address -> kernel
//   this node's addresses -> node ports, and who is this node
//   all Nodes' addresses, the API server's -> which external addresses are not served
//
// An external or balancer address that is a Node's or the API server's, and not one this node has
// on an interface, is not served: making it local would cut this node off from its owner. None is
// served before the Nodes are known; the first update waits kNodesGrace for them.
//
// What may not be done (no right to add routes, a port that is taken or below 1024, SCTP) is said
// in a line of the log, the first kLoudest of them in kQuiet, and counted in the metrics;
// everything else is served. What may come right by itself is tried again, with back-off from 1 s
// to 60 s.
//
// Descriptors: the process takes as many as it may have (RLIMIT_NOFILE); budget.h divides them.
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
#include "proxy/stream/annotations.h"
#include "proxy/stream/budget.h"
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
  static constexpr Duration kQuiet = std::chrono::minutes(10);
  static constexpr Duration kNodesGrace = std::chrono::seconds(5);
  static constexpr Duration kTidy = std::chrono::minutes(1);

  static Result<std::unique_ptr<Plane>> open(Loop& loop, PlaneSettings settings);
  ~Plane() override;

  void put(const kube::Service& service) override;
  void put(const kube::EndpointSlice& slice) override;
  void remove_service(const kube::ObjectKey& key) override;
  void remove_slice(const kube::ObjectKey& key) override;
  void set_node(const kube::Node& node) override;
  void set_service_cidrs(std::vector<Cidr> cidrs) override;
  // Addresses of all Nodes of the cluster; from then on external addresses are served.
  void set_nodes(std::set<IpAddress> addresses);
  // Besides the endpoints of Service default/kubernetes.
  void set_api_server(const IpAddress& address) { api_server_ = address; }
  const ServiceMap& services() const override { return services_; }
  void start() override;
  // Runs after each change of services or endpoints.
  void set_on_services_changed(std::function<void()> callback) {
    on_services_changed_ = std::move(callback);
  }

  // Hears of annotations that mean nothing (WishBook).
  void set_on_bad_annotation(std::function<void(const kube::ObjectKey&, const Error&)> callback) {
    wishes_.set_on_bad(std::move(callback));
  }
  // Runs once: all that was known at start() is served, or cannot be. Before start().
  void set_on_served(std::function<void()> callback);

  // Ok, or why not: everything known has been acted upon, every worker lives, and it is not ending.
  // What cannot be served makes it ill only where that is all routes or all sockets.
  Result<void> check();
  // When a change was last acted upon.
  std::optional<WallTime> last_update() const { return last_update_; }
  // `by_service`: with a row for each service port that has had traffic.
  std::string metrics(bool by_service);
  // Closes every listening socket, when what waits there has been accepted: connections that are
  // open stay, UDP sessions end.
  void stop_accepting();
  // Open connections and UDP sessions.
  size_t connections() const;
  // After stop_accepting(): there are none any more, and no worker is about to have one.
  bool drained() const { return stopped_ && workers_answered() && connections() == 0; }

 private:
  struct Choosing {
    bool here;  // among the endpoints of this node alone
    Policy policy;
    auto operator<=>(const Choosing&) const = default;
  };
  // The set of endpoints that frontends of one service port share.
  struct SetKey {
    std::string service;
    Protocol protocol;
    Family family;
    Choosing how;
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
  size_t most_connections() const;
  void divide_descriptors();
  void apply(const Frontend& frontend);
  void apply(const Frontend& frontend, FrontendState& state, const Target& target);
  std::shared_ptr<const Service> service_of(const Frontend& frontend, const Target& target);
  std::shared_ptr<const EndpointSet> set_of(const Frontend& frontend, const Target& target,
                                            const std::vector<Backend>& backends,
                                            const Choosing& how);
  void open_socket(const Frontend& frontend, FrontendState& state, const SocketAddress& address);
  void close_sockets(FrontendState& state, const std::set<SocketAddress>& keep);
  void refuse(const Frontend& frontend, const std::string& name, FrontendState& state,
              const std::string& reason);
  void complain(const Frontend& frontend, const std::string& name, const SocketAddress& address,
                const Error& error);
  std::optional<std::string> why_not_served(const Frontend& frontend) const;
  bool is_own(const IpAddress& address) const;
  bool is_api_server(const IpAddress& address) const;
  void remember_api_servers(const kube::EndpointSlice& slice);
  std::set<SocketAddress> addresses_of(const Frontend& frontend) const;
  void route(const Frontend& frontend, bool wanted);
  void retry_later(bool anew);
  void tidy();
  void sweep();
  void ping();
  bool workers_answered() const;

  Loop& loop_;
  const PlaneSettings settings_;
  ServiceMap services_;
  WishBook wishes_;
  std::unique_ptr<NodeAddresses> node_addresses_;
  std::unique_ptr<Routes> routes_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::vector<IpAddress> primary_addresses_;
  std::vector<Cidr> api_service_cidrs_;
  std::map<Family, Parameters> parameters_;
  std::shared_ptr<const Origins> origins_ = std::make_shared<const Origins>();
  std::function<void()> on_services_changed_;
  std::optional<std::set<IpAddress>> nodes_;
  std::optional<IpAddress> api_server_;
  std::map<kube::ObjectKey, std::set<IpAddress>> api_servers_;  // by slice of default/kubernetes

  std::unordered_map<Frontend, FrontendState> frontends_;
  std::map<IpAddress, std::set<Frontend>> addresses_;  // that need a route, by whom
  std::set<Cidr> dropped_ranges_;
  std::map<SetKey, std::weak_ptr<const EndpointSet>> sets_;
  std::map<ServicePort, WorkerCount> counters_;
  std::map<Protocol, Totals> folded_;  // of service ports that have gone
  std::set<Frontend> pending_;
  std::set<Frontend> troubled_;  // to be tried again
  size_t complaints_ = 0;
  MonoTime complained_at_;
  std::optional<Budget> budget_;               // since there are workers
  size_t listening_ = 0, most_listening_ = 0;  // sockets, of all workers
  size_t most_connections_ = 0;                // of each worker
  uint64_t next_id_ = 1;
  bool started_ = false;
  bool nodes_late_ = false;
  bool ready_ = false;    // the addresses are known too
  bool routing_ = false;  // routes_ has begun
  bool stopped_ = false;
  bool applying_soon_ = false;
  bool sweep_ = false;     // services have gone
  bool sweeping_ = false;  // those that had gone when the workers were last pinged for it
  std::optional<MonoTime> busy_since_;
  std::optional<WallTime> last_update_;
  std::optional<MonoTime> pinged_at_;
  Duration retry_after_ = kFirstRetry;
  std::optional<MonoTime> retry_at_;
  Alarm apply_, retry_, tidy_, nodes_alarm_;
};

}  // namespace fairlead::proxy::stream
