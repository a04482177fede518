// SPDX-License-Identifier: Apache-2.0
// The program in any of its modes, from its options to its end, every part of it on one loop.
//
// In mode nftables the rules stay when it ends; Services that are relayed beside them go back to
// the rules first. Relayed connections have some time to end, in either mode. In mode userspace the
// next program may take the sockets over (base/handover.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/handover.h"
#include "base/http/client.h"
#include "base/http/ops_server.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "kube/cluster.h"
#include "proxy/events.h"
#include "proxy/feed.h"
#include "proxy/health.h"
#include "proxy/instance_lock.h"
#include "proxy/node_watch.h"
#include "proxy/operations.h"
#include "proxy/options.h"
#include "proxy/proxy.h"
#include "proxy/service_health.h"
#include "proxy/shadow_command.h"
#include "proxy/stat_source.h"
#include "proxy/stream/node_list.h"
#include "proxy/stream/opt_in.h"
#include "proxy/stream/userspace.h"

namespace fairlead::proxy {

// Threads: the loop's, which it runs itself; in mode nftables one call of a large transaction has
// its own, and what is relayed one for each CPU. Loop and options must outlive it.
class Program {
 public:
  Program(Loop& loop, const Options& options)
      : loop_(loop),
        options_(options),
        started_(loop.clock().wall_now()),
        started_at_(loop.clock().now()),
        http_(loop),
        around_(loop) {}

  // Until a signal, or until it cannot go on: then the reason. In mode userspace the next program
  // (Options::handover) ends it too.
  Result<void> run();
  // In shadow mode: the comparison, or nothing when a signal ended it.
  Result<std::optional<Comparison>> run_shadow();

 private:
  Result<void> take_lock();
  Result<void> connect();
  Result<void> check_cluster_cidrs() const;
  Result<void> wait_for_pod_cidrs();
  std::vector<Config> configs();
  Result<void> open_sink();
  Result<void> open_proxy();
  Result<void> open_userspace();
  stream::PlaneSettings plane_settings();
  void tell_of_bad_annotation(const kube::Service& service, const Error& error);
  void remove_rules();
  void succeed();
  std::vector<int> hand_over() const;
  void release();
  // Null: nothing is relayed.
  stream::Plane* plane() const;
  Result<void> serve();
  void offer_counters();
  void on_services_changed();
  void drain();
  void watch_config_file();
  void set_sysctls(bool last_try);
  void look_around();
  void place_service_health();
  void update_service_health();
  std::vector<FamilyHealth> families(bool well) const;
  StatDocument stat(const Result<void>& looked);
  void end(Error reason) {
    if (!failure_) failure_ = std::move(reason);
    loop_.stop();
  }

  Loop& loop_;
  const Options& options_;
  const WallTime started_;
  const MonoTime started_at_;
  Metrics metrics_;
  HttpClient http_;
  std::vector<Family> families_;
  std::vector<Cidr> pod_cidrs_;
  std::optional<Error> failure_;
  bool stopping_ = false;
  bool sysctls_again_ = false;

  std::optional<InstanceLock> lock_;
  std::unique_ptr<Predecessor> predecessor_;  // until it may go
  std::vector<Fd> inherited_;                 // its sockets
  bool succeeded_ = false;                    // by another that serves now
  std::unique_ptr<kube::Cluster> cluster_;
  std::unique_ptr<EventRecorder> events_;
  std::unique_ptr<NodeWatch> node_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<stream::OptIn> opt_in_;         // beside it; or, in mode userspace,
  std::unique_ptr<stream::Userspace> userspace_;  // this
  ObjectSink* sink_ = nullptr;                    // what the feed feeds
  std::unique_ptr<stream::NodeList> nodes_;
  bool rules_left_ = false;  // of mode nftables, removing them has failed
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<ProxyHealth> health_;
  std::unique_ptr<HttpServer> health_server_;
  std::unique_ptr<Operations> operations_;
  std::unique_ptr<PatientListener> health_listener_, operations_listener_;
  std::unique_ptr<ServiceHealth> service_health_;
  std::unique_ptr<FileWatch> config_watch_;
  std::unique_ptr<Succession> succession_;
  Alarm service_health_soon_, hurry_;
  bool service_health_asked_ = false;
  Timer around_;
};

}  // namespace fairlead::proxy
