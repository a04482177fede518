// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/opt_in.h"

#include <algorithm>

#include "base/log.h"
#include "proxy/node_watch.h"

namespace fairlead::proxy::stream {

namespace {

constexpr Duration kLook = std::chrono::milliseconds(250);

}  // namespace

OptIn::OptIn(Loop& loop, Proxy& proxy, PlaneSettings settings)
    : loop_(loop), proxy_(proxy), settings_(std::move(settings)) {
  settings_.beside_rules = true;
  proxy_.set_on_marked([this](const Dirty& dirty) { consider(dirty); });
  proxy_.set_on_node_addresses([this] {
    for (const kube::ObjectKey& key : wishes_.services()) consider(services().frontends(key));
  });
}

OptIn::~OptIn() {
  proxy_.set_on_marked(nullptr);
  proxy_.set_on_node_addresses(nullptr);
}

void OptIn::put(const kube::Service& service) {
  const kube::ObjectKey key = service.meta.key();
  const bool known = has_wishes(service) && !services().frontends(key).empty();
  const bool asks_anew = wishes_.put(service, known);
  const Wishes wishes = wishes_.of(key);
  proxy_.set_relay_only(key, wishes.relay_only());
  proxy_.put(service);
  if (!asks_anew) return;
  told_.erase(key);
  consider(services().frontends(key));
}

void OptIn::put(const kube::EndpointSlice& slice) {
  proxy_.put(slice);
}

void OptIn::remove_service(const kube::ObjectKey& key) {
  wishes_.remove(key);
  told_.erase(key);
  proxy_.remove_service(key);
  proxy_.set_relay_only(key, false);
}

void OptIn::remove_slice(const kube::ObjectKey& key) {
  proxy_.remove_slice(key);
}

void OptIn::set_node(const kube::Node& node) {
  primary_addresses_ = primary_addresses(node);
  proxy_.set_node(node);
  if (plane_) plane_->set_primary_addresses(primary_addresses_);
}

void OptIn::set_service_cidrs(std::vector<Cidr> cidrs) {
  service_cidrs_ = cidrs;
  proxy_.set_service_cidrs(std::move(cidrs));
  if (plane_) plane_->set_service_cidrs(service_cidrs_);
}

void OptIn::start() {
  started_ = true;
  proxy_.start();
  if (plane_) plane_->start();
}

// One that cannot be opened leaves everything with the rules, and is tried again.
void OptIn::open_plane() {
  opening_ = true;
  auto opened = Plane::open(loop_, {*this, services(), wishes_, api_servers_}, settings_);
  if (!opened.ok()) {
    log::warn("no Service can be relayed: {}; trying again", opened.error().message());
    retry_ = loop_.clock().after(retry_after_, [this] { open_plane(); });
    retry_after_ = std::min(retry_after_ * 2, kLastRetry);
    return;
  }
  plane_ = std::move(*opened);
  plane_->set_primary_addresses(primary_addresses_);
  plane_->set_service_cidrs(service_cidrs_);
  if (started_) plane_->start();
}

Stage OptIn::stage(const Frontend& frontend) const {
  const auto found = entries_.find(frontend);
  if (found == entries_.end()) return Stage::kNone;
  if (found->second.wanted) return Stage::kServe;
  return found->second.closing ? Stage::kNone : Stage::kKeep;
}

Dirty OptIn::frontends(Family family) const {
  Dirty result;
  for (const auto& [frontend, entry] : entries_)
    if (frontend.family() == family) result.push_back(frontend);
  return result;
}

// Where there is nothing to relay to, the rules refuse or drop.
bool OptIn::wants(const Frontend& frontend) {
  if (ending_ || frontend.protocol == Protocol::kSctp || !proxy_.serves(frontend.family()))
    return false;
  const auto owner = services().owner(frontend);
  if (!owner) return false;
  const Wishes wishes = wishes_.of(owner->port.service);
  if (!wishes.relay) return false;
  if (wishes.proxy_protocol_unknown && frontend.protocol == Protocol::kTcp) return false;
  const auto target = services().decide(frontend);
  const bool waits = target->treatment == Treatment::kRefuse && wishes.hold > Duration{} &&
                     frontend.protocol == Protocol::kTcp;
  if (comes_back(frontend.protocol, target->backends) ||
      comes_back(frontend.protocol, target->inside)) {
    if (told_.insert(owner->port.service).second)
      log::warn(
          "Service {} is not relayed: an endpoint of it is itself an address and port of a "
          "Service, from where connections of the relay would come back to it",
          owner->port.service.to_string());
    return false;
  }
  return target->treatment > Treatment::kDrop || waits;
}

bool OptIn::comes_back(Protocol protocol, const std::vector<Backend>& endpoints) const {
  const auto has_node_ports = [this](const IpAddress& address) {
    const std::vector<IpAddress> all = proxy_.node_port_addresses(address.family());
    return std::find(all.begin(), all.end(), address) != all.end();
  };
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const Backend& one) {
    const Family family = one.address.family();
    return services().has(Frontend::vip(one.address, protocol, one.port)) ||
           (services().has(Frontend::node(family, protocol, one.port)) &&
            has_node_ports(one.address));
  });
}

