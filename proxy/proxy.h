// SPDX-License-Identifier: Apache-2.0
// The proxy of one node, wired together: objects in, packets out.
//
//   put, remove -> ServiceMap -> Programmer (IPv4, IPv6) -> kernel
//                             -> acknowledged -> ConntrackCleaner, AffinityCleaner, metrics
//   this node's addresses, ServiceCIDRs -> Parameters -> Programmer
//   someone else's change of our table -> notification -> Programmer reads and repairs
//   DNS server of the node -> LocalDns -> route and exemption
//   somebody asks what services have counted -> CounterReader -> ServiceCounters
//
// Threads: the loop's. Works in the network namespace of the thread that opens it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "netlink/connection.h"
#include "proxy/affinity_cleaner.h"
#include "proxy/conntrack_cleaner.h"
#include "proxy/counter_reader.h"
#include "proxy/flow_counter.h"
#include "proxy/local_dns.h"
#include "proxy/node_addresses.h"
#include "proxy/object_sink.h"
#include "proxy/programmer.h"
#include "proxy/service_map.h"
#include "proxy/sync_metrics.h"

namespace fairlead::proxy {

struct Settings {
  std::string node_name;
  std::vector<Config> families;  // one for each IP family to serve
  std::string local_dns_ready_url;
  bool count_bytes = false;  // of flows that end; the kernel must account (nf_conntrack_acct)
  // A change that waits for longer is no health: twice the synchronization period
  // (pkg/proxy/healthcheck/proxy_health.go).
  Duration stale_after = std::chrono::minutes(1);
};

class Proxy : public ObjectSink {
 public:
  // kPermission without CAP_NET_ADMIN, kUnsupported without nf_tables: the message says what to do.
  static Result<std::unique_ptr<Proxy>> open(Loop& loop, HttpTransport& http, Metrics& metrics,
                                             Settings settings);
  ~Proxy() override;

  void put(const kube::Service& service) override;
  void put(const kube::EndpointSlice& slice) override;
  void remove_service(const kube::ObjectKey& key) override;
  void remove_slice(const kube::ObjectKey& key) override;
  // This node, at start and whenever it changes: its addresses have node ports, its zone decides
  // by topology hints.
  void set_node(const kube::Node& node) override;
  // All ranges of all ServiceCIDR objects, at start and whenever they change.
  void set_service_cidrs(std::vector<Cidr> cidrs) override;
  const ServiceMap& services() const override { return services_; }
  // Runs after each change of services or endpoints.
  void set_on_services_changed(std::function<void()> callback) {
    on_services_changed_ = std::move(callback);
  }

  // Leaves it to the stream proxy, at that socket, or takes it back; for as long as this process
  // lives, whatever its Service asks for (kRelay of choice.h). Connections that are open stay where
  // they are; UDP flows to a socket that is no more begin anew.
  void set_relay(const Frontend& frontend, const std::optional<SocketAddress>& socket);
  // As ServiceMap's of the same name, and the kernel is told.
  void forget_relay(const Frontend& frontend) { program(services_.forget_relay(frontend)); }
  void set_relay_only(const kube::ObjectKey& service, bool only) {
    program(services_.set_relay_only(service, only));
  }
  // The kernel does with it what is wanted, and its UDP flows are where they should be.
  bool settled(const Frontend& frontend) const {
    return programmer(frontend.family()).settled(frontend) && !cleaner_->pending(frontend);
  }
  // Whether it is one of Settings::families.
  bool serves(Family family) const;
  // This node's, that have node ports; none until they are known.
  std::vector<IpAddress> node_port_addresses(Family family) const;
  // Runs when they may be others.
  void set_on_node_addresses(std::function<void()> callback) {
    on_node_addresses_ = std::move(callback);
  }
  // Runs after each change, with the frontends it may concern.
  void set_on_marked(std::function<void(const Dirty&)> callback) {
    on_marked_ = std::move(callback);
  }

  // Everything has been put once: from here on the kernel is programmed. Before, programming would
  // take away what a previous process knew.
  void start() override;

