// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "netlink/nftables/list.h"
#include "netlink/nftables/wire.h"
#include "proxy/stream/routes.h"
#include "proxy/take_over.h"

namespace fairlead::proxy {

using netlink::Connection;
using netlink::MessageView;
using netlink::MessageWriter;

namespace {

constexpr Duration kListenAgain = std::chrono::seconds(1);
constexpr Duration kErrorGrace = std::chrono::seconds(5);
constexpr int kWatchedPerTurn = 4;       // datagrams: a thousand elements
constexpr size_t kAsideBytes = 4 << 10;  // a hundred elements, 0.1 ms of the kernel
constexpr Duration kProbeLimit = std::chrono::milliseconds(500);
constexpr Duration kCleanUpLimit = std::chrono::seconds(30);

Error explain(const Error& error) {
  if (error.is(ErrorCode::kPermission))
    return error.with_context("programming nftables needs CAP_NET_ADMIN (run as root)");
  if (error.is(ErrorCode::kUnsupported) || error.is(ErrorCode::kInvalid))
    return error.with_context("this kernel has no nf_tables (load module nf_tables)");
  return error;
}

// Every nf_tables message carries its table's name as attribute 1 (linux/netfilter/nf_tables.h).
bool concerns(const MessageView& message, Family family) {
  if (message.type >> 8 != NFNL_SUBSYS_NFTABLES) return false;
  const uint8_t type = message.type & 0xff;
  if (type == NFT_MSG_NEWGEN || type == NFT_MSG_TRACE) return false;
  const auto header = message.header<nfgenmsg>();
  if (!header || header->nfgen_family != static_cast<uint8_t>(nft::table_family(family)))
    return false;
  netlink::Bytes rest = message.attributes(sizeof(nfgenmsg));
  netlink::Attribute attribute;
  while (netlink::next_attribute(rest, attribute))
    if (attribute.type == NFTA_TABLE_NAME) return attribute.text() == kTableName;
  return false;
}

// A table or a chain that a kube-proxy, in whatever mode, has made.
bool is_a_kube_proxys(const MessageView& message) {
  if (message.type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE)) {
    const Result<nft::Table> table = nft::parse_table(message);
    return table.ok() && table->name == kKubeProxyTable;
  }
  if (message.type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN)) return false;
  const Result<nft::Chain> chain = nft::parse_chain(message);
  return chain.ok() && is_kube_proxys_chain(*chain);
}

MessageWriter get_object(Family family, uint8_t type, const char* chain) {
  MessageWriter request;
  nfgenmsg header{};
  header.nfgen_family = static_cast<uint8_t>(nft::table_family(family));
  request.begin(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), 0, header);
  request.put_string(NFTA_TABLE_NAME, kTableName);  // the same number as NFTA_CHAIN_TABLE
  if (chain != nullptr) request.put_string(NFTA_CHAIN_NAME, chain);
  request.end();
  return request;
}

}  // namespace

Proxy::Proxy(Loop& loop, Settings settings, Metrics& metrics)
    : loop_(loop),
      settings_(std::move(settings)),
      metrics_(metrics),
      services_({settings_.node_name, {}, {}, settings_.families.front().accept_external_ips}),
      sync_metrics_(metrics, loop.clock().wall_now()),
      counters_(services_) {}

Proxy::~Proxy() {
  probe_.reset();  // whom it still has to answer needs the rest
}

Result<std::unique_ptr<Proxy>> Proxy::open(Loop& loop, HttpTransport& http, Metrics& metrics,
                                           Settings settings) {
  std::unique_ptr<Proxy> proxy(new Proxy(loop, std::move(settings), metrics));
  const Result<void> connected = proxy->connect(http);
  if (!connected.ok()) return explain(connected.error());
  return proxy;
}

