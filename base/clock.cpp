// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

namespace fairlead {

struct ManualClock::Queue {
  using Key = std::pair<MonoTime, uint64_t>;  // when, then in order of asking
  std::map<Key, std::function<void()>> calls;
  uint64_t next_id = 0;
};

// Alarms may outlive the clock in a test's teardown, so they share the queue.
struct ManualClock::Entry : Alarm::Pending {
  Entry(std::shared_ptr<Queue> q, Queue::Key k) : queue(std::move(q)), key(k) {}
  ~Entry() override { queue->calls.erase(key); }
  std::shared_ptr<Queue> queue;
  Queue::Key key;
};

ManualClock::ManualClock()
    : now_(std::chrono::hours(1)),
      wall_now_(std::chrono::seconds(1'700'000'000)),
      queue_(std::make_shared<Queue>()) {}

ManualClock::~ManualClock() = default;

Alarm ManualClock::after(Duration delay, std::function<void()> callback) {
  const Queue::Key key{now_ + delay, queue_->next_id++};
  queue_->calls.emplace(key, std::move(callback));
  return Alarm(std::make_unique<Entry>(queue_, key));
}

void ManualClock::advance(Duration span) {
  const MonoTime end = now_ + span;
  while (!queue_->calls.empty() && queue_->calls.begin()->first.first <= end) {
    auto node = queue_->calls.extract(queue_->calls.begin());
    if (node.key().first > now_) {
      wall_now_ += node.key().first - now_;
      now_ = node.key().first;
    }
    node.mapped()();
  }
  wall_now_ += end - now_;
  now_ = end;
}

size_t ManualClock::pending() const {
  return queue_->calls.size();
}

Duration ManualClock::until_next() const {
  return queue_->calls.empty() ? Duration::zero() : queue_->calls.begin()->first.first - now_;
}

}  // namespace fairlead
