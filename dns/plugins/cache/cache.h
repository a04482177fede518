// SPDX-License-Identifier: Apache-2.0
// Keeps the replies of the plugins behind it, and answers with them for as long as they may be
// kept. Each worker has its own.
//
//   cache [TTL] [ZONES...] {              TTL: the most for both kinds; zones: the block's
//       success CAPACITY [TTL] [MINTTL]   9984 3600 5
//       denial CAPACITY [TTL] [MINTTL]    9984 1800 5
//       prefetch AMOUNT [DURATION] [PERCENTAGE%]    0 1m 10%
//       serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]
//                                         off; 1h immediate 0 0, verify 0 0 0
//       serve_stale_policy prefer_positive
//       servfail DURATION                 5s, at most 5m; 0: not kept
//       disable success|denial [ZONES...]
//       keepttl                           replies have the TTL they are kept for, to its end
//   }
//
// Answers about our own zones (Reply::own) are never kept: we know when they change. Nor are
// truncated replies, denials without SOA, and failures that a plugin here explains.
//
// A question that is asked again while the first is still under way waits for its reply, but over
// TCP not for one over UDP, and HINFO never (`loop` counts those). At most 10,000 wait in a worker,
// six seconds at most.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dns/metrics.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {

// Of one worker; by CacheKind where there are two.
struct CacheCounters {
  Counter requests;
  Counter misses;
  Counter prefetches;
  Counter served_stale;
  std::array<Counter, 2> hits;
  std::array<std::atomic<uint64_t>, 2> evictions{};
  std::array<std::atomic<uint64_t>, 2> entries{};
};

struct CacheOptions : PluginOptions {
  struct Kind {
    size_t capacity = 9984;
    uint32_t max_ttl = 0;
    uint32_t min_ttl = 5;
    std::vector<Name> disabled{};  // zones
  };
  std::vector<Name> zones;
  std::array<Kind, 2> kinds{Kind{.max_ttl = 3600}, Kind{.max_ttl = 1800}};  // by CacheKind
  uint32_t servfail_ttl = 5;
  uint32_t prefetch = 0;  // 0: off
  Duration prefetch_pause = std::chrono::minutes(1);
  uint32_t prefetch_percent = 10;
  Duration stale{};  // zero: off
  bool verify = false;
  Duration verify_timeout{};     // zero: as long as upstream takes
  uint32_t stale_ttl = 0;        // of stale replies
  Duration recheck{};            // after a failure nothing is asked for so long
  bool prefer_positive = false;  // no denial takes the place of an answer that may still be given
  bool keep_ttl = false;
  std::string labels;  // of its metrics

  bool is_for(const Name& name) const;
  bool enabled(size_t kind, const Name& name) const;

  // The counters of a new worker, counted until nobody holds them.
  std::shared_ptr<CacheCounters> add_worker() const;
  std::vector<std::shared_ptr<CacheCounters>> workers() const;

 private:
  mutable std::mutex mutex_;
  mutable std::vector<std::weak_ptr<CacheCounters>> workers_;  // under mutex_
};

Result<std::shared_ptr<PluginOptions>> parse_cache(const PluginKind::Directives& directives,
                                                   BlockSetup& block);
Result<std::unique_ptr<Service>> start_cache(Host& host, PluginOptions& options);
// `clock`: for tests; else the loop's.
std::unique_ptr<Plugin> make_cache(Loop& loop, Clock& clock, const CacheOptions& options);

}  // namespace fairlead::dns
