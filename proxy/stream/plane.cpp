// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/plane.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "base/log.h"
#include "proxy/node_watch.h"
#include "proxy/stream/sockets.h"
#include "proxy/sysctls.h"

namespace fairlead::proxy::stream {

namespace {

constexpr Duration kCoalesce = std::chrono::milliseconds(1);
constexpr size_t kFrontendsPerTurn = 256;
constexpr int kPortTries = 64;

size_t usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return static_cast<size_t>(std::max(CPU_COUNT(&cpus), 1));
}

std::vector<SocketAddress> socket_addresses(const std::vector<Backend>& backends) {
  std::vector<SocketAddress> result;
  result.reserve(backends.size());
  for (const Backend& backend : backends) result.push_back({backend.address, backend.port});
  return result;
}

// Endpoints of `before` that are not in `now`.
std::vector<SocketAddress> left_out(const EndpointSet& before,
                                    const std::vector<SocketAddress>& now) {
  std::vector<SocketAddress> all, result;
  std::set_union(before.endpoints.begin(), before.endpoints.end(), before.leaving.begin(),
                 before.leaving.end(), std::back_inserter(all));
  std::set_difference(all.begin(), all.end(), now.begin(), now.end(), std::back_inserter(result));
  return result;
}

// A session that outlived what connection tracking knows of its flow would go on untranslated.
void end_before_connection_tracking(UdpSettings& udp) {
  const auto shorten = [](Duration& timeout, const char* name) {
    timeout = std::min(timeout, conntrack_timeout(name).value_or(timeout)) * 9 / 10;
  };
  shorten(udp.fresh_timeout, "nf_conntrack_udp_timeout");
  shorten(udp.timeout, "nf_conntrack_udp_timeout_stream");
}

// Of a worker. A session has a port of the host's to itself, whoever its endpoint is: a socket that
// is connected without having been bound gets one that nobody has at any address (inet_autobind()
// of the kernel). Half of those that there are stay for others.
size_t most_sessions(size_t workers) {
  const auto [first, last] = local_ports();
  return std::max<size_t>((size_t{last} - first + 1) / 2 / workers, 1);
}

bool same(const Service& left, const Service& right) {
  const bool same_ranges =
      left.ranges == right.ranges || (left.ranges && right.ranges && *left.ranges == *right.ranges);
  return left.treatment == right.treatment && left.outside == right.outside &&
         left.inside == right.inside && same_ranges && left.origins == right.origins &&
         left.counters == right.counters && left.kept == right.kept &&
         left.proxy_protocol == right.proxy_protocol && left.hold == right.hold;
}

}  // namespace

size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

Result<std::unique_ptr<Plane>> Plane::open(Loop& loop, PlaneInputs inputs, PlaneSettings settings) {
  std::unique_ptr<Plane> plane(new Plane(loop, inputs, std::move(settings)));
  if (!plane->settings_.beside_rules) {
    auto routes = Routes::open(loop);
    if (!routes.ok()) return routes.error();
    plane->routes_ = std::move(*routes);
  }
  auto addresses = NodeAddresses::open(
      loop, [raw = plane.get()](const std::vector<IpAddress>&) { raw->update_addresses(); });
  if (!addresses.ok()) return addresses.error();
  plane->node_addresses_ = std::move(*addresses);
  if (Result<void> started = plane->start_workers(raise_descriptor_limit()); !started.ok())
    return started.error();
  return plane;
}

Plane::Plane(Loop& loop, PlaneInputs inputs, PlaneSettings settings)
    : loop_(loop), inputs_(inputs), settings_(std::move(settings)) {}

Plane::~Plane() = default;

