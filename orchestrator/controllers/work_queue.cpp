// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/work_queue.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "base/log.h"

namespace fairlead::orchestrator::controllers {

struct WorkQueue::Core : std::enable_shared_from_this<Core> {
  Core(Clock& c, Options o, std::function<void(const Key&, Pass)> w)
      : clock(c), options(std::move(o)), work(std::move(w)) {}

  void add(const Key& key);
  void add_after(const Key& key, Duration delay);
  void finish(const Key& key, const std::optional<Error>& error);
  void schedule_pump();
  void pump();
  void arm_delayed();
  void release_due();
  void run(const Key& key);

  Clock& clock;
  const Options options;
  std::function<void(const Key&, Pass)> work;
  bool started = false;
  bool pump_scheduled = false;
  std::deque<Key> ready;
  std::set<Key> queued;  // in `ready`
  std::set<Key> running;
  std::set<Key> again;  // added while running
  std::map<Key, MonoTime> due;
  std::set<std::pair<MonoTime, Key>> by_time;
  std::map<Key, int> failures;
  Alarm pump_alarm;
  Alarm delay_alarm;
};

struct WorkQueue::Pass::State {
  ~State() {
    if (const auto queue = core.lock()) queue->finish(key, error);
  }
  std::weak_ptr<Core> core;
  Key key;
  std::optional<Error> error;
};

void WorkQueue::Pass::fail(const Error& error) const {
  if (!state_->error) state_->error = error;
}
bool WorkQueue::Pass::failed() const {
  return state_->error.has_value();
}

void WorkQueue::Core::add(const Key& key) {
  if (running.contains(key)) {
    again.insert(key);
    return;
  }
  if (!queued.insert(key).second) return;
  ready.push_back(key);
  schedule_pump();
}

void WorkQueue::Core::add_after(const Key& key, Duration delay) {
  if (delay <= Duration::zero()) return add(key);
  const MonoTime when = clock.now() + delay;
  const auto it = due.find(key);
  if (it != due.end()) {
    if (it->second <= when) return;
    by_time.erase({it->second, key});
  }
  due[key] = when;
  by_time.emplace(when, key);
  arm_delayed();
}

void WorkQueue::Core::schedule_pump() {
  if (!started || pump_scheduled || ready.empty() || running.size() >= options.max_in_flight)
    return;
  pump_scheduled = true;
  pump_alarm = clock.after(Duration::zero(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

void WorkQueue::Core::pump() {
  pump_scheduled = false;
  // Only what waits now: a pass that ends at once and adds its key again waits for the next turn.
  for (size_t left = ready.size(); left > 0 && running.size() < options.max_in_flight; --left) {
    const Key key = ready.front();
    ready.pop_front();
    queued.erase(key);
    run(key);
  }
  schedule_pump();
}

void WorkQueue::Core::run(const Key& key) {
  running.insert(key);
  auto state = std::make_shared<Pass::State>();
  state->core = weak_from_this();
  state->key = key;
  work(key, Pass(std::move(state)));
}

void WorkQueue::Core::finish(const Key& key, const std::optional<Error>& error) {
  running.erase(key);
  if (error) {
    const int count = failures[key]++;
    Duration backoff = options.first_backoff;
    for (int i = 0; i < count && backoff < options.max_backoff; ++i) backoff *= 2;
    backoff = std::min(backoff, options.max_backoff);
    if (error->is_conflict() || error->is_not_found())
      log::debug("{}: {}: {}; tried again", options.name, key.to_string(), error->message());
    else
      log::warn("{}: {}: {}; tried again in {} ms", options.name, key.to_string(), error->message(),
                backoff / std::chrono::milliseconds(1));
    add_after(key, backoff);
  } else {
    failures.erase(key);
  }
  if (again.erase(key) > 0) add(key);
  schedule_pump();
}

void WorkQueue::Core::arm_delayed() {
  if (!started || by_time.empty()) return delay_alarm.cancel();
  const Duration wait = std::max(by_time.begin()->first - clock.now(), Duration::zero());
  delay_alarm = clock.after(wait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->release_due();
  });
}

void WorkQueue::Core::release_due() {
  while (!by_time.empty() && by_time.begin()->first <= clock.now()) {
    const Key key = by_time.begin()->second;
    by_time.erase(by_time.begin());
    due.erase(key);
    add(key);
  }
  arm_delayed();
}

WorkQueue::WorkQueue(Clock& clock, Options options, std::function<void(const Key&, Pass)> work)
    : core_(std::make_shared<Core>(clock, std::move(options), std::move(work))) {}
WorkQueue::~WorkQueue() = default;

void WorkQueue::start() {
  core_->started = true;
  core_->schedule_pump();
  core_->arm_delayed();
}
void WorkQueue::add(const Key& key) {
  core_->add(key);
}
void WorkQueue::add_after(const Key& key, Duration delay) {
  core_->add_after(key, delay);
}
bool WorkQueue::idle() const {
  return core_->ready.empty() && core_->running.empty();
}

}  // namespace fairlead::orchestrator::controllers
