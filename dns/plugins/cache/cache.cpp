// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/cache/cache.h"

#include <sys/random.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "dns/chain.h"
#include "dns/plugins/cache/table.h"

namespace fairlead::dns {
namespace {

using std::chrono::seconds;
using Bytes = std::vector<uint8_t>;

constexpr size_t kFlights = 1024;
constexpr Duration kFlightLimit = seconds(6);  // `forward` gives up before
constexpr size_t kMaxWaiting = 10'000;
constexpr size_t kMaxRefreshes = 1000;
constexpr std::string_view kStaleText = "stale answer";

std::array<uint8_t, 16> new_secret() {
  std::array<uint8_t, 16> secret;
  while (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
  }
  return secret;
}

// A whole reply of the plugins behind, without the OPT record that Reply::finish() puts last.
struct Fetched {
  Bytes message;
  size_t records_at = 0;
  Rcode rcode{};
  bool own = false;  // Reply::own
};

std::optional<Fetched> read_fetched(std::span<const uint8_t> message, const Chain& chain) {
  const auto view = parse_reply(message);
  if (!view || !view->has_question) return {};
  Fetched fetched{
      {message.begin(), message.end()}, view->question_end, view->rcode(), chain.own_outcome()};
  if (!view->opt) return fetched;
  fetched.message.resize(view->opt->at);
  write_u16(&fetched.message[10], static_cast<uint16_t>(view->counts[2] - 1));
  fetched.rcode =
      static_cast<Rcode>(view->opt->ttl >> 24 << 4 | static_cast<uint32_t>(view->rcode()));
  return fetched;
}

// The packet with AD set: what is fetched is kept for clients that ask for it, too.
std::shared_ptr<Bytes> for_all(std::span<const uint8_t> packet) {
  auto out = std::make_shared<Bytes>(packet.begin(), packet.end());
  write_u16(&(*out)[2], read_u16(&(*out)[2]) | kFlagAuthenticData);
  return out;
}

uint32_t unix_seconds(const Clock& clock) {
  const auto since = clock.wall_now().time_since_epoch();
  return static_cast<uint32_t>(std::chrono::duration_cast<seconds>(since).count());
}

bool is_failure(Rcode rcode) {
  return rcode == Rcode::kServFail || rcode == Rcode::kNotImp;
}

bool same_question(const Query& a, const Query& b) {
  return a.name == b.name && a.type == b.type && a.klass == b.klass;
}

class Cache : public Plugin {
 public:
  Cache(Loop& loop, Clock& clock, const CacheOptions& options)
      : loop_(loop),
        clock_(clock),
        options_(options),
        counters_(options.add_worker()),
        table_(options.kinds[0].capacity, options.kinds[1].capacity),
        flights_(kFlights),
        timer_(loop) {}

  Step serve(Request& request) override;
  void on_reply(const Query& query, const Client& client, Reply& reply) override;

 private:
  // A question that went on, until its reply comes back.
  struct Flight {
    uint64_t hash = 0;
    MonoTime since{};
    Transport transport{};
  };
  struct Waiting {
    MonoTime since{};
    std::vector<std::unique_ptr<Deferred>> requests;
  };

