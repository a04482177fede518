// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/forward.h"

#include <sys/random.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "base/log.h"
#include "dns/plugins/forward/relay.h"
#include "dns/plugins/forward/setup.h"

namespace fairlead::dns {
namespace {

constexpr size_t kRounds = 2;

// Numbers nobody can guess, fetched from the kernel a page at a time.
class RandomSource {
 public:
  using result_type = uint16_t;
  static constexpr uint16_t min() { return 0; }
  static constexpr uint16_t max() { return UINT16_MAX; }
  uint16_t operator()() {
    if (left_ == 0) {
      // Up to 256 bytes never come short once the kernel's pool is ready (getrandom(2)).
      while (getrandom(pool_, sizeof pool_, 0) != static_cast<ssize_t>(sizeof pool_)) {
      }
      left_ = std::size(pool_);
    }
    return pool_[--left_];
  }

 private:
  uint16_t pool_[128];
  size_t left_ = 0;
};

// One directive's.
class Forwarder {
 public:
  // The block's next one for the name behind `self`, or nullptr.
  using Next = std::function<Forwarder*(const Name& name, const Forwarder& self)>;

  Forwarder(const PluginContext& context, const ForwardOptions& options, Next next)
      : loop_(context.loop),
        options_(options),
        next_(std::move(next)),
        health_(options.policy, options.max_fails),
        idle_(context.loop, options.idle),
        probe_timer_(context.loop) {}

  bool is_for(const Name& name) const { return options_.is_for(name); }
  Step serve(Request& request);

 private:
  // A query that another one has deferred.
  void take(std::unique_ptr<Deferred> deferred);
  // Why it cannot be asked; false: it can.
  bool refuse(Reply& reply, InFlightLimit::Place& place);

  struct Pending {
    InFlightLimit::Place place;
    std::unique_ptr<Deferred> deferred;
    std::vector<uint8_t> query;
    std::vector<SocketAddress> servers;
    size_t attempts = 0;
    MonoTime deadline;
    bool network_error = false;
    std::unique_ptr<UpstreamExchange> exchange;
  };

  void begin(InFlightLimit::Place place, std::unique_ptr<Deferred> deferred);
  void refresh_servers();
  void attempt(uint64_t id);
  void on_done(uint64_t id, const Result<ReplyView>& result);
  void reply(uint64_t id, const ReplyView& view);
  void give_up(uint64_t id);
  void start_probing();
  void probe();

