// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/affinity.h"

#include <algorithm>

#include "proxy/stream/maglev.h"

namespace fairlead::proxy::stream {

namespace {

constexpr int kSpans = 2;  // that an entry is kept for

}  // namespace

std::optional<Stay> AffinityTable::find(const IpAddress& client, MonoTime now,
                                        Duration span) const {
  const auto found = by_client_.find(client);
  if (found == by_client_.end()) return std::nullopt;
  return Stay{found->second->endpoint, now - found->second->used >= span};
}

void AffinityTable::remember(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                             Duration span) {
  expire(now, span, 2);  // two for one that comes
  if (const auto found = by_client_.find(client); found != by_client_.end()) {
    entries_.splice(entries_.end(), entries_, found->second);
    found->second->endpoint = endpoint;
    found->second->used = now;
    return;
  }
  if (entries_.size() >= limit_) forget_oldest();
  entries_.push_back({client, endpoint, now});
  by_client_[client] = std::prev(entries_.end());
}

SocketAddress AffinityTable::claim(const IpAddress& client, const SocketAddress& endpoint,
                                   MonoTime now, Duration span) {
  const std::optional<Stay> stay = find(client, now, span);
  if (stay && !stay->over) return stay->endpoint;
  remember(client, endpoint, now, span);
  return endpoint;
}

void AffinityTable::expire(MonoTime now, Duration span, size_t most) {
  for (size_t i = 0; i < most && !entries_.empty(); ++i) {
    if (now - entries_.front().used < kSpans * span) return;
    forget_oldest();
  }
}

void AffinityTable::forget(const std::vector<SocketAddress>& endpoints) {
  std::erase_if(entries_, [&](const Entry& entry) {
    if (!std::binary_search(endpoints.begin(), endpoints.end(), entry.endpoint)) return false;
    by_client_.erase(entry.client);
    return true;
  });
}

void AffinityTable::forget_oldest() {
  by_client_.erase(entries_.front().client);
  entries_.pop_front();
}

SharedAffinity::Shard& SharedAffinity::shard_of(const IpAddress& client) {
  return shards_[hash_of(client) % kShards];
}

std::optional<Stay> SharedAffinity::find(const IpAddress& client, MonoTime now, Duration span) {
  Shard& shard = shard_of(client);
  const std::lock_guard lock(shard.mutex);
  return shard.table.find(client, now, span);
}

void SharedAffinity::remember(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                              Duration span) {
  Shard& shard = shard_of(client);
  const std::lock_guard lock(shard.mutex);
  shard.table.remember(client, endpoint, now, span);
}

SocketAddress SharedAffinity::claim(const IpAddress& client, const SocketAddress& endpoint,
                                    MonoTime now, Duration span) {
  Shard& shard = shard_of(client);
  const std::lock_guard lock(shard.mutex);
  return shard.table.claim(client, endpoint, now, span);
}

void SharedAffinity::forget(const std::vector<SocketAddress>& endpoints) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.table.forget(endpoints);
  }
}

void SharedAffinity::expire(MonoTime now, Duration span) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.table.expire(now, span, kSweep);
  }
}

}  // namespace fairlead::proxy::stream