void OptIn::consider(const Dirty& dirty) {
  if (wishes_.empty() && entries_.empty()) return;
  for (const Frontend& frontend : dirty) consider(frontend);
}

void OptIn::consider(const Frontend& frontend) {
  const auto found = entries_.find(frontend);
  if (wants(frontend)) {
    entries_[frontend] = Entry();
    if (!opening_) open_plane();
    if (plane_) plane_->mark({frontend});
  } else if (found != entries_.end() && found->second.wanted) {
    found->second = {false, std::nullopt, false};
    proxy_.set_relay(frontend, std::nullopt);
    look_at_leaving();
  }
}

void OptIn::placed(const Frontend& frontend, const std::optional<SocketAddress>& at) {
  const auto found = entries_.find(frontend);
  if (found != entries_.end() && found->second.wanted) proxy_.set_relay(frontend, at);
}

bool OptIn::idle() const {
  if (plane_ && !plane_->idle()) return false;
  return std::all_of(entries_.begin(), entries_.end(), [this](const auto& entry) {
    return entry.second.wanted ? services().relay(entry.first).has_value()
                               : proxy_.settled(entry.first);
  });
}

void OptIn::look_at_leaving() {
  if (std::exchange(looking_, true)) return;
  look_ = loop_.clock().after(kLook, [this] {
    looking_ = false;
    end_leaving();
  });
}

// First the sockets go, then what keeps others from them.
void OptIn::end_leaving() {
  const MonoTime now = loop_.clock().now();
  Dirty closing, gone;
  for (auto& [frontend, entry] : entries_) {
    if (entry.wanted) continue;
    if (entry.closing) {
      gone.push_back(frontend);
    } else if (!proxy_.settled(frontend)) {
      entry.settled_since.reset();
    } else if (!entry.settled_since) {
      entry.settled_since = now;
    } else if (now - *entry.settled_since >= kGrace) {
      entry.closing = true;
      closing.push_back(frontend);
    }
  }
  for (const Frontend& frontend : gone) {
    entries_.erase(frontend);
    proxy_.forget_relay(frontend);
  }
  if (plane_) plane_->mark(closing);
  if (std::any_of(entries_.begin(), entries_.end(),
                  [](const auto& entry) { return !entry.second.wanted; }))
    look_at_leaving();
}

Result<void> OptIn::check() {
  if (Result<void> rules = proxy_.check(); !rules.ok()) return rules;
  return plane_ ? plane_->check_workers() : ok();
}

void OptIn::give_back() {
  ending_ = true;
  Dirty all;
  for (const auto& [frontend, entry] : entries_) all.push_back(frontend);
  consider(all);
}

}  // namespace fairlead::proxy::stream