Result<void> Proxy::connect(HttpTransport& http) {
  const auto open = [this](netlink::Protocol protocol,
                           std::unique_ptr<Connection>& into) -> Result<void> {
    auto opened = Connection::open(loop_, protocol);
    if (!opened.ok()) return opened.error();
    into = std::move(*opened);
    return ok();
  };
  Connection::Options in_pieces;  // counters are listed there while changes are programmed
  in_pieces.datagrams_per_turn = kWatchedPerTurn;
  auto watch = Connection::open(loop_, netlink::Protocol::kNetfilter, in_pieces);
  if (!watch.ok()) return watch.error();
  watch_ = std::move(*watch);
  for (auto* connection : {&conntrack_, &probe_})
    if (auto opened = open(netlink::Protocol::kNetfilter, *connection); !opened.ok()) return opened;
  if (auto opened = open(netlink::Protocol::kRoute, route_); !opened.ok()) return opened;
  // Asking for the table of no one proves both: nf_tables is there, and we may use it.
  const Result<void> usable =
      probe_->request_sync(get_object(Family::kIpv4, NFT_MSG_GETTABLE, nullptr), kProbeLimit * 10);
  if (!usable.ok() && !usable.error().is_not_found()) return usable.error();
  std::vector<IpAddress> dns;
  for (const Config& config : settings_.families) {
    if (const Result<void> added = add_family(config); !added.ok()) return added;
    dns.insert(dns.end(), config.local_dns.begin(), config.local_dns.end());
  }
  cleaner_ = std::make_unique<ConntrackCleaner>(
      loop_.clock(), *conntrack_, services_, [this](Family family) {
        return programmer(family).programmed().parameters().node_addresses;
      });
  cleaner_->set_on_deleted([this](Family family) { sync_metrics_.flow_deleted(family); });
  cleaner_->set_on_listed(
      [this](Family family, Duration took) { sync_metrics_.flows_listed(family, took); });
  local_dns_ = std::make_unique<LocalDns>(loop_.clock(), http, *route_, dns,
                                          settings_.local_dns_ready_url, [this](bool exempt) {
                                            for (const auto& family : families_)
                                              family->programmer->exempt_local_dns(exempt);
                                          });
  auto addresses =
      NodeAddresses::open(loop_, [this](const std::vector<IpAddress>&) { update_parameters(); });
  if (!addresses.ok()) return addresses.error();
  node_addresses_ = std::move(*addresses);
  watch_->set_on_notification([this](const MessageView& message) { on_notification(message); });
  watch_->set_on_resync([this] {
    for (const auto& family : families_) family->programmer->suspect("notifications were lost");
  });
  return open_counters();
}

Result<void> Proxy::add_family(const Config& config) {
  sync_metrics_.add_family(config.family);
  families_.push_back(
      std::unique_ptr<FamilyState>(new FamilyState{config, nullptr, nullptr, nullptr, {}}));
  FamilyState& family = *families_.back();
  Connection::Options aside;  // so that the next piece of a cold load is planned meanwhile
  aside.send_aside_from = kAsideBytes;
  auto opened = Connection::open(loop_, netlink::Protocol::kNetfilter, aside);
  if (!opened.ok()) return opened.error();
  family.connection = std::move(*opened);
  family.programmer =
      std::make_unique<Programmer>(loop_.clock(), *family.connection, services_, config);
  family.affinity = std::make_unique<AffinityCleaner>(loop_.clock(), *family.connection);
  family.programmer->set_on_acknowledged(
      [this, &family](const Programmer::Acknowledged& frontends) {
        on_acknowledged(family, frontends);
      });
  family.programmer->set_on_committed([this, &family](Duration took, bool load) {
    sync_metrics_.committed(family.config.family, took, load, loop_.clock().wall_now());
  });
  family.programmer->set_on_loading([this, &family](bool loading) { on_loading(family, loading); });
  return ok();
}

Result<void> Proxy::open_counters() {
  counter_reader_ = std::make_unique<CounterReader>(loop_.clock(), *watch_, counters_, [this] {
    std::vector<nft::Set> sets;
    for (const auto& family : families_)
      for (const SetId id : {SetId::kServices, SetId::kNodeServices})
        sets.push_back(family->programmer->programmed().set(id));
    return sets;
  });
  if (!settings_.count_bytes) return ok();
  auto opened =
      FlowCounter::open(loop_, metrics_, counters_,
                        [this](const netlink::conntrack::Tuple& to) { return owner_of(to); });
  if (!opened.ok()) return opened.error();
  flow_counter_ = std::move(*opened);
  return ok();
}

std::optional<ServicePort> Proxy::owner_of(const netlink::conntrack::Tuple& original) const {
  const auto protocol = protocol_of(original.protocol);
  if (!protocol) return std::nullopt;
  const IpAddress& to = original.destination;
  const uint16_t port = original.destination_port;
  auto owner = services_.owner(Frontend::vip(to, *protocol, port));
  for (const auto& family : families_) {
    const auto& ours = family->programmer->programmed().parameters().node_addresses;
    if (!owner && std::find(ours.begin(), ours.end(), to) != ours.end())
      owner = services_.owner(Frontend::node(to.family(), *protocol, port));
  }
  return owner ? std::optional(owner->port) : std::nullopt;
}

void Proxy::start() {
  started_ = true;
  node_addresses_->start();
  nft::get_generation(*probe_, [this](Result<nft::Generation> generation) {
    if (generation.ok()) base_generation_ = generation->id;
    generation_known_ = true;
    start_programmers();
  });
}

