// SPDX-License-Identifier: Apache-2.0
// The stream proxy of one node, wired together: frontends in, listening sockets out. Its owner says
// which, and how the kernel brings here what is for them:
//
//   mark -> ServiceMap -> what a frontend is to do -> a socket for each worker -> workers
//   this node's addresses -> node ports, and who is this node
//
// In mode userspace (userspace.h) a frontend's sockets are at its own addresses, and
//
//   each address -> a local route -> kernel
//   all Nodes' addresses, the API server's -> which external addresses are not served
//
// Beside rules (opt_in.h) they are at one of this node's addresses and a port that the kernel
// chooses; rules translate to there, and nothing else of this applies.
//
// An external or balancer address that is a Node's, the API server's or a pod's (as far as their
// ranges are known), and not one this node has on an interface, is not served: making it local
// would cut this node off from its owner. None is served before the Nodes are known; the first
// update waits kNodesGrace for them.
//
// What may not be done (no right to add routes, a port that is taken or below 1024, SCTP) is said
// in a line of the log, the first kLoudest of them in kQuiet, and counted in the metrics;
// everything else is served. What may come right by itself is tried again, with back-off from 1 s
// to 60 s.
//
// Descriptors: the process takes as many as it may have (RLIMIT_NOFILE); budget.h divides them.
//
// Threads: the loop's; the workers have their own. All of them belong into the network namespace
// that is served: sockets are opened at any time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "proxy/node_addresses.h"
#include "proxy/stream/annotations.h"
#include "proxy/stream/api_servers.h"
#include "proxy/stream/budget.h"
#include "proxy/stream/metrics_text.h"
#include "proxy/stream/routes.h"
#include "proxy/stream/worker.h"

namespace fairlead::proxy::stream {

// Raises this process's limit of descriptors to what it may have; how many that is.
size_t raise_descriptor_limit();

struct PlaneSettings {
  std::string node_name;
  std::vector<Config> families;  // one for each IP family to serve
  Policy policy = Policy::kTwoChoices;
  RelaySettings relay;
  UdpSettings udp;
  EjectionRules ejection;
  size_t workers = 0;  // 0: one for each CPU this process may use
  bool beside_rules = false;
};

// What a frontend is to the plane.
enum class Stage : uint8_t {
  kNone,   // nothing: no socket of it stays
  kServe,  // as the ServiceMap decides
  kKeep,   // as it was last, for a while
};

// Whose the plane is. Called by it, in its thread.
class PlaneOwner {
 public:
  virtual ~PlaneOwner() = default;
  virtual Stage stage(const Frontend& frontend) const = 0;
  // Of all that is to be served, or kept.
  virtual Dirty frontends(Family family) const = 0;
  // Beside rules: where its sockets are; nullopt: they could not be opened.
  virtual void placed(const Frontend& frontend, const std::optional<SocketAddress>& at) = 0;
};

// What the plane reads. Must outlive it.
struct PlaneInputs {
  PlaneOwner& owner;
  const ServiceMap& services;
  const WishBook& wishes;
  const ApiServers& api_servers;
};

class Plane {
 public:
  static constexpr Duration kFirstRetry = std::chrono::seconds(1);
  static constexpr Duration kLastRetry = std::chrono::seconds(60);
  static constexpr size_t kLoudest = 16;
  static constexpr Duration kQuiet = std::chrono::minutes(10);
  static constexpr Duration kNodesGrace = std::chrono::seconds(5);
  // Where sockets of another process serve meanwhile.
  static constexpr Duration kPatientGrace = std::chrono::seconds(30);
  static constexpr Duration kTidy = std::chrono::minutes(1);

  static Result<std::unique_ptr<Plane>> open(Loop& loop, PlaneInputs inputs,
                                             PlaneSettings settings);
  ~Plane();