Result<void> Plane::start_workers(size_t descriptors) {
  const size_t count = settings_.workers == 0 ? usable_cpus() : settings_.workers;
  budget_.emplace(descriptors, count, settings_.relay.pipes, settings_.udp.sessions);
  if (const Result<void> done = let_ports_be_used_again(); !done.ok())
    log::warn("ports of connections that clients have ended rest for a minute: {}",
              done.error().message());
  most_connections_ = most_connections();
  std::random_device random;
  for (size_t i = 0; i < count; ++i) {
    WorkerSettings settings;
    settings.index = i;
    settings.seed = uint64_t{random()} << 32 | random();
    settings.relay = settings_.relay;
    settings.udp = settings_.udp;
    if (settings_.beside_rules) end_before_connection_tracking(settings.udp);
    settings.ejection = settings_.ejection;
    settings.keep_sources = settings_.beside_rules;
    settings.relay.connections = most_connections_;
    settings.relay.pipes = budget_->pipes();
    settings.udp.sessions = std::min(budget_->sessions(), most_sessions(count));
    auto worker = WorkerThread::start(settings);
    if (!worker.ok()) return worker.error();
    workers_.push_back(std::move(*worker));
  }
  for (const Config& config : settings_.families)
    if (!config.bridge_interface.empty() || !config.interface_prefix.empty()) {
      log::warn(
          "the stream proxy does not see by which interface a connection came in: pods are taken "
          "for strangers where externalTrafficPolicy is Local");
      break;
    }
  return ok();
}

void Plane::set_primary_addresses(std::vector<IpAddress> addresses) {
  primary_addresses_ = std::move(addresses);
  update_addresses();
}

void Plane::set_service_cidrs(std::vector<Cidr> cidrs) {
  api_service_cidrs_ = std::move(cidrs);
  update_addresses();
}

void Plane::set_nodes(std::set<IpAddress> addresses) {
  const bool first = !nodes_;
  if (!first && *nodes_ == addresses) return;
  nodes_ = std::move(addresses);
  if (ready_)
    mark_all();
  else
    update_addresses();
}

void Plane::set_on_served(std::function<void()> callback) {
  if (routes_) routes_->set_on_settled(std::move(callback));
}

void Plane::adopt(std::vector<Fd> sockets) {
  for (Fd& socket : sockets)
    if (const auto frontend = frontend_of_socket(socket.get()))
      adopted_[*frontend].push_back(std::move(socket));
}

std::vector<int> Plane::sockets() const {
  std::vector<int> result;
  for (const auto& worker : workers_) {
    const std::vector<int> of_worker = worker->sockets();
    result.insert(result.end(), of_worker.begin(), of_worker.end());
  }
  return result;
}

void Plane::filter_again() {
  for (const auto& worker : workers_) worker->post([](Worker& w) { w.filter_again(); });
}

// Programming without the node's addresses would take node ports away.
void Plane::start() {
  started_ = true;
  node_addresses_->start();
  if (routes_)
    nodes_alarm_ = loop_.clock().after(adopted_.empty() ? kNodesGrace : kPatientGrace, [this] {
      if (nodes_) return;
      log::warn("the Nodes of the cluster are not known: no external address is served until then");
      nodes_late_ = true;
      update_addresses();
    });
  tidy_ = loop_.clock().after(kTidy, [this] { tidy(); });
}

// What hangs on this node's addresses and on the ranges of cluster IPs: where node ports listen,
// who is this node, which addresses need a route.
void Plane::update_addresses() {
  if (!started_ || !node_addresses_->known()) return;
  if (routes_ && !nodes_ && !nodes_late_) return;
  std::map<Family, Parameters> parameters;
  Origins origins;
  std::set<Cidr> ranges;
  for (const Config& config : settings_.families) {
    Parameters& wanted = parameters[config.family];
    wanted = wanted_parameters(config, api_service_cidrs_, node_addresses_->addresses(),
                               primary_addresses_);
    ranges.insert(wanted.service_cidrs.begin(), wanted.service_cidrs.end());
    origins.pods.insert(origins.pods.end(), config.cluster_cidrs.begin(),
                        config.cluster_cidrs.end());
  }
  origins.node = node_addresses_->addresses();
  if (routes_) want_dropped(std::move(ranges));
  const bool changed = parameters != parameters_ || origins.node != origins_->node;
  parameters_ = std::move(parameters);
  if (changed || !ready_) origins_ = std::make_shared<const Origins>(std::move(origins));
  const bool first = !std::exchange(ready_, true);
  if (first || changed) mark_all();
  if (first && pending_.empty()) apply();
}