// Once the addresses are known too: programming without would take node ports away.
void Proxy::start_programmers() {
  if (!generation_known_ || !node_addresses_->known() || programming_) return;
  programming_ = true;
  for (const auto& family : families_) family->programmer->start();
  local_dns_->start();
}

Parameters Proxy::parameters(const Config& config) const {
  return wanted_parameters(config, api_service_cidrs_, node_addresses_->addresses(),
                           primary_addresses_);
}

void Proxy::update_parameters() {
  for (const auto& family : families_)
    family->programmer->set_parameters(parameters(family->config));
  start_programmers();
  if (on_node_addresses_) on_node_addresses_();
}

std::vector<IpAddress> Proxy::node_port_addresses(Family family) const {
  for (const auto& one : families_)
    if (one->config.family == family) return parameters(one->config).node_addresses;
  return {};
}

void Proxy::set_node(const kube::Node& node) {
  primary_addresses_ = primary_addresses(node);
  const auto zone = node.meta.labels.find("topology.kubernetes.io/zone");
  mark(services_.set_node(zone == node.meta.labels.end() ? "" : zone->second, primary_addresses_));
  update_parameters();
}

void Proxy::set_service_cidrs(std::vector<Cidr> cidrs) {
  api_service_cidrs_ = std::move(cidrs);
  update_parameters();
}

// The kernel tells whoever listens of each element, which takes it, and us, longer than to add it:
// tables are loaded unheard, and afterwards the generation tells whether others have had a hand in
// it. What others do to a table that is gone anyway needs no notification.
void Proxy::on_loading(FamilyState& family, bool loading) {
  if (loading) return stop_listening();
  // What went before this load is gone, heard of or not. Not forgotten when the load began: what
  // the kernel had said of it may have been still to be read.
  counters_.forget(nft::table_family(family.config.family));
  cleaner_->changed({family.uncleaned.begin(), family.uncleaned.end()});
  family.uncleaned.clear();
  if (std::none_of(families_.begin(), families_.end(),
                   [](const auto& other) { return other->programmer->loading(); }))
    listen();
}

void Proxy::stop_listening() {
  if (!std::exchange(listening_, false)) return;
  base_generation_.reset();
  if (const auto now = generation())
    if (in_rest()) base_generation_ = *now - static_cast<uint32_t>(commits());
  if (const Result<void> left = watch_->unsubscribe(NFNLGRP_NFTABLES); !left.ok())
    log::warn("{}", left.error().message());
}

void Proxy::listen() {
  if (std::exchange(listening_, true)) return;
  const Result<void> subscribed = watch_->subscribe(NFNLGRP_NFTABLES);
  if (std::exchange(deaf_, !subscribed.ok()) != deaf_ && deaf_)
    log::error("changes by others are not noticed: {}; trying again", subscribed.error().message());
  if (deaf_) {
    listening_ = false;
    listen_again_ = loop_.clock().after(kListenAgain, [this] { listen(); });
    return;
  }
  std::vector<nft::TableFamily> older;  // one that has written nothing may yet take a table over
  for (const auto& family : families_)
    if (const auto status = family->programmer->status(); status.taken_over || status.commits == 0)
      older.push_back(nft::table_family(family->config.family));
  if (!std::exchange(counting_, true)) counter_reader_->begin(std::move(older));
  // Every commit adds one to the generation. More than ours: someone else's are among them.
  const auto now = generation();
  if (now && base_generation_ && in_rest() &&
      *now == *base_generation_ + static_cast<uint32_t>(commits()))
    return;
  for (const auto& family : families_) family->programmer->verify();
}

std::optional<uint32_t> Proxy::generation() {
  const auto found = std::make_shared<std::optional<Result<nft::Generation>>>();
  nft::get_generation(*probe_, [found](Result<nft::Generation> now) { *found = std::move(now); });
  if (!probe_->wait([&] { return found->has_value(); }, kProbeLimit) || !(*found)->ok())
    return std::nullopt;
  return (**found)->id;
}

// No commit of ours is on its way: the kernel has done those we count, and no other.
bool Proxy::in_rest() const {
  return std::none_of(families_.begin(), families_.end(),
                      [](const auto& family) { return family->programmer->committing(); });
}

uint64_t Proxy::commits() const {
  uint64_t ours = 0;
  for (const auto& family : families_) ours += family->programmer->status().commits;
  return ours;
}

void Proxy::put(const kube::Service& service) {
  const Dirty dirty = services_.put(service);
  sync_metrics_.service_changed(dirty, loop_.clock().wall_now());
  mark(dirty);
}

