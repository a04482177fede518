// SPDX-License-Identifier: Apache-2.0
// Hands changes to watchers, each on its own Loop, in batches.
//
// Threads: publish and add are called under the owner's lock (that lock makes "history, then what
// follows" gapless). A watcher's backlog has a lock of its own; the order is always owner, watcher.
// Bounded: a watcher whose backlog passes kMaxBacklog is dropped and told so; what it is owed from
// before it began is the history's and does not count.
#pragma once

#include <map>
#include <vector>

#include "orchestrator/store/store.h"

namespace fairlead::orchestrator::store {

class WatchHub {
 public:
  static constexpr size_t kMaxBacklog = 65'536;

  class Watcher;
  using WatcherRef = std::shared_ptr<Watcher>;

  // `past`: what the watcher is owed already, up to `revision`.
  WatcherRef add(const std::string& prefix, std::vector<EventRef> past, int64_t revision,
                 Loop& loop, WatchHandlers handlers);
  void remove(const std::string& prefix, const WatcherRef& watcher);
  void publish(const EventRef& event);
  // After the events of a commit: tells every watcher touched how far things are.
  void flush(int64_t revision);

  static void close(const WatcherRef& watcher);
  static void progress(const WatcherRef& watcher, int64_t revision);
  size_t size() const { return count_; }

 private:
  void offer(const std::string& prefix, const EventRef& event);

  std::map<std::string, std::vector<WatcherRef>, std::less<>> by_prefix_;
  std::vector<WatcherRef> touched_;
  size_t count_ = 0;
};

}  // namespace fairlead::orchestrator::store