void Plane::want_dropped(std::set<Cidr> ranges) {
  for (const Cidr& range : dropped_ranges_)
    if (!ranges.contains(range)) routes_->want_dropped(range, false);
  for (const Cidr& range : ranges) routes_->want_dropped(range, true);
  dropped_ranges_ = std::move(ranges);
}

void Plane::mark_all() {
  if (!ready_) return;
  for (const Config& config : settings_.families) mark(inputs_.owner.frontends(config.family));
}

void Plane::mark(const Dirty& dirty) {
  if (dirty.empty() || !ready_ || stopped_) return;
  for (const Frontend& frontend : dirty)
    if (parameters_.contains(frontend.family())) pending_.insert(frontend);
  apply_soon();
}

void Plane::apply_soon() {
  if (pending_.empty() || std::exchange(applying_soon_, true)) return;
  if (!busy_since_) busy_since_ = loop_.clock().now();
  apply_ = loop_.clock().after(kCoalesce, [this] {
    applying_soon_ = false;
    apply();
  });
}

void Plane::apply() {
  most_listening_ = budget_->listening(open_of(Protocol::kTcp));
  for (size_t i = 0; i < kFrontendsPerTurn && !pending_.empty(); ++i) {
    const Frontend frontend = *pending_.begin();
    pending_.erase(pending_.begin());
    apply(frontend);
  }
  divide_descriptors();
  if (!pending_.empty()) return apply_soon();
  adopted_.clear();
  // Not before all are known: what an earlier process left and nobody wants is taken away.
  if (routes_ && !std::exchange(routing_, true)) routes_->start();
  busy_since_.reset();
  last_update_ = loop_.clock().wall_now();
}

size_t Plane::most_connections() const {
  return std::min(settings_.relay.connections, budget_->connections(listening_));
}

void Plane::divide_descriptors() {
  if (std::exchange(most_connections_, most_connections()) == most_connections_) return;
  for (const auto& worker : workers_)
    worker->post([most = most_connections_](Worker& w) { w.set_most_connections(most); });
}

void Plane::apply(const Frontend& frontend) {
  const Stage stage = stopped_ ? Stage::kNone : inputs_.owner.stage(frontend);
  if (stage == Stage::kKeep) return;
  const auto target =
      stage == Stage::kServe ? inputs_.services.decide(frontend) : std::optional<Target>();
  const bool was_troubled = troubled_.erase(frontend) > 0;
  if (!target) {
    drop(frontend);
  } else if (const auto why_not = why_not_served(frontend)) {
    refuse(frontend, target->service, frontends_[frontend], *why_not);
  } else {
    route(frontend, true);
    apply(frontend, frontends_[frontend], *target);
  }
  if (target) tell(frontend);
  if (troubled_.contains(frontend))
    retry_later(!was_troubled);
  else if (troubled_.empty())
    retry_after_ = kFirstRetry;
}

void Plane::drop(const Frontend& frontend) {
  const auto found = frontends_.find(frontend);
  if (found == frontends_.end()) return;
  close_sockets(found->second, {});
  route(frontend, false);
  frontends_.erase(found);
  sweep_ = true;
}

void Plane::tell(const Frontend& frontend) {
  if (!settings_.beside_rules) return;
  const FrontendState& state = frontends_.at(frontend);
  inputs_.owner.placed(
      frontend, state.sockets.empty() ? std::nullopt : std::optional(state.sockets.begin()->first));
}

void Plane::refuse(const Frontend& frontend, const std::string& name, FrontendState& state,
                   const std::string& reason) {
  route(frontend, false);
  const std::set<SocketAddress> known = std::exchange(state.unserved, {});
  close_sockets(state, {});
  state.unserved = known;
  state.service.reset();
  complain(frontend, name, {frontend.address, frontend.port}, Error(ErrorCode::kConflict, reason));
}