  bool concerns(const Query& query) const;
  std::optional<CacheClass> classified(const Query& query, const Fetched& fetched) const {
    return classify(query, fetched.message, fetched.records_at, fetched.rcode,
                    unix_seconds(clock_));
  }
  bool stale_at(const CacheEntry& entry, MonoTime now) const {
    return !is_failure(entry.rcode()) && options_.stale > Duration::zero() &&
           now - entry.expires() < options_.stale;
  }
  void answer(const CacheEntry& entry, uint32_t ttl, const Query& query, Reply& reply) const;
  void answer_stale(const CacheEntry& entry, const Query& query, Reply& reply);
  void finish_with(const CacheEntry& entry, Deferred& deferred);
  Step serve_fresh(Request& request, const CacheKey& key, CacheEntry& entry, MonoTime now);
  Step serve_stale(Request& request, const CacheKey& key, CacheEntry& entry);
  // A client that waits for upstream to say whether a stale reply is still right.
  struct Verifying {
    Verifying(Loop& loop, std::unique_ptr<Deferred> waits)
        : deferred(std::move(waits)), timer(loop) {}
    std::unique_ptr<Deferred> deferred;  // null: it has its reply
    Timer timer;
  };
  Step verify(Request& request, std::shared_ptr<void> mark);
  void finish_verify(Verifying& verifying, const Query& query, std::optional<Fetched> fetched);
  void give_up_verify(Verifying& verifying);
  bool refreshed(const Query& query, std::optional<Fetched>& fetched);
  Step go_on(Request& request, const CacheKey& key, MonoTime now);
  void refresh(Request& request, const CacheKey& key);
  bool may_give(const CacheEntry& entry, MonoTime now) const {
    return now < entry.expires() || stale_at(entry, now);
  }
  std::shared_ptr<void> mark_refreshing(uint64_t hash);

  // Who may have one reply: what fits a UDP client is too little for others.
  static uint64_t flight_of(const Query& query, const Client& client, const CacheKey& key) {
    const uint64_t kind = (client.transport == Transport::kUdp ? 0u : 1u) | (query.edns ? 2u : 0u);
    return key.hash() ^ kind * 0x9e3779b97f4a7c15;
  }
  void cap(Reply& reply) const;
  void store(const Query& query, std::span<uint8_t> message, size_t records_at, Rcode rcode);
  void count_entries();
  void wake(uint64_t flight, const Query& query, Reply& reply);
  void give_up_on_old();