void Proxy::put(const kube::EndpointSlice& slice) {
  const Dirty dirty = services_.put(slice);
  sync_metrics_.slice_changed(started_ ? &slice : nullptr, dirty, loop_.clock().wall_now());
  mark(dirty);
}

void Proxy::remove_service(const kube::ObjectKey& key) {
  const Dirty dirty = services_.remove_service(key);
  sync_metrics_.service_changed(dirty, loop_.clock().wall_now());
  mark(dirty);
}

void Proxy::remove_slice(const kube::ObjectKey& key) {
  const Dirty dirty = services_.remove_slice(key);
  sync_metrics_.slice_changed(nullptr, dirty, loop_.clock().wall_now());
  mark(dirty);
}

void Proxy::mark(const Dirty& dirty) {
  if (on_services_changed_) on_services_changed_();
  if (dirty.empty()) return;
  program(dirty);
  if (on_marked_) on_marked_(dirty);
}

void Proxy::program(const Dirty& dirty) {
  if (!started_) return;
  for (const auto& family : families_) family->programmer->mark(dirty);
}

void Proxy::set_relay(const Frontend& frontend, const std::optional<SocketAddress>& socket) {
  program(services_.set_relay(frontend, socket));
}

bool Proxy::serves(Family family) const {
  return std::any_of(families_.begin(), families_.end(),
                     [&](const auto& one) { return one->config.family == family; });
}

void Proxy::on_acknowledged(FamilyState& family, const Programmer::Acknowledged& frontends) {
  Dirty dirty;
  for (const auto& [frontend, since] : frontends) dirty.push_back(frontend);
  sync_metrics_.acknowledged(family.config.family, frontends, loop_.clock().now(),
                             loop_.clock().wall_now());
  if (std::all_of(families_.begin(), families_.end(),
                  [](const auto& one) { return one->programmer->idle(); }))
    sync_metrics_.nothing_is_pending();
  if (!family.programmer->loading()) {
    cleaner_->changed(dirty);
  } else {  // listings of flows would be in the way
    for (const Frontend& frontend : dirty)
      if (frontend.protocol == Protocol::kUdp) family.uncleaned.insert(frontend);
  }
  family.affinity->changed(family.programmer->programmed(), dirty);
}

void Proxy::on_notification(const MessageView& message) {
  counter_reader_->notified(message);
  for (const auto& family : families_)
    if (message.port_id == family->connection->port_id()) return;
  for (const auto& family : families_)
    if (concerns(message, family->config.family)) family->programmer->suspect("a notification");
  warn_of_kube_proxy(message);
}

// One that is started again beside us, as by an upgrade of the cluster that knows nothing of us.
void Proxy::warn_of_kube_proxy(const MessageView& message) {
  if (kube_proxy_beside_ || !is_a_kube_proxys(message)) return;
  kube_proxy_beside_ = true;
  log::warn(
      "a kube-proxy has begun to program this node too: packets meet its rules and ours; end one "
      "of "
      "the two (docs/proxy.md, \"Before the switch\")");
}

bool Proxy::idle() const {
  if (!listening_ || !programming_) return false;
  for (const auto& family : families_)
    if (!family->programmer->idle() || !family->affinity->idle()) return false;
  return cleaner_->idle();
}

const Programmer& Proxy::programmer(Family family) const {
  for (const auto& candidate : families_)
    if (candidate->config.family == family) return *candidate->programmer;
  assert(false && "a family that is not served");
  return *families_.front()->programmer;
}

Result<void> Proxy::check() {
  for (const auto& family : families_)
    if (Result<void> good = check(family->config.family); !good.ok()) return good;
  return ok();
}

Result<void> Proxy::check(Family family) {
  if (!started_)
    return Error(ErrorCode::kUnavailable, "Services and EndpointSlices are not known yet");
  const Programmer::Status status = programmer(family).status();
  const std::string name = family == Family::kIpv4 ? "IPv4: " : "IPv6: ";
  const auto age = [&](const std::optional<MonoTime>& since) {
    return since ? loop_.clock().now() - *since : Duration{};
  };
  const Duration busy = age(status.busy_since);
  if (!status.ready) return Error(ErrorCode::kUnavailable, name + "not programmed yet");
  if (status.last_error && busy > kErrorGrace)
    return Error(ErrorCode::kUnavailable, name + status.last_error->message());
  const Duration limit = settings_.stale_after;
  if (busy > limit || age(programmer(family).oldest_change()) > limit)
    return Error(ErrorCode::kUnavailable,
                 name + "changes wait for longer than twice the sync period");
  if (deaf_) return Error(ErrorCode::kUnavailable, "changes by others are not noticed");
  const Result<void> present = probe(family);
  if (!present.ok()) return present.error().with_context(name + "asking the kernel for our table");
  return ok();
}