// Cluster IPs are the cluster's own; external addresses are whatever somebody wrote.
std::optional<std::string> Plane::why_not_served(const Frontend& frontend) const {
  if (!routes_ && !relay_address(frontend.family()))
    return "this node has no address of its family";
  if (!routes_) return std::nullopt;
  const auto owner = inputs_.services.owner(frontend);
  if (!owner || owner->cluster_ip || owner->kind == AddressKind::kNodePort) return std::nullopt;
  const IpAddress& address = frontend.address;
  if (address.is_loopback() || address.is_unspecified() || address.is_multicast() ||
      address.is_link_local())
    return "its address is none that could be reached from elsewhere";
  if (is_own(address)) return std::nullopt;
  if (!nodes_) return "the Nodes of the cluster are not known yet, and it could be one's address";
  if (nodes_->contains(address)) return "its address is a Node's";
  if (inputs_.api_servers.contains(address)) return "its address is the API server's";
  const std::vector<Cidr>& pods = origins_->pods;
  if (std::any_of(pods.begin(), pods.end(), [&](const Cidr& c) { return c.contains(address); }))
    return "its address lies in --cluster-cidr, where pods are";
  return std::nullopt;
}

bool Plane::is_own(const IpAddress& address) const {
  const std::vector<IpAddress>& own = node_addresses_->addresses();
  return std::binary_search(own.begin(), own.end(), address);
}

void Plane::apply(const Frontend& frontend, FrontendState& state, const Target& target) {
  std::shared_ptr<const Service> service = service_of(frontend, target);
  // Where nobody listens the kernel refuses, as the kernel plane does.
  if (target.treatment == Treatment::kRefuse && service->hold == Duration{}) {
    close_sockets(state, {});
    state.service.reset();
    return;
  }
  if (state.service && state.service->name != service->name) sweep_ = true;
  const bool changed = !state.service || !same(*state.service, *service);
  if (changed) state.service = std::move(service);
  const std::set<SocketAddress> wanted = addresses_of(frontend, state);
  close_sockets(state, wanted);
  if (changed)
    for (const auto& [address, id] : state.sockets)
      for (const auto& worker : workers_)
        worker->post([id = id, made = state.service](Worker& w) { w.update(id, made); });
  for (const SocketAddress& address : wanted)
    if (!state.sockets.contains(address)) open_socket(frontend, state, address);
}

std::shared_ptr<const Service> Plane::service_of(const Frontend& frontend, const Target& target) {
  auto service = std::make_shared<Service>();
  service->name = target.service;
  service->protocol = frontend.protocol;
  service->treatment = target.treatment;
  const auto owner = inputs_.services.owner(frontend);
  const Wishes wishes = owner ? inputs_.wishes.of(owner->port.service) : Wishes();
  const Policy policy = wishes.balance.value_or(settings_.policy);
  service->outside = set_of(frontend, target, target.backends, {target.here, policy});
  if (target.treatment == Treatment::kLocal)
    service->inside = set_of(frontend, target, target.inside, {false, policy});
  service->ranges = target.ranges;
  if (settings_.beside_rules) service->kept = kept_sources(target, frontend.family());
  service->origins = origins_;
  if (frontend.protocol == Protocol::kTcp) {
    service->proxy_protocol = wishes.proxy_protocol;
    if (wishes.proxy_protocol_unknown)
      service->treatment = Treatment::kDrop;
    else if (target.treatment == Treatment::kRefuse)
      service->hold = wishes.hold;
  }
  if (owner) {
    WorkerCount& counters = counters_[owner->port];
    while (counters.size() < workers_.size()) counters.push_back(std::make_shared<Counters>());
    service->counters = counters;
  }
  return service;
}

// As rules.cpp has it.
KeptSources Plane::kept_sources(const Target& target, Family family) const {
  if (target.treatment == Treatment::kLocal) return KeptSources::kAll;
  if (target.treatment != Treatment::kCluster) return KeptSources::kNone;
  for (const Config& config : settings_.families) {
    if (config.family != family) continue;
    if (config.masquerade_all) return KeptSources::kNone;
    return config.knows_pods() ? KeptSources::kPods : KeptSources::kAll;
  }
  return KeptSources::kNone;
}

