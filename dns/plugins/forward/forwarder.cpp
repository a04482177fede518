// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/forwarder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "dns/labels.h"
#include "dns/plugins/forward/relay.h"

namespace fairlead::dns {
namespace {

constexpr size_t kRounds = 2;
// Questions that go out in a turn of the loop: each takes as long as several answers of our own.
constexpr int kStartsInTurn = 4;

bool has(const std::vector<Rcode>& rcodes, Rcode rcode) {
  return std::ranges::find(rcodes, rcode) != rcodes.end();
}

// What is wrong, without whom it is about, as Go writes the kernel's errors: "connection refused".
std::string reason_of(const Error& error) {
  std::string text = error.message();
  if (const size_t at = text.rfind(": "); at != std::string::npos) text.erase(0, at + 2);
  if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z')
    text[0] = static_cast<char>(to_lower(static_cast<uint8_t>(text[0])));
  return text;
}

void count(ForwardMetrics::Count& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Forwarder::Forwarder(const PluginContext& context, const ForwardOptions& options, Next next)
    : loop_(context.loop),
      options_(options),
      over_limit_(fmt::format("concurrent queries exceeded maximum {}", options.in_flight->most())),
      next_(std::move(next)),
      health_(options.policy, options.max_fails),
      tls_(options.tls),
      idle_(context.loop, options.idle),
      https_(context.loop, options.pems, options.https_get),
      outside_{context.loop, tls_, idle_, options.source, &https_},
      start_(context.loop),
      probe_timer_(context.loop) {}

void Forwarder::refresh_servers() {
  const uint64_t version = options_.upstreams->version();
  if (version == version_) return;
  version_ = version;
  const UpstreamList::List servers = options_.upstreams->get();
  health_.set_servers(*servers);
  counts_.clear();
  for (const UpstreamServer& server : *servers)
    counts_[server.address] = &options_.metrics->server(server.address);
}

// Also of one that has left the list while it was asked.
ForwardMetrics::Server& Forwarder::counts(const UpstreamServer& server) {
  const auto known = counts_.find(server.address);
  return known != counts_.end() ? *known->second : options_.metrics->server(server.address);
}

bool Forwarder::refuse(const Client& client, Reply& reply, Places& places) {
  refresh_servers();
  const bool none = health_.size() == 0;
  if (none || (options_.failfast && health_.all_down())) {
    if (!none) count(options_.metrics->all_down);
    reply.set_rcode(Rcode::kServFail);
    reply.set_error(Ede::kNoReachableAuthority,
                    none ? "no upstream server is configured"
                         : "all upstream servers are down: no healthy proxies");
    return true;
  }
  // REFUSED, not SERVFAIL: that would be kept by caches between, for everybody (RFC 9520).
  reply.set_rcode(Rcode::kRefused);
  places.of_all = options_.in_flight->take();
  if (!places.of_all) {
    count(options_.metrics->rejects);
    reply.set_error(Ede::kOther, over_limit_);
    return true;
  }
  places.of_client = clients_.take(client.address.address, options_.in_flight->free() + 1);
  if (!places.of_client) {
    count(options_.metrics->shed(options_.server));
    reply.set_error(Ede::kOther, "too many queries of this client wait for upstream servers");
    return true;
  }
  reply.set_rcode(Rcode::kNoError);
  return false;
}

Step Forwarder::serve(Request& request) {
  Places places;
  if (refuse(request.client(), request.reply(), places)) return Step::kAnswered;
  begin(std::move(places), request.defer());
  return Step::kPending;
}

void Forwarder::take(std::unique_ptr<Deferred> deferred) {
  Places places;
  if (refuse(deferred->client(), deferred->reply(), places)) return deferred->finish();
  begin(std::move(places), std::move(deferred));
}

void Forwarder::begin(Places places, std::unique_ptr<Deferred> deferred) {
  const uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending.places = std::move(places);
  pending.query = upstream_query(deferred->query());
  pending.deferred = std::move(deferred);
  pending.servers = health_.order(random_);
  pending.deadline = loop_.clock().now() + options_.total;
  if (const auto& until = pending.deferred->client().until)
    pending.deadline = std::min(pending.deadline, *until);
  starting_.push_back(id);
  if (!start_.active()) start_.start([this] { start_some(); });
}

void Forwarder::start_some() {
  for (int i = 0; i < kStartsInTurn && !starting_.empty(); ++i) {
    const uint64_t id = starting_.front();
    starting_.pop_front();
    attempt(id);
  }
  if (starting_.empty()) start_.stop();
}

size_t Forwarder::most_failures(const Pending& pending) const {
  const size_t wanted = options_.attempts.value_or(kRounds * pending.servers.size());
  return wanted == 0 ? ForwardOptions::kMaxAttempts
                     : std::min(wanted, ForwardOptions::kMaxAttempts);
}

void Forwarder::attempt(uint64_t id) {
  Pending& pending = pending_.at(id);
  pending.sent = loop_.clock().now();
  const Duration left = pending.deadline - pending.sent;
  if (pending.failures >= most_failures(pending) || left <= Duration::zero()) return give_up(id);
  if (health_.all_down()) {
    count(options_.metrics->all_down);
    if (options_.failfast) return give_up(id);
  }
  const UpstreamServer& server = pending.servers[pending.asked++ % pending.servers.size()];
  if (const auto& labels = pending.deferred->client().labels)
    labels->set("forward/upstream", server.address.to_string());
  ExchangeLimits limits = options_.limits;
  for (Duration* limit : {&limits.udp_reply, &limits.tcp_connect, &limits.tcp_reply})
    *limit = std::min(*limit, left);
  const bool over_tcp =
      options_.force_tcp ||
      (pending.deferred->client().transport == Transport::kTcp && !options_.prefer_udp);
  pending.exchange = std::make_unique<UpstreamExchange>(
      outside_, server, pending.query, random_(), over_tcp, limits, counts(server),
      [this, id](const Result<ReplyView>& result) { on_done(id, result); });
}

void Forwarder::on_done(uint64_t id, const Result<ReplyView>& result) {
  Pending& pending = pending_.at(id);
  const UpstreamServer server = pending.exchange->server();
  if (result.ok()) {
    health_.succeeded(server);
    counts(server).observe(whole_rcode(*result), loop_.clock().now() - pending.sent);
    if (wants_another(pending, *result)) return attempt(id);
    return reply(id, *result);
  }
  health_.failed(server);
  log::debug("forward: {}", result.error().message());
  ++pending.failures;
  pending.network_error = result.error().is_timeout() ? "" : reason_of(result.error());
  pending.tls_failure = pending.exchange->tls_failure();
  start_probing();
  attempt(id);
}

// Once for each server, and the last one's reply is kept.
bool Forwarder::wants_another(Pending& pending, const ReplyView& view) {
  if (!has(options_.failover, whole_rcode(view))) return false;
  if (pending.asked >= pending.servers.size()) return false;
  pending.second_best.assign(view.message.begin(), view.message.end());
  return true;
}

bool Forwarder::wants_next(const ReplyView& view) const {
  const Rcode rcode = whole_rcode(view);
  return has(options_.next, rcode) ||
         (options_.next_on_nodata && rcode == Rcode::kNoError && view.counts[0] == 0);
}

void Forwarder::reply(uint64_t id, const ReplyView& view) {
  // Kept to the end of this function: `view` points into it or its exchange.
  Pending pending = std::move(pending_.extract(id).mapped());
  if (wants_next(view))
    if (Forwarder* other = next_(pending.deferred->query().name, *this))
      return other->take(std::move(pending.deferred));
  if (const auto message = client_reply(view, pending.deferred->query())) {
    pending.deferred->adopt(*message, whole_rcode(view), client_options(view));
  } else {
    pending.deferred->reply().set_rcode(Rcode::kServFail);
    pending.deferred->reply().set_error(Ede::kOther, "the upstream server's reply is about others");
  }
  pending.deferred->finish();
}

void Forwarder::give_up(uint64_t id) {
  const std::vector<uint8_t> second_best = std::move(pending_.at(id).second_best);
  if (!second_best.empty())
    if (const auto view = parse_reply(second_best)) return reply(id, *view);
  const Pending pending = std::move(pending_.extract(id).mapped());
  Reply& reply = pending.deferred->reply();
  reply.set_rcode(Rcode::kServFail);
  // The ends are CoreDNS's, for those who look for them in logs.
  const std::string tls = "upstream TLS: " + pending.tls_failure;
  const std::string network = "upstream: " + pending.network_error;
  if (!pending.tls_failure.empty()) {
    reply.set_error(Ede::kNetworkError, tls);
  } else if (!pending.network_error.empty()) {
    reply.set_error(Ede::kNetworkError, network);
  } else {
    reply.set_error(Ede::kNoReachableAuthority, "no upstream server replied in time: i/o timeout");
  }
  pending.deferred->finish();
}

void Forwarder::start_probing() {
  if (!probe_timer_.active() && !health_.down().empty())
    probe_timer_.start_every(options_.probe_period, [this] { probe(); });
}

// Any reply will do.
void Forwarder::probe() {
  refresh_servers();
  const std::vector<UpstreamServer> down = health_.down();
  if (down.empty()) return probe_timer_.stop();
  for (const UpstreamServer& server : down) {
    if (probes_.contains(server)) continue;
    probes_[server] = std::make_unique<UpstreamExchange>(
        outside_, server, simple_query(options_.probe_name, Type::kNs, options_.probe_recursion),
        random_(), options_.force_tcp, options_.limits, counts(server),
        [this, server](const Result<ReplyView>& result) {
          if (result.ok())
            health_.succeeded(server);
          else
            count(counts(server).failed_probes);
          probes_.erase(server);
        });
  }
}

}  // namespace fairlead::dns