  Loop& loop_;
  Clock& clock_;
  const CacheOptions& options_;
  const std::shared_ptr<CacheCounters> counters_;
  const std::array<uint8_t, 16> secret_ = new_secret();
  CacheTable table_;
  std::vector<Flight> flights_;
  std::unordered_map<uint64_t, Waiting> waiting_;
  size_t waiting_count_ = 0;
  // Outlives this in callbacks that the plugins behind still hold.
  std::shared_ptr<std::unordered_set<uint64_t>> refreshing_ =
      std::make_shared<std::unordered_set<uint64_t>>();
  Timer timer_;
};

bool Cache::concerns(const Query& query) const {
  if (query.edns && query.edns->tailored) return false;  // the answer is this client's
  return query.klass == Class::kIn && options_.is_for(query.name) &&
         (options_.enabled(0, query.name) || options_.enabled(1, query.name));
}

Step Cache::serve(Request& request) {
  const Query& query = request.query();
  if (!concerns(query)) return Step::kNext;
  counters_->requests.add();
  const CacheKey key(query, secret_);
  const MonoTime now = clock_.now();
  if (CacheEntry* entry = table_.find(key); entry != nullptr) {
    if (now < entry->expires()) return serve_fresh(request, key, *entry, now);
    if (stale_at(*entry, now)) return serve_stale(request, key, *entry);
  }
  counters_->misses.add();
  return go_on(request, key, now);
}

Step Cache::serve_fresh(Request& request, const CacheKey& key, CacheEntry& entry, MonoTime now) {
  counters_->hits[static_cast<size_t>(entry.kind())].add();
  const uint32_t left = entry.left(now);
  answer(entry, options_.keep_ttl ? entry.ttl() : left, request.query(), request.reply());
  if (options_.prefetch == 0 || entry.count_hit(now, options_.prefetch_pause) < options_.prefetch ||
      uint64_t{left} * 100 > uint64_t{entry.ttl()} * options_.prefetch_percent + 99)
    return Step::kAnswered;
  counters_->prefetches.add();
  refresh(request, key);
  return Step::kAnswered;
}

// The message as it is kept, with the client's question and flags.
void Cache::answer(const CacheEntry& entry, uint32_t ttl, const Query& query, Reply& reply) const {
  reply.adopt(entry.message(), entry.rcode());
  reply.set_flag(kFlagAuthoritative);  // as CoreDNS: old stub resolvers drop answers without it
  if (query.recursion_desired())
    reply.set_flag(kFlagRecursionDesired);
  else
    reply.clear_flag(kFlagRecursionDesired);
  if (ttl == entry.ttl()) return;  // as it is written
  const std::span<uint8_t> records = reply.records();
  const size_t at = reply.records_at();
  set_ttls({records.data() - at, at + records.size()}, at, ttl);
}

void Cache::answer_stale(const CacheEntry& entry, const Query& query, Reply& reply) {
  counters_->hits[static_cast<size_t>(entry.kind())].add();
  counters_->served_stale.add();
  const bool own_ttl = options_.keep_ttl && options_.stale_ttl == 0;
  answer(entry, own_ttl ? entry.ttl() : options_.stale_ttl, query, reply);
  reply.set_error(Ede::kStale, kStaleText);
}

// What waited for upstream: in the meantime the entry may have become fresh.
void Cache::finish_with(const CacheEntry& entry, Deferred& deferred) {
  deferred.adopt(entry.message(), entry.rcode());  // makes room for it
  const MonoTime now = clock_.now();
  if (entry.expires() <= now)
    answer_stale(entry, deferred.query(), deferred.reply());
  else
    answer(entry, options_.keep_ttl ? entry.ttl() : entry.left(now), deferred.query(),
           deferred.reply());
  deferred.finish();
}

Step Cache::serve_stale(Request& request, const CacheKey& key, CacheEntry& entry) {
  if (clock_.now() < entry.quiet_until()) {
    answer_stale(entry, request.query(), request.reply());
    return Step::kAnswered;
  }
  // Only the first question for it waits for upstream.
  if (options_.verify && request.client().transport != Transport::kInternal)
    if (auto mark = mark_refreshing(key.hash()); mark != nullptr)
      return verify(request, std::move(mark));
  answer_stale(entry, request.query(), request.reply());
  refresh(request, key);
  return Step::kAnswered;
}

// Held by the callback of one refresh, to its end. Null: one is under way, or too many are.
std::shared_ptr<void> Cache::mark_refreshing(uint64_t hash) {
  if (refreshing_->size() >= kMaxRefreshes || !refreshing_->insert(hash).second) return nullptr;
  return {refreshing_.get(), [all = refreshing_, hash](void*) { all->erase(hash); }};
}

void Cache::refresh(Request& request, const CacheKey& key) {
  const std::shared_ptr<void> mark = mark_refreshing(key.hash());
  if (mark == nullptr) return;
  const auto packet = for_all(request.query().packet);
  const Chain& chain = request.chain();
  request.ask_next(*packet, [this, packet, mark, &chain](std::span<const uint8_t> message) {
    Query query;
    auto fetched = read_fetched(message, chain);
    if (!fetched || parse_query(*packet, query).verdict != Verdict::kAnswer) return;
    refreshed(query, fetched);
  });
}

// Keeps what upstream has said now. Whether a stale reply may not be given any more for it; if it
// may, upstream is left in peace for a while. A name that has become our own is not kept.
bool Cache::refreshed(const Query& query, std::optional<Fetched>& fetched) {
  const bool own = fetched && fetched->own;
  if (own && !is_failure(fetched->rcode)) {
    table_.erase(CacheKey(query, secret_));
    count_entries();
    return true;
  }
  const auto found = fetched ? classified(query, *fetched) : std::nullopt;
  const bool answers = fetched && fetched->rcode == Rcode::kNoError &&
                       (!options_.prefer_positive || (found && found->answers));
  const bool denies = fetched && !options_.prefer_positive &&
                      (fetched->rcode == Rcode::kNoError || fetched->rcode == Rcode::kNxDomain);
  if (fetched && !own) store(query, fetched->message, fetched->records_at, fetched->rcode);
  if (answers || denies) return true;
  CacheEntry* entry = table_.find(CacheKey(query, secret_));
  const MonoTime now = clock_.now();
  if (entry != nullptr && entry->expires() <= now && options_.recheck > Duration::zero())
    entry->set_quiet_until(now + options_.recheck);
  return false;
}

Step Cache::verify(Request& request, std::shared_ptr<void> mark) {
  const auto packet = for_all(request.query().packet);
  const auto verifying = std::make_shared<Verifying>(loop_, request.defer());
  if (options_.verify_timeout > Duration::zero())
    verifying->timer.start_once(options_.verify_timeout,
                                [this, raw = verifying.get()] { give_up_verify(*raw); });
  const Chain& chain = request.chain();
  verifying->deferred->ask_next(
      *packet, [this, packet, verifying, mark, &chain](std::span<const uint8_t> message) {
        Query query;
        parse_query(*packet, query);
        finish_verify(*verifying, query, read_fetched(message, chain));
      });
  return Step::kPending;
}

void Cache::finish_verify(Verifying& verifying, const Query& query,
                          std::optional<Fetched> fetched) {
  verifying.timer.stop();
  const bool good = refreshed(query, fetched);
  const std::unique_ptr<Deferred> deferred = std::move(verifying.deferred);
  if (deferred == nullptr) return;
  const CacheEntry* entry = good ? nullptr : table_.find(CacheKey(query, secret_));
  if (entry != nullptr) return finish_with(*entry, *deferred);
  if (fetched) {
    deferred->adopt(fetched->message, fetched->rcode);
    deferred->adopt_outcome();
  } else {
    deferred->reply().set_rcode(Rcode::kServFail);
  }
  deferred->finish();
}

// The client has waited long enough; what upstream says later is kept.
void Cache::give_up_verify(Verifying& verifying) {
  const Query& query = verifying.deferred->query();
  const CacheEntry* entry = table_.find(CacheKey(query, secret_));
  if (entry == nullptr) return;  // it has made room for others
  const std::unique_ptr<Deferred> deferred = std::move(verifying.deferred);
  finish_with(*entry, *deferred);
}

Step Cache::go_on(Request& request, const CacheKey& key, MonoTime now) {
  const Query& query = request.query();
  const Transport transport = request.client().transport;
  if (transport == Transport::kInternal || query.type == Type::kHinfo) return Step::kNext;
  const uint64_t hash = flight_of(query, request.client(), key);
  Flight& flight = flights_[hash % kFlights];
  const bool same = flight.hash == hash && now - flight.since < kFlightLimit &&
                    (transport == Transport::kUdp || flight.transport == transport);
  if (!same || waiting_count_ >= kMaxWaiting) {
    flight = {hash, now, transport};
    return Step::kNext;
  }
  Waiting& waiting = waiting_[hash];
  if (waiting.requests.empty()) waiting.since = now;
  waiting.requests.push_back(request.defer());
  ++waiting_count_;
  if (!timer_.active()) timer_.start_every(seconds(1), [this] { give_up_on_old(); });
  return Step::kPending;
}

void Cache::on_reply(const Query& query, const Client& client, Reply& reply) {
  if (!concerns(query)) return;
  const uint64_t hash = flight_of(query, client, CacheKey(query, secret_));
  Flight& flight = flights_[hash % kFlights];
  if (flight.hash == hash) flight = {};
  if (reply.own()) {
    cap(reply);
  } else if (reply.error_text().empty()) {
    const std::span<const uint8_t> written = reply.message();
    const size_t at = reply.records_at();
    store(query, {reply.records().data() - at, written.size()}, at, reply.rcode());
  }
  if (!waiting_.empty()) wake(hash, query, reply);
}

// Who keeps an answer of our own zones, which is not kept here, keeps it no longer than what is.
void Cache::cap(Reply& reply) const {
  const bool answers = reply.rcode() == Rcode::kNoError && reply.count(Section::kAnswer) > 0;
  const CacheKind kind = answers ? CacheKind::kSuccess : CacheKind::kDenial;
  const std::span<uint8_t> records = reply.records();
  const size_t at = reply.records_at();
  cap_ttls({records.data() - at, at + records.size()}, at,
           options_.kinds[static_cast<size_t>(kind)].max_ttl);
}

// Keeps the reply, and gives it the TTL that it is kept for, or would be if that were not disabled.
void Cache::store(const Query& query, std::span<uint8_t> message, size_t records_at, Rcode rcode) {
  const auto found = classify(query, message, records_at, rcode, unix_seconds(clock_));
  if (!found) return;
  const auto kind = static_cast<size_t>(found->kind);
  const CacheOptions::Kind& limits = options_.kinds[kind];
  const bool failure = is_failure(rcode);
  const uint32_t ttl = failure ? options_.servfail_ttl
                               : std::min(std::max(found->ttl, limits.min_ttl), limits.max_ttl);
  set_ttls(message, records_at, ttl);
  if (ttl == 0 || !options_.enabled(kind, query.name)) return;
  const CacheKey key(query, secret_);
  const MonoTime now = clock_.now();
  if (failure || (options_.prefer_positive && !found->answers)) {  // does not hide what is better
    const CacheEntry* known = table_.find(key);
    const bool better = known != nullptr && (failure ? !is_failure(known->rcode())
                                                     : known->kind() == CacheKind::kSuccess);
    if (better && may_give(*known, now)) return;
  }
  table_.store(key, found->kind, message, rcode, ttl, now);
  count_entries();
}

void Cache::count_entries() {
  for (const CacheKind each : {CacheKind::kSuccess, CacheKind::kDenial}) {
    counters_->entries[static_cast<size_t>(each)].store(table_.entries(each),
                                                        std::memory_order_relaxed);
    counters_->evictions[static_cast<size_t>(each)].store(table_.evictions(each),
                                                          std::memory_order_relaxed);
  }
}

// Those that wait for the reply have it, too.
void Cache::wake(uint64_t flight, const Query& query, Reply& reply) {
  const auto at = waiting_.find(flight);
  if (at == waiting_.end()) return;
  const std::vector<std::unique_ptr<Deferred>> requests = std::move(at->second.requests);
  waiting_.erase(at);
  waiting_count_ -= requests.size();
  for (const auto& each : requests) {
    if (same_question(each->query(), query)) {
      each->adopt(reply.message(), reply.rcode());
      if (!reply.error_text().empty())
        each->reply().set_error(reply.error_code(), reply.error_text());
    } else {
      each->reply().set_rcode(Rcode::kServFail);  // the hashes of two questions met
    }
    if (reply.own()) each->reply().set_own();
    each->finish();
  }
}

void Cache::give_up_on_old() {
  const MonoTime now = clock_.now();
  std::vector<std::unique_ptr<Deferred>> old;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (now - at->second.since < kFlightLimit) {
      ++at;
      continue;
    }
    for (auto& request : at->second.requests) old.push_back(std::move(request));
    at = waiting_.erase(at);
  }
  waiting_count_ -= old.size();
  if (waiting_.empty()) timer_.stop();
  for (const auto& each : old) {
    each->reply().set_rcode(Rcode::kServFail);
    each->reply().set_error(Ede::kOther, "the same question had no reply in time");
    each->finish();
  }
}

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return make_cache(context.loop, context.loop.clock(), dynamic_cast<const CacheOptions&>(options));
}

}  // namespace

std::unique_ptr<Plugin> make_cache(Loop& loop, Clock& clock, const CacheOptions& options) {
  return std::make_unique<Cache>(loop, clock, options);
}

FAIRLEAD_DNS_PLUGIN(cache) = {&parse_cache, &make, &start_cache};

}  // namespace fairlead::dns