std::shared_ptr<const EndpointSet> Plane::set_of(const Frontend& frontend, const Target& target,
                                                 const std::vector<Backend>& backends,
                                                 const Choosing& how) {
  std::weak_ptr<const EndpointSet>& known =
      sets_[{target.service, frontend.protocol, frontend.family(), how}];
  const std::shared_ptr<const EndpointSet> before = known.lock();
  auto set = std::make_shared<EndpointSet>();
  set->id = before ? before->id : next_id_++;
  set->policy = how.policy;
  set->endpoints = socket_addresses(backends);
  // As the kernel plane leaves flows to an endpoint alone for as long as it serves.
  if (before && frontend.protocol == Protocol::kUdp)
    for (const SocketAddress& left : left_out(*before, set->endpoints))
      if (inputs_.services.serves(frontend, left.address, left.port)) set->leaving.push_back(left);
  if (target.affinity_seconds != 0) {
    set->affinity = std::chrono::seconds(target.affinity_seconds);
    set->clients = before && before->clients ? before->clients : std::make_shared<SharedAffinity>();
  }
  if (before && before->endpoints == set->endpoints) set->places = before->places;
  if (before && before->endpoints == set->endpoints && before->leaving == set->leaving &&
      before->affinity == set->affinity)
    return before;
  known = set;
  return set;
}

// Port 0: whichever the kernel has.
std::set<SocketAddress> Plane::addresses_of(const Frontend& frontend,
                                            const FrontendState& state) const {
  if (settings_.beside_rules) {
    for (const auto& [known, id] : state.sockets)
      if (is_own(known.address)) return {known};
    const auto address = relay_address(frontend.family());
    return address ? std::set<SocketAddress>{{*address, 0}} : std::set<SocketAddress>();
  }
  if (!frontend.node_port) return {{frontend.address, frontend.port}};
  std::set<SocketAddress> result;
  for (const IpAddress& address : parameters_.at(frontend.family()).node_addresses)
    result.insert({address, frontend.port});
  return result;
}

// The Node's own, else the first this machine has.
std::optional<IpAddress> Plane::relay_address(Family family) const {
  for (const IpAddress& address : primary_addresses_)
    if (address.family() == family && is_own(address)) return address;
  for (const IpAddress& address : node_addresses_->addresses())
    if (address.family() == family) return address;
  return std::nullopt;
}

// None that a Service has: on this address, or on all of this node's.
Result<uint16_t> Plane::port_for_socket(Protocol protocol, const IpAddress& address) const {
  for (int i = 0; i < kPortTries; ++i) {
    const Result<uint16_t> port = free_port(protocol, address);
    if (!port.ok()) return port;
    if (!inputs_.services.has(Frontend::vip(address, protocol, *port)) &&
        !inputs_.services.has(Frontend::node(address.family(), protocol, *port)))
      return port;
  }
  return Error(ErrorCode::kResourceExhausted,
               "every free port of " + address.to_string() + " that was tried is a Service's");
}

// One for each worker. In place of port 0 `address` gets one that is free.
Result<std::vector<std::shared_ptr<Fd>>> Plane::open_sockets(Protocol protocol,
                                                             const Service& service,
                                                             SocketAddress& address) {
  const auto sources = admitted(service, address.address);
  std::vector<std::shared_ptr<Fd>> sockets;
  if (address.port == 0) {
    const Result<uint16_t> port = port_for_socket(protocol, address.address);
    if (!port.ok()) return port.error();
    address.port = *port;
  }
  if (const auto found = adopted_.find({protocol, address}); found != adopted_.end()) {
    for (Fd& socket : found->second) {
      if (sockets.size() == workers_.size()) break;
      set_sources(socket.get(), address.address.family(), sources);
      sockets.push_back(std::make_shared<Fd>(std::move(socket)));
    }
    adopted_.erase(found);
  }
  while (sockets.size() < workers_.size()) {
    auto opened = open_frontend_socket(protocol, address, sources);
    if (!opened.ok()) return opened.error();
    sockets.push_back(std::make_shared<Fd>(std::move(*opened)));
  }
  return sockets;
}

