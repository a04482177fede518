// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "dns/counters.h"
#include "dns/plugins/cache/cache.h"
#include "dns/plugins/cache/table.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;
using std::chrono::seconds;

constexpr uint64_t kMaxCapacity = 1'000'000'000;
// CoreDNS's 256 shards have one size and four entries at least.
constexpr uint64_t kShards = 256;
constexpr uint64_t kLeastCapacity = 4 * kShards;
constexpr uint64_t kMaxTtl = INT32_MAX;
constexpr Duration kMaxRecheck = std::chrono::minutes(5);  // RFC 8767 section 5

bool is_negative(std::string_view text) {
  return text.size() > 1 && text[0] == '-' &&
         std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

// Seconds, as a number or a duration.
Result<uint32_t> read_ttl(const Word& word, uint64_t least) {
  const auto duration = read_duration(word, seconds(1));
  if (!duration.ok()) return duration.error();
  const auto whole = static_cast<uint64_t>(std::chrono::floor<seconds>(*duration).count());
  if (whole < least || whole > kMaxTtl)
    return word.place.error(
        fmt::format("'{}' is no TTL from {}s to {}s", word.text, least, kMaxTtl));
  return static_cast<uint32_t>(whole);
}

// What follows the third argument is ignored, as CoreDNS does.
Result<void> read_kind(const Directive& property, CacheOptions::Kind& kind) {
  const auto& arguments = property.arguments;
  const auto capacity = read_number(arguments[0], 0, kMaxCapacity);
  if (!capacity.ok()) return capacity.error();
  kind.capacity = std::max(*capacity / kShards * kShards, kLeastCapacity);
  if (arguments.size() > 1) {
    const auto ttl = read_ttl(arguments[1], 1);
    if (!ttl.ok()) return ttl.error();
    kind.max_ttl = *ttl;
  }
  if (arguments.size() > 2) {
    const auto ttl = read_ttl(arguments[2], 0);
    if (!ttl.ok()) return ttl.error();
    kind.min_ttl = *ttl;
  }
  return ok();
}

Result<void> read_prefetch(const Directive& property, CacheOptions& options) {
  const auto& arguments = property.arguments;
  const auto amount = read_number(arguments[0], 0, UINT32_MAX);
  if (!amount.ok()) return amount.error();
  options.prefetch = static_cast<uint32_t>(*amount);
  if (arguments.size() > 1) {
    const auto pause = read_duration(arguments[1]);
    if (!pause.ok()) return pause.error();
    options.prefetch_pause = *pause;
  }
  if (arguments.size() > 2) {
    Word word = arguments[2];
    if (!word.text.ends_with('%'))
      return word.place.error("'" + word.text + "' is no percentage such as 10%");
    word.text.pop_back();
    const auto percent = read_number(word, 10, 90);
    if (!percent.ok()) return percent.error();
    options.prefetch_percent = static_cast<uint32_t>(*percent);
  }
  return ok();
}

// What follows the mode: [TTL [RECHECK]].
Result<void> read_stale_reply(std::span<const Word> words, CacheOptions& options) {
  options.stale_ttl = 0;
  options.recheck = {};
  if (words.size() > 2)
    return words[2].place.error("serve_stale: '" + words[2].text + "' is too much");
  if (!words.empty()) {
    const auto ttl = read_duration(words[0]);
    if (!ttl.ok()) return ttl.error();
    if (*ttl % seconds(1) != Duration::zero() || *ttl > seconds(UINT32_MAX))
      return words[0].place.error("'" + words[0].text + "' is no TTL: whole seconds, such as 30s");
    options.stale_ttl = static_cast<uint32_t>(*ttl / seconds(1));
  }
  if (words.size() > 1) {
    const auto recheck = read_duration(words[1]);
    if (!recheck.ok()) return recheck.error();
    if (*recheck > kMaxRecheck)
      return words[1].place.error("serve_stale asks again after 5m at most");
    options.recheck = *recheck;
  }
  return ok();
}

Result<void> read_stale(const Directive& property, CacheOptions& options) {
  std::span<const Word> words = property.arguments;
  const auto duration =
      words.empty() ? Result<Duration>(std::chrono::hours(1)) : read_duration(words[0]);
  if (!duration.ok()) return duration.error();
  options.stale = *duration;
  options.verify = false;
  options.verify_timeout = {};
  if (words.size() < 2) return ok();
  const auto mode = read_choice(words[1], {"immediate", "verify"}, Letters::kAnyCase);
  if (!mode.ok()) return mode.error();
  options.verify = *mode == 1;
  words = words.subspan(2);
  if (options.verify && !words.empty()) {
    const auto timeout = read_duration(words[0]);
    if (!timeout.ok()) return timeout.error();
    options.verify_timeout = *timeout;
    words = words.subspan(1);
  }
  return read_stale_reply(words, options);
}

Result<void> read_policy(const Directive& property, CacheOptions& options) {
  if (options.prefer_positive)
    return property.name.place.error("'serve_stale_policy' can be given once");
  const auto policy = read_choice(property.arguments[0], {"prefer_positive"}, Letters::kAnyCase);
  if (!policy.ok()) return policy.error();
  options.prefer_positive = true;
  return ok();
}

Result<void> read_servfail(const Directive& property, CacheOptions& options) {
  const auto time = read_duration(property.arguments[0]);  // a number needs its unit here
  if (!time.ok()) return time.error();
  const auto ttl = read_ttl(property.arguments[0], 0);
  if (!ttl.ok()) return ttl.error();
  if (*ttl > 300) return property.arguments[0].place.error("'servfail' is at most 5m");
  options.servfail_ttl = *ttl;
  return ok();
}

Result<void> read_disable(const Directive& property, CacheOptions& options) {
  const auto kind = read_choice(property.arguments[0], {"success", "denial"});
  if (!kind.ok()) return kind.error();
  auto zones = read_zones(std::span(property.arguments).subspan(1), options.zones);
  if (!zones.ok()) return zones.error();
  options.kinds[*kind].disabled = *std::move(zones);  // of several lines the last one counts
  return ok();
}

Result<void> read_cache_properties(const Directive& directive, CacheOptions& options) {
  return read_properties(
      directive,
      {{"success", 1, Property::kAny,
        [&](const Directive& p) { return read_kind(p, options.kinds[0]); }},
       {"denial", 1, Property::kAny,
        [&](const Directive& p) { return read_kind(p, options.kinds[1]); }},
       {"prefetch", 1, 3, [&](const Directive& p) { return read_prefetch(p, options); }},
       {"serve_stale", 0, 5, [&](const Directive& p) { return read_stale(p, options); }},
       {"serve_stale_policy", 1, 1, [&](const Directive& p) { return read_policy(p, options); }},
       {"servfail", 1, 1, [&](const Directive& p) { return read_servfail(p, options); }},
       {"disable", 1, Property::kAny, [&](const Directive& p) { return read_disable(p, options); }},
       {"keepttl", 0, 0, [&](const Directive&) { return options.keep_ttl = true, ok(); }}});
}

}  // namespace