  Loop& loop_;
  const ForwardOptions& options_;
  const Next next_;
  UpstreamHealth health_;
  uint64_t version_ = 0;
  RandomSource random_;
  IdleConnections idle_;  // outlives the exchanges, which use it
  std::map<uint64_t, Pending> pending_;
  uint64_t next_id_ = 0;
  Timer probe_timer_;
  std::map<SocketAddress, std::unique_ptr<UpstreamExchange>> probes_;
};

void Forwarder::refresh_servers() {
  const uint64_t version = options_.upstreams->version();
  if (version == version_) return;
  version_ = version;
  health_.set_servers(*options_.upstreams->get());
}

bool Forwarder::refuse(Reply& reply, InFlightLimit::Place& place) {
  refresh_servers();
  if (health_.size() == 0) {
    reply.set_rcode(Rcode::kServFail);
    reply.set_error(Ede::kNoReachableAuthority, "no upstream server is configured");
    return true;
  }
  place = options_.in_flight->take();
  if (place) return false;
  reply.set_rcode(Rcode::kRefused);
  reply.set_error(Ede::kOther, "too many queries wait for upstream servers");
  return true;
}

Step Forwarder::serve(Request& request) {
  InFlightLimit::Place place;
  if (refuse(request.reply(), place)) return Step::kAnswered;
  begin(std::move(place), request.defer());
  return Step::kPending;
}

void Forwarder::take(std::unique_ptr<Deferred> deferred) {
  InFlightLimit::Place place;
  if (refuse(deferred->reply(), place)) return deferred->finish();
  begin(std::move(place), std::move(deferred));
}

void Forwarder::begin(InFlightLimit::Place place, std::unique_ptr<Deferred> deferred) {
  const uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending.place = std::move(place);
  pending.query = upstream_query(deferred->query());
  pending.deferred = std::move(deferred);
  pending.servers = health_.order(random_);
  pending.deadline = loop_.clock().now() + options_.total;
  attempt(id);
}

void Forwarder::attempt(uint64_t id) {
  Pending& pending = pending_.at(id);
  const Duration left = pending.deadline - loop_.clock().now();
  if (pending.attempts >= kRounds * pending.servers.size() || left <= Duration::zero())
    return give_up(id);
  const SocketAddress& server = pending.servers[pending.attempts++ % pending.servers.size()];
  ExchangeLimits limits = options_.limits;
  for (Duration* limit : {&limits.udp_reply, &limits.tcp_connect, &limits.tcp_reply})
    *limit = std::min(*limit, left);
  const bool over_tcp =
      options_.force_tcp ||
      (pending.deferred->client().transport == Transport::kTcp && !options_.prefer_udp);
  pending.exchange = std::make_unique<UpstreamExchange>(
      loop_, idle_, server, pending.query, random_(), over_tcp, limits,
      [this, id](const Result<ReplyView>& result) { on_done(id, result); });
}

void Forwarder::on_done(uint64_t id, const Result<ReplyView>& result) {
  Pending& pending = pending_.at(id);
  const SocketAddress server = pending.exchange->server();
  if (result.ok()) {
    health_.succeeded(server);
    return reply(id, *result);
  }
  health_.failed(server);
  log::debug("forward: {}", result.error().message());
  pending.network_error = !result.error().is_timeout();
  start_probing();
  attempt(id);
}

void Forwarder::reply(uint64_t id, const ReplyView& view) {
  // Kept to the end of this function: `view` points into the exchange.
  Pending pending = std::move(pending_.extract(id).mapped());
  const Rcode rcode = whole_rcode(view);
  if (std::find(options_.next.begin(), options_.next.end(), rcode) != options_.next.end())
    if (Forwarder* other = next_(pending.deferred->query().name, *this))
      return other->take(std::move(pending.deferred));
  pending.deferred->adopt(client_reply(view, pending.deferred->query()), rcode,
                          client_options(view));
  pending.deferred->finish();
}

void Forwarder::give_up(uint64_t id) {
  const Pending pending = std::move(pending_.extract(id).mapped());
  Reply& reply = pending.deferred->reply();
  reply.set_rcode(Rcode::kServFail);
  if (pending.network_error) {
    reply.set_error(Ede::kNetworkError, "the network refused the upstream servers");
  } else {
    reply.set_error(Ede::kNoReachableAuthority, "no upstream server replied in time");
  }
  pending.deferred->finish();
}

void Forwarder::start_probing() {
  if (!probe_timer_.active() && !health_.down().empty())
    probe_timer_.start_every(options_.probe_period, [this] { probe(); });
}

// ". NS" with RD: any reply will do.
void Forwarder::probe() {
  refresh_servers();
  const std::vector<SocketAddress> down = health_.down();
  if (down.empty()) return probe_timer_.stop();
  for (const SocketAddress& server : down) {
    if (probes_.contains(server)) continue;
    std::vector<uint8_t> query = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
    probes_[server] = std::make_unique<UpstreamExchange>(
        loop_, idle_, server, std::move(query), random_(), false, options_.limits,
        [this, server](const Result<ReplyView>& result) {
          if (result.ok()) health_.succeeded(server);
          probes_.erase(server);
        });
  }
}

class Forward : public Plugin {
 public:
  Forward(const PluginContext& context, const ForwardOptions& options) {
    std::vector<const ForwardOptions*> all = {&options};
    for (const auto& other : options.others) all.push_back(other.get());
    for (const ForwardOptions* each : all)
      forwarders_.push_back(std::make_unique<Forwarder>(
          context, *each,
          [this](const Name& name, const Forwarder& self) { return next(name, self); }));
  }
  Step serve(Request& request) override {
    for (const auto& forwarder : forwarders_)
      if (forwarder->is_for(request.query().name)) return forwarder->serve(request);
    return Step::kNext;
  }

 private:
  Forwarder* next(const Name& name, const Forwarder& self) const {
    bool behind = false;
    for (const auto& forwarder : forwarders_) {
      if (behind && forwarder->is_for(name)) return forwarder.get();
      behind = behind || forwarder.get() == &self;
    }
    return nullptr;
  }

  std::vector<std::unique_ptr<Forwarder>> forwarders_;
};

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Forward>(context, dynamic_cast<const ForwardOptions&>(options));
}

}  // namespace

bool ForwardOptions::is_for(const Name& name) const {
  return name.ends_with(from) && std::none_of(except.begin(), except.end(), [&](const Name& zone) {
           return name.ends_with(zone);
         });
}

FAIRLEAD_DNS_PLUGIN(forward) = {&parse_forward, &make, &start_forward};

}  // namespace fairlead::dns