  // What may have changed: of these, or of all.
  void mark(const Dirty& dirty);
  void mark_all();
  // The first of each family that the API has for this node.
  void set_primary_addresses(std::vector<IpAddress> addresses);
  void set_service_cidrs(std::vector<Cidr> cidrs);
  // Addresses of all Nodes of the cluster; from then on external addresses are served.
  void set_nodes(std::set<IpAddress> addresses);
  // Sockets of the program before this one: those that are wanted serve on, the others are closed
  // when all is known. Before start().
  void adopt(std::vector<Fd> sockets);
  // Every socket that listens; they stay ours.
  std::vector<int> sockets() const;
  // The program that had them too, and has ended, may have changed who is let in.
  void filter_again();
  // Services and EndpointSlices are known. Before, nothing is done.
  void start();
  // Runs once: all that was known at start() is served, or cannot be. Before start(); in mode
  // userspace.
  void set_on_served(std::function<void()> callback);

  // Ok, or why not: everything known has been acted upon, every worker lives, and it is not ending.
  // What cannot be served makes it ill only where that is all routes or all sockets.
  Result<void> check();
  // Of that, whether every worker lives.
  Result<void> check_workers();
  // Every change has been acted upon.
  bool idle() const { return pending_.empty(); }
  // When a change was last acted upon.
  std::optional<WallTime> last_update() const { return last_update_; }
  // `by_service`: with a row for each service port that has had traffic.
  std::string metrics(bool by_service);
  // Of each service port, since it was first served.
  std::map<ServicePort, Totals> totals() const;
  // Closes every listening socket, when what waits there has been accepted: connections that are
  // open stay, UDP sessions end. `handed_over`: another process has the sockets too, and accepts.
  void stop_accepting(bool handed_over = false);
  // The routes are somebody else's to see to. After stop_accepting().
  void leave_routes() { routes_.reset(); }
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

  Plane(Loop& loop, PlaneInputs inputs, PlaneSettings settings);
  Result<void> start_workers(size_t descriptors);
  void update_addresses();
  void want_dropped(std::set<Cidr> ranges);
  std::optional<IpAddress> relay_address(Family family) const;
  void apply_soon();
  void apply();
  size_t most_connections() const;
  size_t open_of(Protocol protocol) const;
  void divide_descriptors();
  void apply(const Frontend& frontend);
  void apply(const Frontend& frontend, FrontendState& state, const Target& target);
  void drop(const Frontend& frontend);
  void tell(const Frontend& frontend);
  KeptSources kept_sources(const Target& target, Family family) const;
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
  std::set<SocketAddress> addresses_of(const Frontend& frontend, const FrontendState& state) const;
  Result<uint16_t> port_for_socket(Protocol protocol, const IpAddress& address) const;
  Result<std::vector<std::shared_ptr<Fd>>> open_sockets(Protocol protocol, const Service& service,
                                                        SocketAddress& address);
  void route(const Frontend& frontend, bool wanted);
  void retry_later(bool anew);
  void tidy();
  void sweep();
  void ping();
  bool workers_answered() const;

  Loop& loop_;
  const PlaneInputs inputs_;
  const PlaneSettings settings_;
  std::unique_ptr<NodeAddresses> node_addresses_;
  std::unique_ptr<Routes> routes_;  // null beside rules
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::vector<IpAddress> primary_addresses_;
  std::vector<Cidr> api_service_cidrs_;
  std::map<Family, Parameters> parameters_;
  std::shared_ptr<const Origins> origins_ = std::make_shared<const Origins>();
  std::optional<std::set<IpAddress>> nodes_;

  std::unordered_map<Frontend, FrontendState> frontends_;
  std::map<IpAddress, std::set<Frontend>> addresses_;  // that need a route, by whom
  std::set<Cidr> dropped_ranges_;
  std::map<SetKey, std::weak_ptr<const EndpointSet>> sets_;
  std::map<ServicePort, WorkerCount> counters_;
  std::map<Protocol, Totals> folded_;  // of service ports that have gone
  std::map<std::pair<Protocol, SocketAddress>, std::vector<Fd>> adopted_;
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
