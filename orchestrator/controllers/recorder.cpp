// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/recorder.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/log.h"
#include "base/rfc3339.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxKnown = 4096;  // events that may still be counted up
constexpr size_t kMaxQueue = 1024;
constexpr size_t kMaxInFlight = 16;
constexpr Duration kCountWindow = std::chrono::minutes(10);
constexpr double kBurst = 25;  // per object
constexpr Duration kRefill = std::chrono::minutes(5);
const Resource kEvents{"", "events"};

}  // namespace

EventSubject subject(const char* api_version, const char* kind, const Meta& meta) {
  return {api_version, kind, meta.ns, meta.name, meta.uid};
}

struct Recorder::Core : std::enable_shared_from_this<Core> {
  Core(Clock& c, Api& a, std::string name) : clock(c), api(a), component(std::move(name)) {}

  using Key =
      std::tuple<std::string, bool, std::string, std::string>;  // uid, warning, reason, text
  struct Known {
    ObjectKey name;
    int count = 1;
    MonoTime last;
  };
  struct Bucket {
    double tokens = kBurst;
    MonoTime filled;
  };
  struct Item {
    EventSubject about;
    bool warning = false;
    std::string reason;
    std::string message;
  };

  void record(Item item);
  bool may_speak(const std::string& uid);
  void pump();
  void write(const Item& item);
  void create(const Item& item);
  void count_up(const Item& item, Known& known);
  void done();

  Clock& clock;
  Api& api;
  const std::string component;
  std::map<Key, Known> known;
  std::map<std::string, Bucket> buckets;
  std::deque<Item> queue;
  size_t in_flight = 0;
  uint64_t dropped = 0;
  uint64_t sequence = 0;
  Alarm alarm;
};

// Whether this object may have one more event now.
bool Recorder::Core::may_speak(const std::string& uid) {
  if (buckets.size() >= kMaxKnown && !buckets.contains(uid)) buckets.erase(buckets.begin());
  auto [it, fresh] = buckets.try_emplace(uid);
  Bucket& bucket = it->second;
  const MonoTime now = clock.now();
  if (!fresh) {
    const double refilled =
        static_cast<double>((now - bucket.filled).count()) / static_cast<double>(kRefill.count());
    bucket.tokens = std::min(kBurst, bucket.tokens + refilled);
  }
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void Recorder::Core::record(Item item) {
  if (!may_speak(item.about.uid)) return;
  if (queue.size() >= kMaxQueue) {
    if (dropped++ % 1000 == 0)
      log::warn("events: the queue is full; {} events were dropped so far", dropped);
    return;
  }
  queue.push_back(std::move(item));
  alarm = clock.after(Duration::zero(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

void Recorder::Core::pump() {
  while (!queue.empty() && in_flight < kMaxInFlight) {
    const Item item = std::move(queue.front());
    queue.pop_front();
    ++in_flight;
    write(item);
  }
}

void Recorder::Core::done() {
  --in_flight;
  pump();
}

void Recorder::Core::write(const Item& item) {
  const Key key{item.about.uid, item.warning, item.reason, item.message};
  const auto it = known.find(key);
  if (it != known.end() && clock.now() - it->second.last < kCountWindow)
    return count_up(item, it->second);
  create(item);
}

void Recorder::Core::create(const Item& item) {
  const WallTime wall = clock.wall_now();
  const std::string ns = item.about.ns.empty() ? "default" : item.about.ns;
  const std::string name = fmt::format("{}.{:x}{:x}", item.about.name,
                                       wall.time_since_epoch().count(), sequence++ & 0xff);
  const Key key{item.about.uid, item.warning, item.reason, item.message};
  if (known.size() >= kMaxKnown) known.erase(known.begin());
  known[key] = {{ns, name}, 1, clock.now()};
  Json involved = {{"apiVersion", item.about.api_version},
                   {"kind", item.about.kind},
                   {"name", item.about.name},
                   {"uid", item.about.uid}};
  if (!item.about.ns.empty()) involved["namespace"] = item.about.ns;
  const std::string now = to_rfc3339(wall);
  Json event = {{"apiVersion", "v1"},
                {"kind", "Event"},
                {"metadata", {{"name", name}, {"namespace", ns}}},
                {"involvedObject", std::move(involved)},
                {"reason", item.reason},
                {"message", item.message},
                {"type", item.warning ? "Warning" : "Normal"},
                {"source", {{"component", component}}},
                {"reportingComponent", component},
                {"reportingInstance", ""},
                {"firstTimestamp", now},
                {"lastTimestamp", now},
                {"count", 1}};
  api.create(kEvents, ns, std::move(event),
             [weak = weak_from_this(), key](const Result<Bytes>& result) {
               const auto self = weak.lock();
               if (!self) return;
               if (!result) {
                 self->known.erase(key);
                 log::debug("events: {}", result.error().message());
               }
               self->done();
             });
}

void Recorder::Core::count_up(const Item& item, Known& entry) {
  entry.last = clock.now();
  Json patch = {{"count", ++entry.count}, {"lastTimestamp", to_rfc3339(clock.wall_now())}};
  api.merge_patch(kEvents, "", entry.name, std::move(patch),
                  [weak = weak_from_this(), item](const Result<Bytes>& result) {
                    const auto self = weak.lock();
                    if (!self) return;
                    // Events are kept for a limited time; begin a new one.
                    if (!result && result.error().is_not_found()) return self->create(item);
                    if (!result) log::debug("events: {}", result.error().message());
                    self->done();
                  });
}

Recorder::Recorder(Clock& clock, Api& api, std::string component)
    : core_(std::make_shared<Core>(clock, api, std::move(component))) {}
Recorder::~Recorder() = default;

void Recorder::record(const EventSubject& about, bool warning, const std::string& reason,
                      const std::string& message) {
  core_->record({about, warning, reason, message});
}

}  // namespace fairlead::orchestrator::controllers
