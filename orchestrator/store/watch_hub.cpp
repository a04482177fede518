// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/watch_hub.h"

#include <algorithm>

#include "base/loop.h"

namespace fairlead::orchestrator::store {

class WatchHub::Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(Loop& loop, WatchHandlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

  // Before the first push.
  void begin_with(std::vector<EventRef> past) {
    std::lock_guard lock(mutex_);
    backlog_.events = std::move(past);
    past_ = backlog_.events.size();
  }

  void push(std::vector<EventRef> events) {
    std::lock_guard lock(mutex_);
    if (closed_ || lost_) return;
    if (backlog_.events.size() - past_ + events.size() > kMaxBacklog) {
      lost_ = true;
      backlog_.events.clear();
      return;
    }
    for (EventRef& event : events) backlog_.events.push_back(std::move(event));
  }

  // Posting under the lock: after close() nothing touches the Loop, which may be gone by then.
  void schedule(int64_t revision) {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    backlog_.revision = std::max(backlog_.revision, revision);
    if (scheduled_) return;
    scheduled_ = true;
    loop_.post([self = shared_from_this()] { self->deliver(); });
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    backlog_.events.clear();
  }

 private:
  void deliver() {
    Batch batch;
    bool lost = false;
    {
      std::lock_guard lock(mutex_);
      scheduled_ = false;
      if (closed_) return;
      std::swap(batch, backlog_);
      backlog_.revision = batch.revision;
      past_ = 0;
      lost = lost_;
      if (lost) closed_ = true;
    }
    // The handlers may destroy the Watch; this object is held by the posted task.
    if (lost) {
      const auto on_lost = handlers_.on_lost;
      return on_lost(Error(ErrorCode::kExpired, "the watcher was too slow; list again"));
    }
    const auto on_batch = handlers_.on_batch;
    on_batch(batch);
  }

  Loop& loop_;
  const WatchHandlers handlers_;
  std::mutex mutex_;
  Batch backlog_;
  size_t past_ = 0;  // of the backlog: what it began with
  bool scheduled_ = false;
  bool closed_ = false;
  bool lost_ = false;
};

WatchHub::WatcherRef WatchHub::add(const std::string& prefix, std::vector<EventRef> past,
                                   int64_t revision, Loop& loop, WatchHandlers handlers) {
  auto watcher = std::make_shared<Watcher>(loop, std::move(handlers));
  by_prefix_[prefix].push_back(watcher);
  ++count_;
  if (!past.empty()) {
    watcher->begin_with(std::move(past));
    watcher->schedule(revision);
  }
  return watcher;
}

void WatchHub::remove(const std::string& prefix, const WatcherRef& watcher) {
  const auto it = by_prefix_.find(prefix);
  if (it == by_prefix_.end()) return;
  count_ -= std::erase(it->second, watcher);
  if (it->second.empty()) by_prefix_.erase(it);
}

void WatchHub::close(const WatcherRef& watcher) {
  watcher->close();
}

void WatchHub::progress(const WatcherRef& watcher, int64_t revision) {
  watcher->schedule(revision);
}

// A watched prefix ends at a '/' of the key or is the whole key, so few look-ups find all of them.
void WatchHub::publish(const EventRef& event) {
  if (count_ == 0) return;
  offer("", event);
  for (size_t at = event->key.find('/'); at != std::string::npos; at = event->key.find('/', at + 1))
    offer(event->key.substr(0, at + 1), event);
  if (!event->key.ends_with('/')) offer(event->key, event);
}

void WatchHub::offer(const std::string& prefix, const EventRef& event) {
  const auto it = by_prefix_.find(prefix);
  if (it == by_prefix_.end()) return;
  for (const WatcherRef& watcher : it->second) {
    watcher->push({event});
    if (touched_.empty() || touched_.back() != watcher) touched_.push_back(watcher);
  }
}

void WatchHub::flush(int64_t revision) {
  for (const WatcherRef& watcher : touched_) watcher->schedule(revision);
  touched_.clear();
}

}  // namespace fairlead::orchestrator::store