  // Everything known is in the kernel and stale UDP flows are gone.
  bool idle() const;
  const Programmer& programmer(Family family) const;

  // Asks the kernel whether the tables are there, and ourselves whether they are as they should be.
  // Ok, or why not.
  Result<void> check();
  Result<void> check(Family family);
  // A kube-proxy has made something since this began to listen.
  bool kube_proxy_beside() const { return kube_proxy_beside_; }
  // Before metrics are read.
  void refresh_metrics();

  // Reads what the kernel has counted for services: then counters() has it.
  void look(CounterReader::Done done) { counter_reader_->look(std::move(done)); }
  std::optional<MonoTime> looked_at() const { return counter_reader_->looked_at(); }
  const ServiceCounters& counters() const { return counters_; }
  // Null unless bytes are counted.
  const FlowCounter* flow_counter() const { return flow_counter_.get(); }

 private:
  struct FamilyState {
    Config config;
    std::unique_ptr<netlink::Connection> connection;
    std::unique_ptr<Programmer> programmer;
    std::unique_ptr<AffinityCleaner> affinity;
    std::set<Frontend> uncleaned;  // acknowledged while it is being loaded, UDP
  };

  Proxy(Loop& loop, Settings settings, Metrics& metrics);
  Result<void> connect(HttpTransport& http);
  Result<void> add_family(const Config& config);
  void mark(const Dirty& dirty);
  void program(const Dirty& dirty);
  Parameters parameters(const Config& config) const;
  void update_parameters();
  void start_programmers();
  void on_acknowledged(FamilyState& family, const Programmer::Acknowledged& frontends);
  void on_notification(const netlink::MessageView& message);
  void warn_of_kube_proxy(const netlink::MessageView& message);
  Result<void> probe(Family family);
  void on_loading(FamilyState& family, bool loading);
  void listen();
  void stop_listening();
  std::optional<uint32_t> generation();
  bool in_rest() const;
  uint64_t commits() const;
  Result<void> open_counters();
  std::optional<ServicePort> owner_of(const netlink::conntrack::Tuple& original) const;

  Loop& loop_;
  const Settings settings_;
  Metrics& metrics_;
  ServiceMap services_;
  SyncMetrics sync_metrics_;
  ServiceCounters counters_;
  std::unique_ptr<FlowCounter> flow_counter_;
  std::unique_ptr<netlink::Connection> watch_;
  std::unique_ptr<netlink::Connection> conntrack_;
  std::unique_ptr<netlink::Connection> route_;
  std::unique_ptr<netlink::Connection> probe_;
  std::vector<std::unique_ptr<FamilyState>> families_;
  std::unique_ptr<CounterReader> counter_reader_;
  std::unique_ptr<ConntrackCleaner> cleaner_;
  std::unique_ptr<LocalDns> local_dns_;
  std::unique_ptr<NodeAddresses> node_addresses_;
  std::vector<IpAddress> primary_addresses_;  // as the API says
  std::vector<Cidr> api_service_cidrs_;
  std::function<void()> on_services_changed_;
  std::function<void(const Dirty&)> on_marked_;
  std::function<void()> on_node_addresses_;
  bool started_ = false;
  bool listening_ = false;  // to what others change
  bool deaf_ = false;       // the kernel would not let us
  Alarm listen_again_;
  bool kube_proxy_beside_ = false;
  bool counting_ = false;  // counter_reader_ has begun
  // Of the kernel's ruleset, had it none of our commits: before the first, or since we last stopped
  // listening; unknown when a commit was on its way then.
  std::optional<uint32_t> base_generation_;
  bool generation_known_ = false;
  bool programming_ = false;
};

// Takes everything of ours out of this network namespace, whichever mode has made it. A kernel
// without nf_tables has no tables of ours.
Result<void> clean_up(Loop& loop);
// The same, but the routes of mode userspace, which comes in our place; and UDP flows to `services`
// that conntrack would go on translating for as long as their clients send. A kernel without
// nf_tables, or without conntrack, has neither.
Result<void> clean_up_rules(Loop& loop, const ServiceMap& services);

}  // namespace fairlead::proxy