bool CacheOptions::is_for(const Name& name) const {
  return std::ranges::any_of(zones, [&](const Name& zone) { return name.ends_with(zone); });
}

bool CacheOptions::enabled(size_t kind, const Name& name) const {
  return std::ranges::none_of(kinds[kind].disabled,
                              [&](const Name& zone) { return name.ends_with(zone); });
}

std::shared_ptr<CacheCounters> CacheOptions::add_worker() const {
  auto made = std::make_shared<CacheCounters>();
  const std::lock_guard lock(mutex_);
  std::erase_if(workers_, [](const auto& each) { return each.expired(); });
  workers_.push_back(made);
  return made;
}

std::vector<std::shared_ptr<CacheCounters>> CacheOptions::workers() const {
  std::vector<std::shared_ptr<CacheCounters>> all;
  const std::lock_guard lock(mutex_);
  for (const auto& each : workers_)
    if (auto alive = each.lock()) all.push_back(std::move(alive));
  return all;
}

Result<std::shared_ptr<PluginOptions>> parse_cache(const PluginKind::Directives& directives,
                                                   BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  auto options = std::make_shared<CacheOptions>();
  std::span<const Word> zones = directive.arguments;
  if (!zones.empty() && is_negative(zones[0].text))
    return zones[0].place.error("'" + zones[0].text + "' is no TTL of a cache, such as 30");
  if (!zones.empty() && read_duration(zones[0], seconds(1)).ok()) {
    const auto ttl = read_ttl(zones[0], 1);
    if (!ttl.ok()) return ttl.error();
    for (auto& kind : options->kinds) kind.max_ttl = *ttl;
    zones = zones.subspan(1);
  }
  auto read = read_zones(zones, block.zones);
  if (!read.ok()) return read.error();
  options->zones = *std::move(read);
  if (const auto right = read_cache_properties(directive, *options); !right.ok())
    return right.error();
  const bool stale =
      std::ranges::any_of(directive.block.value_or(std::vector<Directive>()),
                          [](const Directive& each) { return each.name.text == "serve_stale"; });
  if (options->prefer_positive && !stale)
    return directive.name.place.error("cache: 'serve_stale_policy' needs 'serve_stale'");
  std::string text;
  for (const Name& zone : options->zones) text += (text.empty() ? "" : ",") + zone.to_text();
  options->labels = fmt::format("server=\"{}\",zones=\"{}\",view=\"\"", block.server_label(), text);
  return std::shared_ptr<PluginOptions>(std::move(options));
}

