// SPDX-License-Identifier: Apache-2.0
// Where clients of a service with sessionAffinity ClientIP went, so that they go there again: for
// so long after their last new connection, as the kernel plane's affinity maps have it. For as long
// again it is known that this is over: such a client is due for another choice, while one that was
// never seen is not (endpoint_group.h). Pure: time is given.
//
// An AffinityTable is one thread's. A SharedAffinity is all workers': one client's connections
// arrive at any of them. It is the one thing that workers share for a connection, and only services
// with affinity have it; a lock is one of sixteen and held for a look into a hash table, or, when
// an endpoint goes, into all of its kLimit / 16.
//
// Bounded: a client more than the limit takes the place of the one that has not come for longest.
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace fairlead::proxy::stream {

struct Stay {
  SocketAddress endpoint;
  bool over = false;  // longer ago than the time-out
  bool operator==(const Stay&) const = default;
};

class AffinityTable {
 public:
  explicit AffinityTable(size_t limit) : limit_(limit) {}

  // What is known of the client.
  std::optional<Stay> find(const IpAddress& client, MonoTime now, Duration span) const;
  // It goes there now. What is older than twice `span` may be forgotten.
  void remember(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                Duration span);
  // The same of one whose stay is over, unless another has chosen for it meanwhile: where it goes.
  SocketAddress claim(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                      Duration span);
  // Forgets what is older than twice `span`, `most` at a time.
  void expire(MonoTime now, Duration span, size_t most);
  // Forgets who went to one of them; sorted.
  void forget(const std::vector<SocketAddress>& endpoints);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    IpAddress client;
    SocketAddress endpoint;
    MonoTime used;
  };
  using Entries = std::list<Entry>;
  void forget_oldest();

  const size_t limit_;
  Entries entries_;  // the one used last at the end
  std::unordered_map<IpAddress, Entries::iterator> by_client_;
};

class SharedAffinity {
 public:
  // As many as an affinity map of the kernel plane holds.
  static constexpr size_t kLimit = 1u << 18;

  std::optional<Stay> find(const IpAddress& client, MonoTime now, Duration span);
  void remember(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                Duration span);
  SocketAddress claim(const IpAddress& client, const SocketAddress& endpoint, MonoTime now,
                      Duration span);
  void forget(const std::vector<SocketAddress>& endpoints);
  // As AffinityTable::expire(), kSweep of each shard at most.
  void expire(MonoTime now, Duration span);

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kSweep = 4096;
  struct Shard {
    std::mutex mutex;
    AffinityTable table{kLimit / kShards};
  };
  Shard& shard_of(const IpAddress& client);

  std::array<Shard, kShards> shards_;
};

}  // namespace fairlead::proxy::stream
