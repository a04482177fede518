// SPDX-License-Identifier: Apache-2.0
// The newest state of every key and a bounded history of what changed. It has no lock, clock or
// disk: its owner guards it and says what time it is.
//
// History: a change is kept for Limits::age at least, unless the hard limits cut it; after that
// only as long as the soft limits have room. Nothing is trimmed while nothing is written.
#pragma once

#include <deque>
#include <map>

#include "base/time.h"
#include "orchestrator/store/store.h"

namespace fairlead::orchestrator::store {

struct HistoryLimits {
  Duration age = std::chrono::seconds(75);
  size_t soft_events = 1000;
  size_t soft_bytes = 2 << 20;
  size_t hard_events = 200'000;
  size_t hard_bytes = 64 << 20;
};

class KeySpace {
 public:
  explicit KeySpace(HistoryLimits limits) : limits_(limits) {}

  // Puts an entry without history: what was on disk. Then start_at once.
  void load(Entry entry);
  void start_at(int64_t revision) { revision_ = compacted_ = revision; }

  const Entry* find(std::string_view key) const;
  Result<RangeResult> range(const RangeOptions& options) const;
  // Every change of the watched keys after options.after_revision, oldest first.
  Result<std::vector<EventRef>> changes(const WatchOptions& options) const;

  // Applies one change and keeps it as history. Revisions come in order; a delete's key exists.
  EventRef apply(Event::Type type, const std::string& key, Bytes value, int64_t revision,
                 MonoTime now);
  void compact(int64_t revision);

  int64_t revision() const { return revision_; }
  int64_t compacted() const { return compacted_; }
  size_t size() const { return entries_.size(); }
  size_t history_size() const { return history_.size(); }

 private:
  struct Past {
    EventRef event;
    Entry before;  // value null: did not exist
    MonoTime at;
    size_t bytes = 0;  // that count to the limits
  };
  RangeResult newest(const RangeOptions& options) const;
  RangeResult as_of(const RangeOptions& options) const;
  void trim(MonoTime now);
  void drop_oldest();

  HistoryLimits limits_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::deque<Past> history_;
  size_t history_bytes_ = 0;
  int64_t revision_ = 0;
  int64_t compacted_ = 0;  // changes at or before this are forgotten
};

bool watches(std::string_view prefix, std::string_view key);

}  // namespace fairlead::orchestrator::store