namespace {

struct CacheMetrics : Service {
  std::vector<Host::Token> tokens;
};

using ReadCounter = std::function<uint64_t(const CacheCounters&)>;

uint64_t sum(const CacheOptions& options, const ReadCounter& read) {
  uint64_t total = 0;
  for (const auto& worker : options.workers()) total += read(*worker);
  return total;
}

}  // namespace

Result<std::unique_ptr<Service>> start_cache(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const CacheOptions&>(given);
  auto metrics = std::make_unique<CacheMetrics>();
  const auto add = [&](const char* name, const char* help, const ReadCounter& read) {
    metrics->tokens.push_back(
        add_counters(host, name, help, [&options, read](std::vector<Count>& out) {
          out.push_back({options.labels, sum(options, read)});
        }));
  };
  const auto add_both = [&](const char* name, const char* help,
                            const std::function<uint64_t(const CacheCounters&, size_t)>& read) {
    metrics->tokens.push_back(
        add_counters(host, name, help, [&options, read](std::vector<Count>& out) {
          for (size_t kind = 0; kind < 2; ++kind)
            out.push_back(
                {fmt::format("{},type=\"{}\"", options.labels, kind == 0 ? "success" : "denial"),
                 sum(options, [&](const CacheCounters& c) { return read(c, kind); })});
        }));
  };
  add("coredns_cache_requests_total", "The count of cache requests.",
      [](const CacheCounters& c) { return c.requests.get(); });
  add("coredns_cache_misses_total",
      "The count of cache misses. Deprecated, derive misses from cache hits/requests counters.",
      [](const CacheCounters& c) { return c.misses.get(); });
  add("coredns_cache_prefetch_total", "The number of times the cache has prefetched a cached item.",
      [](const CacheCounters& c) { return c.prefetches.get(); });
  add("coredns_cache_served_stale_total", "The number of requests served from stale cache entries.",
      [](const CacheCounters& c) { return c.served_stale.get(); });
  // `forward` takes no reply to another question, so that none comes here.
  add("coredns_cache_drops_total",
      "The number responses that are not cached, because the reply is malformed.",
      [](const CacheCounters&) { return 0; });
  add_both("coredns_cache_hits_total", "The count of cache hits.",
           [](const CacheCounters& c, size_t kind) { return c.hits[kind].get(); });
  add_both("coredns_cache_evictions_total", "The count of cache evictions.",
           [](const CacheCounters& c, size_t kind) { return c.evictions[kind].load(); });
  add_both("coredns_cache_entries", "The number of elements in the cache.",
           [](const CacheCounters& c, size_t kind) { return c.entries[kind].load(); });
  return std::unique_ptr<Service>(std::move(metrics));
}

}  // namespace fairlead::dns
