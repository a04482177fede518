// SPDX-License-Identifier: Apache-2.0
// The store of one machine: SQLite behind one writer thread, reads and watches from memory.
//
// Threads: see store.h. The writer thread takes whatever waits, checks and numbers it, writes it as
// one SQLite transaction (group commit: transactions that arrive during an fsync share the next
// one), then makes it visible, publishes it and reports it. Idle it sleeps: no timer, no fsync.
// Revisions: numbers are reserved on disk in blocks, so that volatile writes need no fsync and yet
// no number comes twice after a crash. After one, counting goes on at the end of the block; after a
// clean stop one higher when volatile keys were there, else where it was. Limits:
// Options and HistoryLimits. Beyond max_waiting commits are refused with kResourceExhausted.
#pragma once

#include "orchestrator/store/key_space.h"
#include "orchestrator/store/store.h"

namespace fairlead::orchestrator::store {

// Keys in memory only; a restart forgets them.
struct VolatileKeys {
  std::string prefix;
  Duration ttl{};          // deleted so long after the last write, to the minute; zero: never
  size_t max_entries = 0;  // the oldest goes when there are more; 0: no limit
};

struct SqliteOptions {
  std::string directory;
  std::vector<VolatileKeys> volatile_keys;
  HistoryLimits history;
  int64_t revision_block = 1'000'000;
  size_t max_waiting = 16'384;
  Duration ttl_resolution = std::chrono::seconds(60);
  // The last state of an expired entry as watchers shall see it; not set: as stored.
  std::function<Value(const Entry&)> tombstone;
};

class SqliteStore : public Store {
 public:
  static Result<std::unique_ptr<SqliteStore>> open(SqliteOptions options);
  // Finishes what waits, then closes. Watches and Loops may outlive it; nothing is called after.
  ~SqliteStore() override;

  int64_t revision() const override;
  Result<Entry> get(std::string_view key) const override;
  Result<RangeResult> range(const RangeOptions& options) const override;
  void commit(Txn txn, Loop& loop, std::function<void(Result<TxnResult>)> done) override;
  [[nodiscard]] Result<std::unique_ptr<Watch>> watch(const WatchOptions& options, Loop& loop,
                                                     WatchHandlers handlers) override;
  void compact(int64_t revision) override;
  Stats stats() const override;

 private:
  class Impl;
  explicit SqliteStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace fairlead::orchestrator::store
