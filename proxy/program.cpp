// SPDX-License-Identifier: Apache-2.0
#include "proxy/program.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "proxy/kernel_release.h"
#include "proxy/sysctls.h"

namespace fairlead::proxy {
namespace {

constexpr const char* kUserAgent = "fairlead-proxy/0.1";
constexpr Duration kPodCidrLimit = std::chrono::minutes(5);  // as kube-proxy waits
constexpr Duration kShadowLimit = std::chrono::minutes(5);
constexpr Duration kCoalesce = std::chrono::milliseconds(50);
constexpr Duration kLookAround = std::chrono::seconds(10);
constexpr size_t kMostConfig = 2 << 20;  // bytes of the file, more than is read of it
constexpr Duration kRoutesLimit = std::chrono::seconds(30);
constexpr Duration kPortRetry = std::chrono::milliseconds(100);
constexpr int kLockTries = 10;
constexpr Duration kSuccessionLimit = std::chrono::seconds(45);  // less than Succession::kPatience
constexpr Duration kGiveBackLimit = std::chrono::seconds(10);

// As kube-proxy decides (app/server_linux.go): the kernel has it, and nobody switched it off.
bool ipv6_available() {
  if (access("/proc/net/if_inet6", R_OK) != 0) return false;
  const Result<std::string> off = read_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", 16);
  return !off.ok() || off->empty() || off->front() != '1';
}

// kube-proxy talks to --master without TLS where there is nothing but it (client-go, rest.Config).
Result<kube::ClientConfig> client_config(const Options& options) {
  const std::string& kubeconfig = options.kube.client.kubeconfig;
  const bool alone = kubeconfig.empty() && !options.master.empty();
  const std::string master = kube::server_url(options.master, alone ? "http://" : "https://");
  if (!alone) return kube::find_config(kubeconfig, master);
  kube::ClientConfig config;
  config.server = master;
  return config;
}

// Lowering it needs CAP_SYS_RESOURCE: without, the kernel decides as it would.
void set_oom_score(int32_t score) {
  std::ofstream file("/proc/self/oom_score_adj");
  if (!(file << score << std::flush)) log::debug("oom_score_adj stays as it is");
}

}  // namespace

Result<void> Program::run() {
  stream::raise_descriptor_limit();  // health checks of many Services, whoever asks
  const char* skip = std::getenv("KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK");
  const bool rules = !options_.kube.userspace_mode();
  if (rules && (skip == nullptr || *skip == '\0'))  // set to nothing is not set, as for kube-proxy
    if (Result<void> known = check_release(kernel_release()); !known.ok()) return known;
  const SignalWatch terminate(loop_, SIGTERM, [this] { stopping_ = true, loop_.stop(); });
  const SignalWatch interrupt(loop_, SIGINT, [this] { stopping_ = true, loop_.stop(); });
  if (Result<void> locked = take_lock(); !locked.ok()) return locked;
  set_oom_score(options_.kube.oom_score_adj);
  watch_config_file();
  for (const auto step :
       {&Program::connect, &Program::wait_for_pod_cidrs, &Program::open_sink, &Program::serve}) {
    if (Result<void> done = (this->*step)(); !done.ok()) return done;
    if (failure_) return *failure_;
    if (stopping_) return ok();
  }
  around_.start_every(kLookAround, [this] { look_around(); });
  if (nodes_) nodes_->start();
  feed_->start();
  events_->about_node(false, "Starting", "StartKubeProxy", kVersion);
  log::info("node {}, API server {}", options_.node_name, cluster_->config().server);
  loop_.run();
  if (plane() != nullptr) drain();
  if (failure_) return *failure_;
  if (proxy_) log::info("ending; the rules stay");
  return ok();
}

// From the program before this one, with its sockets; else it is free, or will be at once: that one
// has just died.
Result<void> Program::take_lock() {
  if (!options_.handover.empty()) {
    auto met = Predecessor::meet(options_.handover);
    if (!met.ok()) return met.error();
    predecessor_ = *std::move(met);
  }
  if (predecessor_) inherited_ = predecessor_->take_sockets();
  for (Fd& socket : inherited_)
    if (InstanceLock::is_one(socket)) lock_.emplace(InstanceLock::take(std::move(socket)));
  if (predecessor_ && !lock_)
    return Error(ErrorCode::kConflict, "what answers at " + options_.handover +
                                           " is no fairlead-proxy in this network namespace");
  if (predecessor_)
    hurry_ = loop_.clock().after(kSuccessionLimit, [this] {
      if (predecessor_)
        end(Error(ErrorCode::kTimeout, "not serving after " + format_duration(kSuccessionLimit) +
                                           ": the program before this one goes on"));
    });
  for (int tries = options_.handover.empty() ? 1 : kLockTries; !lock_; --tries) {
    Result<InstanceLock> lock = InstanceLock::acquire();
    if (lock.ok())
      lock_.emplace(std::move(*lock));
    else if (tries == 1)
      return lock.error();
    else
      loop_.run_until([] { return false; }, kPortRetry);
  }
  return ok();
}

// All is served: the program before this one may go, the next one may come.
void Program::succeed() {
  if (options_.handover.empty()) return;
  if (predecessor_) predecessor_->dismiss();
  predecessor_.reset();
  auto listening = Succession::listen(
      loop_, options_.handover,
      {[this] { return hand_over(); }, [this] { userspace_->plane().filter_again(); },
       [this] {
         succeeded_ = stopping_ = true;
         loop_.stop();
       }});
  if (listening.ok())
    succession_ = *std::move(listening);
  else
    log::error("{}; the next program cannot take over", listening.error().message());
}

std::vector<int> Program::hand_over() const {
  std::vector<int> sockets = userspace_->plane().sockets();
  sockets.push_back(lock_->fd());
  return sockets;
}

// What is the next program's, when it comes or has come. Ports, as long as this one is asked how it
// is, are not.
void Program::release() {
  if (!userspace_) return;
  succession_.reset();
  lock_.reset();
  plane()->leave_routes();
  if (!succeeded_) return;
  service_health_soon_.cancel();
  around_.stop();
  service_health_.reset();
  health_listener_.reset();
  operations_listener_.reset();
  health_server_.reset();
  operations_.reset();
}

stream::Plane* Program::plane() const {
  if (userspace_) return &userspace_->plane();
  return opt_in_ ? opt_in_->plane() : nullptr;
}

// A second signal is obeyed at once. Rules, where there are any, have everything before.
void Program::drain() {
  bool asked = !succeeded_, again = false;  // the next program was no signal
  const auto ask = [&] { again = std::exchange(asked, true); };
  const SignalWatch terminate(loop_, SIGTERM, ask);
  const SignalWatch interrupt(loop_, SIGINT, ask);
  Timer look(loop_);
  look.start_every(kCoalesce, [] {});
  if (opt_in_) {
    opt_in_->give_back();
    loop_.run_until([&] { return again || opt_in_->given_back(); }, kGiveBackLimit);
    if (!again && !opt_in_->given_back())
      log::warn("the rules do not have every relayed Service again");
  }
  const Duration limit = options_.stream_drain_timeout;
  plane()->stop_accepting(succeeded_);
  release();
  log::info("ending: {} connections have {} to end by themselves", plane()->connections(),
            format_duration(limit));
  loop_.run_until([&] { return again || plane()->drained(); }, limit);
}

Result<void> Program::connect() {
  const Result<kube::ClientConfig> config = client_config(options_);
  if (!config.ok()) return config.error();
  auto cluster = kube::Cluster::connect(loop_, *config, kUserAgent);
  if (!cluster.ok()) return cluster.error();
  cluster_ = std::move(*cluster);
  cluster_->api().set_metrics(metrics_);
  Clock& clock = loop_.clock();
  events_ = std::make_unique<EventRecorder>(clock, cluster_->api(), options_.node_name);
  node_ = std::make_unique<NodeWatch>(clock, cluster_->api(), options_.node_name,
                                      *IpAddress::parse_lenient(options_.kube.bind_address));
  node_->start();
  return ok();
}

// In mode NodeCIDR the pods of this node are known by ranges that its Node gets some time after it
// was made. They never change in a healthy cluster; if they do, the process starts anew.
Result<void> Program::wait_for_pod_cidrs() {
  if (Result<void> known = check_cluster_cidrs(); !known.ok()) return known;
  if (options_.kube.local_mode() != "NodeCIDR") return ok();
  log::info("waiting for the podCIDRs of Node {}", options_.node_name);
  const auto assigned = [this] {
    return node_->node() && !node_->node()->meta.deleting && !node_->node()->pod_cidrs.empty();
  };
  const bool done =
      loop_.run_until([&] { return assigned() || stopping_ || failure_; }, kPodCidrLimit);
  if (stopping_ || failure_) return ok();
  if (!done)
    return Error(ErrorCode::kTimeout,
                 "Node " + options_.node_name +
                     " has no podCIDRs after 5 minutes; detectLocalMode NodeCIDR needs them");
  pod_cidrs_ = node_->node()->pod_cidrs;
  const std::vector<IpAddress> primary = primary_addresses(*node_->node());
  if (!primary.empty() && std::none_of(pod_cidrs_.begin(), pod_cidrs_.end(), [&](const Cidr& cidr) {
        return cidr.family() == primary.front().family();
      }))
    return Error(ErrorCode::kInvalid,
                 "the podCIDRs of Node " + options_.node_name + " have none of the family of its " +
                     "address " + primary.front().to_string() +
                     "; detectLocalMode NodeCIDR would take its pods for strangers");
  node_->subscribe([this] {
    if (node_->node() && node_->node()->pod_cidrs != pod_cidrs_)
      end(Error(ErrorCode::kConflict, "the podCIDRs of Node " + options_.node_name +
                                          " have changed; ending, to be started with the new"));
  });
  return ok();
}

// As kube-proxy, which ends too (cmd/kube-proxy/app/server.go, checkBadIPConfig).
Result<void> Program::check_cluster_cidrs() const {
  const std::vector<Cidr> cidrs = split_cidrs(options_.kube.cluster_cidr);
  if (options_.kube.local_mode() != "ClusterCIDR" || cidrs.empty() || ipv6_available() ||
      std::any_of(cidrs.begin(), cidrs.end(),
                  [](const Cidr& cidr) { return cidr.family() == Family::kIpv4; }))
    return ok();
  return Error(ErrorCode::kInvalid,
               "clusterCIDR " + options_.kube.cluster_cidr +
                   " has no range of IPv4, and this node has no IPv6; its pods would be taken for "
                   "strangers");
}

std::vector<Config> Program::configs() {
  std::vector<Config> result;
  families_ = {Family::kIpv4};
  if (ipv6_available()) families_.push_back(Family::kIpv6);
  for (const Family family : families_) {
    result.push_back(options_.config(family, pod_cidrs_));
    result.back().repeat_lookups = lookups_may_miss(kernel_release());
  }
  return result;
}

Result<std::optional<Comparison>> Program::run_shadow() {
  using Answer = std::optional<Comparison>;
  const SignalWatch terminate(loop_, SIGTERM, [this] { stopping_ = true, loop_.stop(); });
  const SignalWatch interrupt(loop_, SIGINT, [this] { stopping_ = true, loop_.stop(); });
  for (const auto step : {&Program::connect, &Program::wait_for_pod_cidrs}) {
    if (Result<void> done = (this->*step)(); !done.ok()) return done.error();
    if (failure_) return *failure_;
    if (stopping_) return Answer();
  }
  ShadowSettings settings;
  settings.node_name = options_.node_name;
  settings.families = configs();
  settings.rules_files = options_.shadow_rules;
  auto shadow = Shadow::open(loop_, std::move(settings));
  if (!shadow.ok()) return shadow.error();
  feed_ = std::make_unique<Feed>(loop_.clock(), cluster_->api(), **shadow, *node_);
  feed_->start();
  const auto ended = [this] { return stopping_ || failure_; };
  loop_.run_until([&] { return (*shadow)->ready() || ended(); }, kShadowLimit);
  Result<Comparison> result =
      (*shadow)->ready() || ended()
          ? Result<Comparison>(Comparison{})
          : Error(ErrorCode::kTimeout, "Services and EndpointSlices are not known after 5 minutes");
  if (result.ok() && !ended()) result = (*shadow)->compare(ended);
  feed_.reset();
  if (failure_) return *failure_;
  if (!result.ok()) return result.error();
  return stopping_ ? Answer() : Answer(std::move(*result));
}

Result<void> Program::open_sink() {
  const bool userspace = options_.kube.userspace_mode();
  if (Result<void> opened = userspace ? open_userspace() : open_proxy(); !opened.ok())
    return opened;
  feed_ = std::make_unique<Feed>(loop_.clock(), cluster_->api(), *sink_, *node_);
  return ok();
}

stream::PlaneSettings Program::plane_settings() {
  stream::PlaneSettings settings;
  settings.node_name = options_.node_name;
  settings.families = configs();
  settings.policy = options_.stream_policy;
  settings.relay.connect_timeout = options_.stream_connect_timeout;
  // As long as connection tracking would remember a flow.
  const KubeProxyConfig::Conntrack& conntrack = options_.kube.conntrack;
  for (auto [given, into] :
       {std::pair{conntrack.tcp_established_timeout, &settings.relay.idle_timeout},
        {conntrack.tcp_close_wait_timeout, &settings.relay.half_closed_timeout},
        {conntrack.udp_timeout, &settings.udp.fresh_timeout},
        {conntrack.udp_stream_timeout, &settings.udp.timeout}})
    if (given > Duration{}) *into = given;
  return settings;
}

Result<void> Program::open_userspace() {
  auto userspace = stream::Userspace::open(loop_, plane_settings());
  if (!userspace.ok()) return userspace.error();
  userspace_ = std::move(*userspace);
  sink_ = userspace_.get();
  plane()->adopt(std::exchange(inherited_, {}));
  set_sysctls(false);
  plane()->set_on_served([this] {
    remove_rules();
    succeed();
  });
  userspace_->set_on_bad_annotation([this](const kube::Service& service, const Error& error) {
    tell_of_bad_annotation(service, error);
  });
  if (const auto address = stream::api_server_address(cluster_->config().server))
    userspace_->set_api_server(*address);
  nodes_ = std::make_unique<stream::NodeList>(
      loop_.clock(), cluster_->api(),
      [this](std::set<IpAddress> addresses) { plane()->set_nodes(std::move(addresses)); });
  return ok();
}

void Program::tell_of_bad_annotation(const kube::Service& service, const Error& error) {
  const kube::ObjectKey key = service.meta.key();
  log::warn("Service {}: {}", key.to_string(), error.message());
  events_->record(
      {"Service", key, true, "InvalidAnnotation", "Configure", error.message(), service.meta.uid});
}

// Rules of mode nftables translate what is to come here. They stay until all of it can come, so
// that no client is without an answer meanwhile.
void Program::remove_rules() {
  const Result<void> gone = clean_up_rules(loop_, userspace_->services());
  rules_left_ = !gone.ok() && !gone.error().is(ErrorCode::kPermission);
  if (!gone.ok())
    log::warn("rules of mode nftables, if there are any, go on translating: {}{}",
              gone.error().message(), rules_left_ ? "; trying again" : "");
}

Result<void> Program::open_proxy() {
  if (Result<void> gone = stream::remove_routes(loop_, kRoutesLimit); !gone.ok())
    log::warn("routes of mode userspace: {}", gone.error().message());
  Settings settings;
  settings.node_name = options_.node_name;
  settings.local_dns_ready_url = options_.local_dns_ready_url;
  settings.families = configs();
  settings.count_bytes = options_.service_bytes;
  settings.stale_after = 2 * options_.kube.sync_period();
  auto proxy = Proxy::open(loop_, http_, metrics_, std::move(settings));
  if (!proxy.ok()) return proxy.error();
  proxy_ = std::move(*proxy);
  opt_in_ = std::make_unique<stream::OptIn>(loop_, *proxy_, plane_settings());
  opt_in_->set_on_bad_annotation([this](const kube::Service& service, const Error& error) {
    tell_of_bad_annotation(service, error);
  });
  sink_ = opt_in_.get();
  set_sysctls(false);
  return ok();
}

// The two servers of kube-proxy, health for load balancers and operations for this node, and those
// of Services.
Result<void> Program::serve() {
  health_ = std::make_unique<ProxyHealth>(
      loop_.clock(), metrics_,
      ProxyHealth::Sources{[this] { return feed_->started(); },
                           [this] { return userspace_ ? plane()->check() : opt_in_->check(); },
                           [this](bool well) { return families(well); },
                           [this] { return why_not_eligible(node_->missing(), node_->node()); }});
  OpsEndpoints endpoints;
  endpoints.checks = {{"/healthz", [this] { return health_->healthz(); }},
                      {"/livez", [this] { return health_->livez(); }}};
  health_server_ = std::make_unique<HttpServer>(
      loop_, HttpServerOptions{},
      [endpoints](const HttpServerRequest& request, const std::shared_ptr<HttpResponder>& to) {
        if (!serve_ops(endpoints, request, *to))
          to->respond(404, {{"Content-Type", "text/plain; charset=utf-8"}}, "not found\n");
      });
  operations_ = std::make_unique<Operations>(
      loop_, metrics_,
      OperationsFacts{"{\"kubeproxy.config.k8s.io\":" + to_json(options_.kube) + "}\n",
                      options_.flags, kVersion, started_, userspace_ ? "userspace" : "nftables"},
      [this] { return health_->healthy(); });
  offer_counters();
  service_health_ = std::make_unique<ServiceHealth>(
      loop_, [this] { return health_->healthy(); },
      [this](const kube::ObjectKey& service, uint16_t port, const Error& error) {
        if (predecessor_) return;  // that one has it
        const std::string note = "node " + options_.node_name + " failed to start healthcheck \"" +
                                 service.to_string() + "\" on port " + std::to_string(port) + ": " +
                                 error.message();
        log::error("{}", note);
        events_->record(
            {"Service", service, true, "FailedToStartServiceHealthcheck", "Listen", note});
      },
      predecessor_ ? std::chrono::seconds(1) : ServiceHealth::kRetry);
  node_->subscribe([this] { place_service_health(); });
  place_service_health();
  const auto changed = [this] { on_services_changed(); };
  if (userspace_)
    userspace_->set_on_services_changed(changed);
  else
    proxy_->set_on_services_changed(changed);

  // The program before this one has its ports until this one serves.
  const bool strict = options_.kube.bind_address_hard_fail && !predecessor_;
  const Duration retry = predecessor_ ? kPortRetry : PatientListener::kRetry;
  health_listener_ = std::make_unique<PatientListener>(loop_, *health_server_, retry);
  operations_listener_ = std::make_unique<PatientListener>(loop_, operations_->server(), retry);
  const Result<void> health_bound = health_listener_->listen(
      "--healthz-bind-address", options_.kube.healthz_bind_address, strict);
  const Result<void> operations_bound = operations_listener_->listen(
      "--metrics-bind-address", options_.kube.metrics_bind_address, strict);
  for (const auto& [bound, event] : {std::pair{&health_bound, "FailedToStartProxierHealthcheck"},
                                     {&operations_bound, "FailedToStartMetricServer"}}) {
    if (bound->ok()) continue;
    if (!predecessor_) events_->about_node(true, event, "StartKubeProxy", bound->error().message());
    if (strict) return *bound;
    if (!predecessor_) log::error("{}; trying again", bound->error().message());
  }
  return ok();
}

// What has passed, by service.
void Program::offer_counters() {
  const auto relayed = [this] {
    if (proxy_) proxy_->refresh_metrics();
    return plane() == nullptr ? "" : plane()->metrics(options_.service_metrics);
  };
  if (userspace_ || !options_.service_metrics)
    operations_->set_more_metrics(
        [this, relayed](const auto& tell) { loop_.post([tell, relayed] { tell(relayed()); }); });
  if (userspace_)
    return operations_->set_stat(
        [this](const auto& tell) { loop_.post([this, tell] { tell(to_json(stat(ok()))); }); });
  operations_->set_stat([this](const auto& tell) {
    proxy_->look([this, tell](const Result<void>& looked) { tell(to_json(stat(looked))); });
  });
  if (options_.service_metrics)
    operations_->set_more_metrics([this, relayed](const auto& tell) {
      proxy_->look([this, tell, relayed](const Result<void>& looked) {
        if (!looked.ok()) log::warn("metrics of Services: {}", looked.error().message());
        tell(metrics_text(proxy_->counters(), options_.service_bytes) + relayed());
      });
    });
}

void Program::on_services_changed() {
  if (succeeded_ || std::exchange(service_health_asked_, true)) return;
  service_health_soon_ = loop_.clock().after(kCoalesce, [this] { update_service_health(); });
}

void Program::watch_config_file() {
  if (options_.config_file.empty()) return;
  // Not for a new mode or date, nor for another file beside it in its ConfigMap, which moves it
  // too.
  config_watch_ = std::make_unique<FileWatch>(loop_, options_.config_file, [this] {
    const Result<std::string> now = read_file(options_.config_file, kMostConfig);
    if (now.ok() && *now == options_.config_text) return;
    end(Error(ErrorCode::kConflict,
              options_.config_file + " has changed; ending, to be started with what it says"));
  });
}

// kube-proxy ends when one of them cannot be written. What the host keeps to itself (a container
// without the right, a namespace of ours) is no reason to leave its Services without a proxy.
void Program::set_sysctls(bool last_try) {
  sysctls_again_ = false;
  std::string forbidden;
  const std::vector<Sysctl> wanted = options_.conntrack_sysctls(cpu_count());
  const std::vector<SysctlFailure> failures = write_sysctls(wanted);
  const bool all_missing =
      failures.size() >= wanted.size() &&
      std::all_of(failures.begin(), failures.end(), [](const SysctlFailure& failure) {
        return failure.kind == SysctlFailure::Kind::kMissing;
      });
  // Mode userspace loads no connection tracking: others do later, or never.
  const bool give_up = last_try && !(userspace_ && all_missing);
  for (const SysctlFailure& failure : failures) {
    if (failure.kind == SysctlFailure::Kind::kFailed) return end(failure.error);
    if (failure.kind == SysctlFailure::Kind::kMissing && !give_up)
      sysctls_again_ = true;
    else
      forbidden += (forbidden.empty() ? "" : "; ") + failure.error.message();
  }
  if (forbidden.empty()) return;
  log::warn("connection tracking stays as the host has it: {}", forbidden);
  events_->about_node(true, "readOnlySysFS", "StartKubeProxy", forbidden);
}

// What nobody tells us about.
void Program::look_around() {
  place_service_health();
  update_service_health();
  if (sysctls_again_ && feed_->started()) set_sysctls(true);
  if (rules_left_) remove_rules();
}

void Program::place_service_health() {
  if (succeeded_) return;
  const std::optional<kube::Node> node = node_->node() ? node_->node() : node_->stand_in();
  const std::vector<IpAddress> primary = node ? primary_addresses(*node) : std::vector<IpAddress>();
  std::vector<IpAddress> addresses;
  size_t everywhere = 0;
  for (const Family family : families_) {
    const auto chosen = options_.node_port_cidrs(family);
    const std::vector<Cidr> ranges = node_port_ranges(family, chosen, primary);
    const bool all = !ranges.empty() && ranges.front().prefix_length() == 0;
    if (all) ++everywhere;
    const std::vector<IpAddress> local = local_addresses(ranges);
    addresses.insert(addresses.end(), local.begin(), local.end());
    if (chosen || all) continue;
    // One that no interface has is to be complained of.
    for (const Cidr& range : ranges) addresses.push_back(range.address());
  }
  if (everywhere == families_.size()) addresses = {IpAddress::any(Family::kIpv4)};
  service_health_->set_addresses(std::move(addresses));
}

void Program::update_service_health() {
  service_health_asked_ = false;
  std::vector<ServiceHealth::Entry> entries;
  for (const ServiceMap::HealthPort& service : sink_->services().health_ports())
    entries.push_back({service.service, service.port, service.local_ready});
  service_health_->update(entries);
}

std::vector<FamilyHealth> Program::families(bool well) const {
  std::vector<FamilyHealth> result;
  const MonoTime now = loop_.clock().now();
  if (userspace_) {
    const auto last = plane()->last_update();
    for (const Family family : families_)
      result.push_back({family, well, last.value_or(WallTime{})});
    return result;
  }
  const bool relays = well || plane() == nullptr || plane()->check_workers().ok();
  for (const Family family : families_) {
    const Programmer::Status status = proxy_->programmer(family).status();
    const WallTime last =
        status.commits == 0 ? WallTime{} : loop_.clock().wall_now() - (now - status.last_commit);
    result.push_back({family, well || (relays && proxy_->check(family).ok()), last});
  }
  return result;
}

StatDocument Program::stat(const Result<void>& looked) {
  const MonoTime now = loop_.clock().now();
  StatDocument document = userspace_
                              ? stat_of(*plane(), userspace_->services(),
                                        std::chrono::duration<double>(now - started_at_).count())
                              : stat_of(*proxy_, families_, now, started_at_, looked);
  if (opt_in_ && plane() != nullptr) add_relayed(document, *plane(), proxy_->services());
  document.node = options_.node_name;
  document.since = rfc3339_nano(started_);
  return document;
}

}  // namespace fairlead::proxy