void Proxy::refresh_metrics() {
  for (const auto& family : families_)
    sync_metrics_.refresh(family->config.family, family->programmer->status().failures,
                          started_ && family->programmer->idle(), loop_.clock().wall_now(),
                          services_);
}

Result<void> Proxy::probe(Family family) {
  for (const char* chain : {"prerouting", "output", "postrouting"}) {
    uint32_t rules = 0;  // of a chain with a hook nothing else is counted
    const Result<void> found = probe_->request_sync(
        get_object(family, NFT_MSG_GETCHAIN, chain), kProbeLimit, [&](const MessageView& answer) {
          netlink::Bytes rest = answer.attributes(sizeof(nfgenmsg));
          netlink::Attribute attribute;
          while (netlink::next_attribute(rest, attribute))
            if (attribute.type == NFTA_CHAIN_USE) rules = attribute.be32();
        });
    if (!found.ok()) return found;
    // A transaction that is being prepared takes the rules off before it puts new ones on.
    if (rules == 0 && !programmer(family).committing())
      return Error(ErrorCode::kUnavailable, std::string("chain ") + chain + " has no rules");
  }
  return ok();
}

namespace {

// EOPNOTSUPP is said of a batch for a subsystem that is not there (nfnetlink_rcv_skb_batch() of the
// kernel), EPROTONOSUPPORT without nfnetlink itself.
bool lacks_nftables(const Error& error) {
  return error.error_number() == EOPNOTSUPP || error.error_number() == EPROTONOSUPPORT;
}

bool is_of_a_service(const netlink::conntrack::Tuple& original, const ServiceMap& services) {
  const IpAddress& to = original.destination;
  const uint16_t port = original.destination_port;
  return services.has(Frontend::vip(to, Protocol::kUdp, port)) ||
         services.has(Frontend::node(to.family(), Protocol::kUdp, port));
}

Result<void> remove_udp_flows(Loop& loop, const ServiceMap& services) {
  using Flows = Result<std::vector<netlink::conntrack::Entry>>;
  auto netfilter = Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!netfilter.ok()) return netfilter.error();
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    netlink::conntrack::Filter filter;
    filter.family = family;
    filter.protocol = IPPROTO_UDP;
    filter.status = IPS_DST_NAT;
    const auto found = std::make_shared<std::optional<Flows>>();
    netlink::conntrack::list(**netfilter, filter,
                             [found](Flows flows) { *found = std::move(flows); });
    if (!(*netfilter)->wait([&] { return found->has_value(); }, kCleanUpLimit))
      return Error(ErrorCode::kTimeout, "listing flows: no answer in time");
    if (!(*found)->ok()) return (*found)->error();
    for (const netlink::conntrack::Entry& flow : ***found) {
      if (!is_of_a_service(flow.original, services)) continue;
      const Result<void> gone =
          (*netfilter)->request_sync(netlink::conntrack::delete_entry(flow), kCleanUpLimit);
      if (!gone.ok() && !gone.error().is_not_found()) return gone;
    }
  }
  return ok();
}

Result<void> remove_rules(Loop& loop) {
  auto netfilter = Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!netfilter.ok()) return explain(netfilter.error());
  const Result<void> tables = remove_tables(**netfilter, kCleanUpLimit);
  if (!tables.ok()) return explain(tables.error());
  auto route = Connection::open(loop, netlink::Protocol::kRoute);
  if (!route.ok()) return route.error();
  return remove_local_dns_routes(**route, kCleanUpLimit);
}

}  // namespace

Result<void> clean_up_rules(Loop& loop, const ServiceMap& services) {
  const Result<void> rules = remove_rules(loop);
  if (!rules.ok()) return lacks_nftables(rules.error()) ? ok() : rules;
  const Result<void> flows = remove_udp_flows(loop, services);
  // Without conntrack the kernel says that what is asked is invalid, or unsupported.
  const bool none = !flows.ok() && (flows.error().is(ErrorCode::kUnsupported) ||
                                    flows.error().is(ErrorCode::kInvalid));
  return none ? ok() : flows;
}

Result<void> clean_up(Loop& loop) {
  const Result<void> rules = remove_rules(loop);
  const Result<void> routes = stream::remove_routes(loop, kCleanUpLimit);
  if (!rules.ok() && !lacks_nftables(rules.error())) return rules;
  return routes;
}

}  // namespace fairlead::proxy
