// SPDX-License-Identifier: Apache-2.0
// The half of Plane that looks back: what may be forgotten, how it is, what it has counted.
#include <algorithm>

#include "proxy/stream/plane.h"

namespace fairlead::proxy::stream {

namespace {

constexpr Duration kStale = std::chrono::minutes(1);
constexpr Duration kWorkerSilence = std::chrono::seconds(10);

}  // namespace

// What nobody comes to tell us. Services that have gone are forgotten when the workers have, so
// that what they still accepted counts: `sweep_` may be older than their last ping, not younger.
void Plane::tidy() {
  tidy_ = loop_.clock().after(kTidy, [this] { tidy(); });
  const MonoTime now = loop_.clock().now();
  for (const auto& [key, weak] : sets_)
    if (const auto set = weak.lock(); set && set->clients) set->clients->expire(now, set->affinity);
  if (sweeping_ && workers_answered()) {
    sweeping_ = false;
    sweep();
  }
  if (!sweep_) return;
  sweep_ = false;
  sweeping_ = true;
  ping();
}

// After services that have gone: their sets, and their counters with their last connection.
void Plane::sweep() {
  std::erase_if(sets_, [](const auto& entry) { return entry.second.expired(); });
  std::erase_if(counters_, [&](const auto& entry) {
    if (inputs_.services.has(entry.first)) return false;
    Totals totals;
    for (const auto& counters : entry.second) totals.add(*counters);
    if (totals.open + totals.waiting > 0) return sweep_ = true, false;
    folded_[entry.first.protocol].add(totals);
    return true;
  });
}

Result<void> Plane::check() {
  const MonoTime now = loop_.clock().now();
  if (stopped_) return Error(ErrorCode::kUnavailable, "it is ending, and accepts no more");
  if (!started_)
    return Error(ErrorCode::kUnavailable, "Services and EndpointSlices are not known yet");
  if (!ready_ || !last_update_)
    return Error(ErrorCode::kUnavailable, "Services are not listened for yet");
  if (busy_since_ && now - *busy_since_ > kStale)
    return Error(ErrorCode::kUnavailable, "changes wait for over a minute");
  if (Result<void> alive = check_workers(); !alive.ok()) return alive;
  if (routes_ && routes_->all_failed())
    return Error(ErrorCode::kUnavailable,
                 "no address of a Service can be made this node's (CAP_NET_ADMIN is needed)");
  if (listening_ == 0 && !troubled_.empty())
    return Error(ErrorCode::kUnavailable, "not one port of a Service can be listened on");
  return ok();
}

Result<void> Plane::check_workers() {
  const bool all_answered = workers_answered();
  if (!all_answered && pinged_at_ && loop_.clock().now() - *pinged_at_ > kWorkerSilence)
    return Error(ErrorCode::kUnavailable, "a worker does not answer");
  if (all_answered) ping();
  return ok();
}

// A worker that owes an answer owes it since then.
void Plane::ping() {
  if (workers_answered()) pinged_at_ = loop_.clock().now();
  for (const auto& worker : workers_) worker->ping();
}

bool Plane::workers_answered() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->counters().answered.value() == worker->pings();
  });
}

std::map<ServicePort, Totals> Plane::totals() const {
  std::map<ServicePort, Totals> result;
  for (const auto& [port, counters] : counters_)
    for (const auto& one : counters) result[port].add(*one);
  return result;
}

std::string Plane::metrics(bool by_service) {
  StreamFacts facts;
  facts.totals = folded_;
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) facts.totals[protocol];
  for (const auto& [port, totals] : totals()) {
    facts.totals[port.protocol].add(totals);
    if (by_service && totals.used()) facts.services[port] = totals;
  }
  for (const auto& worker : workers_) facts.workers.push_back(&worker->counters());
  for (const auto& [frontend, state] : frontends_) facts.unserved += state.unserved.size();
  for (const auto& worker : workers_) facts.unserved += worker->counters().deaf.value();
  facts.missing_routes = routes_ ? routes_->failed() : 0;
  return metrics_text(facts);
}

size_t Plane::connections() const {
  return open_of(Protocol::kTcp) + open_of(Protocol::kUdp);
}

size_t Plane::open_of(Protocol protocol) const {
  uint64_t open = 0;
  for (const auto& [port, counters] : counters_)
    if (port.protocol == protocol)
      for (const auto& one : counters) open += one->open.value();
  return open;
}

}  // namespace fairlead::proxy::stream