// All workers have one, or none.
void Plane::open_socket(const Frontend& frontend, FrontendState& state,
                        const SocketAddress& wanted) {
  const std::string& name = state.service->name;
  if (listening_ + workers_.size() > most_listening_)
    return complain(frontend, name, wanted,
                    Error(ErrorCode::kResourceExhausted,
                          std::to_string(listening_) +
                              " sockets listen, and no more may: raise the limit of descriptors"));
  SocketAddress address = wanted;
  auto opened = open_sockets(frontend.protocol, *state.service, address);
  if (!opened.ok()) return complain(frontend, name, wanted, opened.error());
  std::vector<std::shared_ptr<Fd>>& sockets = *opened;
  if (state.unserved.erase(wanted) > 0)
    log::debug("{} of {}: listening on {} now", frontend.to_string(), name, address.to_string());
  const ListenerId id = next_id_++;
  state.sockets[address] = id;
  listening_ += workers_.size();
  for (size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->post([id, socket = sockets[i], address, service = state.service](Worker& worker) {
      worker.put(id, std::move(*socket), address, service);
    });
}

void Plane::close_sockets(FrontendState& state, const std::set<SocketAddress>& keep) {
  std::erase_if(state.unserved, [&](const auto& address) { return !keep.contains(address); });
  std::erase_if(state.sockets, [&](const auto& entry) {
    if (keep.contains(entry.first)) return false;
    for (const auto& worker : workers_)
      worker->post([id = entry.second](Worker& w) { w.remove(id); });
    listening_ -= workers_.size();
    return true;
  });
}

// What is unsupported, or somebody else's address, is so until something changes.
void Plane::complain(const Frontend& frontend, const std::string& name,
                     const SocketAddress& address, const Error& error) {
  FrontendState& state = frontends_[frontend];
  // A port that was free and is taken now is not the last.
  const bool for_good =
      error.is(ErrorCode::kUnsupported) || (error.is_conflict() && !settings_.beside_rules);
  if (!for_good) troubled_.insert(frontend);
  if (!state.unserved.insert(address).second) return;
  const MonoTime now = loop_.clock().now();
  if (now - complained_at_ >= kQuiet) complaints_ = 0;
  if (complaints_ > kLoudest) return;
  complained_at_ = now;
  if (complaints_++ < kLoudest)
    log::warn("{} of {} is not {}: {}", frontend.to_string(), name,
              settings_.beside_rules ? "relayed" : "served", error.message());
  else
    log::warn("more is not served: fairlead_stream_unserved_sockets in /metrics counts it");
}

// An address of this node's own has the kernel's route already.
void Plane::route(const Frontend& frontend, bool wanted) {
  if (frontend.node_port || !routes_) return;
  const IpAddress& address = frontend.address;
  std::set<Frontend>& users = addresses_[address];
  if (wanted)
    users.insert(frontend);
  else
    users.erase(frontend);
  routes_->want_local(address, !users.empty() && !is_own(address));
  if (users.empty()) addresses_.erase(address);
}

// New trouble does not wait for as long as the old has come to.
void Plane::retry_later(bool anew) {
  if (anew) retry_after_ = kFirstRetry;
  const MonoTime at = loop_.clock().now() + retry_after_;
  if (retry_at_ && *retry_at_ <= at) return;
  retry_at_ = at;
  retry_ = loop_.clock().after(retry_after_, [this] {
    retry_at_.reset();
    mark({troubled_.begin(), troubled_.end()});
  });
  retry_after_ = std::min(retry_after_ * 2, kLastRetry);
}

void Plane::stop_accepting(bool handed_over) {
  stopped_ = true;
  pending_.clear();
  for (const auto& worker : workers_)
    worker->post([handed_over](Worker& w) { handed_over ? w.leave_all() : w.remove_all(); });
  ping();
}

}  // namespace fairlead::proxy::stream
