// SPDX-License-Identifier: Apache-2.0
// Where objects live: keys to bytes, in revisions. Shaped like etcd's KV and Watch services, so
// that etcd can stand behind it.
//
// Threads: every method may be called from any thread. Callbacks run on the Loop that was given,
// never from inside the call. A Loop must outlive what was asked on it: until a commit's callback
// has run, until a Watch is destroyed, or until the Store is. Order: revisions grow by one writer's
// hand and are never used twice, not even after a crash. A watch sees every change of its keys
// exactly once, in the order of revisions; the events of a commit reach a Loop before the commit's
// own callback does. Durability: a commit is reported after it is on disk, except for keys declared
// volatile, which live in memory only. Readers never see what is not yet durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead {
class Loop;
}

namespace fairlead::orchestrator {

using Bytes = std::shared_ptr<const std::string>;

namespace store {

struct Entry {
  std::string key;
  Bytes value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
};

// Bytes with a place where the store writes the decimal revision it assigns to the commit.
struct Value {
  static constexpr size_t kNoSlot = static_cast<size_t>(-1);
  std::string bytes;
  size_t revision_slot = kNoSlot;
  Bytes at(int64_t revision) const;
};

struct Compare {
  std::string key;
  int64_t mod_revision = 0;  // 0: the key must not exist
};

struct Op {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  std::string key;
  Value value;  // of a delete: the last state as watchers shall see it; empty: the stored one
};

// All or nothing: the ops happen, at one revision, if every comparison holds.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Op> ops;
};

struct TxnResult {
  bool succeeded = false;     // false: a comparison failed and nothing happened
  int64_t revision = 0;       // of the commit, or the newest when nothing happened
  std::vector<Bytes> values;  // as stored, one for each op
};

struct RangeOptions {
  std::string prefix;    // keys that begin with it, in byte order
  std::string after;     // only keys greater than this; empty: from the first
  size_t limit = 0;      // 0: all
  int64_t revision = 0;  // as it was then; 0: newest
};

struct RangeResult {
  std::vector<Entry> entries;
  int64_t revision = 0;
  size_t remaining = 0;  // how many more the limit cut off
};

// One change. Shared by every watcher; what they derive from it (an encoded frame, say) is made
// once.
class Event {
 public:
  enum class Type { kPut, kDelete };
  Type type = Type::kPut;
  std::string key;
  Bytes value;     // of a delete: the last state
  Bytes previous;  // null: the key did not exist
  int64_t revision = 0;

  template <typename T>
  const T& derived(const std::function<std::shared_ptr<const T>(const Event&)>& make) const {
    std::call_once(once_, [&] { derived_ = make(*this); });
    return *static_cast<const T*>(derived_.get());
  }

 private:
  mutable std::once_flag once_;
  mutable std::shared_ptr<const void> derived_;
};
using EventRef = std::shared_ptr<const Event>;

struct Batch {
  std::vector<EventRef> events;  // empty: progress only
  int64_t revision = 0;          // everything up to here has been delivered
};

struct WatchOptions {
  std::string prefix;          // ends with '/': every key below; else that key alone
  int64_t after_revision = 0;  // changes later than this
};

// Destroying it (on its Loop's thread) ends the watch; nothing of it runs after.
class Watch {
 public:
  virtual ~Watch() = default;
  // Asks for a Batch that tells how far the watch has come, even if nothing changed.
  virtual void request_progress() = 0;
};

struct WatchHandlers {
  std::function<void(const Batch&)> on_batch;
  // The watcher was too slow and its backlog was dropped (kExpired); nothing follows. List again.
  std::function<void(Error)> on_lost;
};

struct Stats {
  uint64_t transactions = 0;  // asked for
  uint64_t commits = 0;       // written to disk; each is one fsync and may hold many transactions
  uint64_t events = 0;        // published to watchers' history
  size_t keys = 0;
  size_t watches = 0;
  size_t history_events = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual int64_t revision() const = 0;
  // kNotFound.
  virtual Result<Entry> get(std::string_view key) const = 0;
  // kExpired when options.revision has been compacted, kInvalid when it is in the future.
  virtual Result<RangeResult> range(const RangeOptions& options) const = 0;
  // kResourceExhausted when too many commits wait already; kUnavailable when the disk refused.
  virtual void commit(Txn txn, Loop& loop, std::function<void(Result<TxnResult>)> done) = 0;
  // kExpired when changes after options.after_revision have been compacted.
  [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(const WatchOptions& options,
                                                             Loop& loop,
                                                             WatchHandlers handlers) = 0;
  // Forgets the history up to `revision`.
  virtual void compact(int64_t revision) = 0;
  virtual Stats stats() const = 0;
};

}  // namespace store
}  // namespace fairlead::orchestrator
