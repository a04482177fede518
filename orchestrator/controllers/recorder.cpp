// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/recorder.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/log.h"
#include "base/rfc3339.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxKnown = 4096;  // events that may still be counted up
constexpr size_t kMaxQueue = 1024;
constexpr size_t kMaxInFlight = 16;
constexpr size_t kMaxAlike = 10;  // this one and those after it are combined
constexpr Duration kAlikeWindow = std::chrono::minutes(10);
constexpr double kBurst = 25;  // per object
constexpr Duration kRefill = std::chrono::minutes(5);
const Resource kEvents{"", "events"};

}  // namespace

EventSubject subject(const char* api_version, const char* kind, const Meta& meta) {
  return {api_version, kind, meta.ns, meta.name, meta.uid, std::to_string(meta.revision)};
}

struct Recorder::Core : std::enable_shared_from_this<Core> {
  Core(Clock& c, Api& a, std::string name) : clock(c), api(a), component(std::move(name)) {}

  // uid, warning, reason, message: "" is that of combined ones
  using Key = std::tuple<std::string, bool, std::string, std::string>;
  struct Known {
    ObjectKey name;
    int count = 1;
  };
  // Those that differ in their message only.
  struct Alike {
    std::set<std::string> messages;
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
  Key combine(Item& item);
  void write(Item item);
  void create(const Item& item, const Key& key);
  void count_up(const Item& item, const Key& key);
  void done();

  Clock& clock;
  Api& api;
  const std::string component;
  std::map<Key, Known> known;
  std::map<std::tuple<std::string, bool, std::string>, Alike> alike;  // uid, warning, reason
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
    Item item = std::move(queue.front());
    queue.pop_front();
    ++in_flight;
    write(std::move(item));
  }
}

void Recorder::Core::done() {
  --in_flight;
  pump();
}

// What it is counted with. One too many of its kind is told with the others.
Recorder::Core::Key Recorder::Core::combine(Item& item) {
  if (alike.size() >= kMaxKnown) alike.erase(alike.begin());
  Alike& group = alike[{item.about.uid, item.warning, item.reason}];
  if (clock.now() - group.last > kAlikeWindow) group.messages.clear();
  group.messages.insert(item.message);
  group.last = clock.now();
  if (group.messages.size() < kMaxAlike)
    return {item.about.uid, item.warning, item.reason, item.message};
  group.messages.erase(group.messages.begin());
  item.message = "(combined from similar events): " + item.message;
  return {item.about.uid, item.warning, item.reason, ""};
}

void Recorder::Core::write(Item item) {
  const Key key = combine(item);
  known.contains(key) ? count_up(item, key) : create(item, key);
}

void Recorder::Core::create(const Item& item, const Key& key) {
  const WallTime wall = clock.wall_now();
  const std::string ns = item.about.ns.empty() ? "default" : item.about.ns;
  const std::string name = fmt::format("{}.{:x}{:x}", item.about.name,
                                       wall.time_since_epoch().count(), sequence++ & 0xff);
  if (known.size() >= kMaxKnown) known.erase(known.begin());
  known[key] = {{ns, name}, 1};
  Json involved = {{"apiVersion", item.about.api_version},
                   {"kind", item.about.kind},
                   {"name", item.about.name},
                   {"uid", item.about.uid},
                   {"resourceVersion", item.about.resource_version}};
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

void Recorder::Core::count_up(const Item& item, const Key& key) {
  Known& entry = known.at(key);
  Json patch = {{"count", ++entry.count},
                {"lastTimestamp", to_rfc3339(clock.wall_now())},
                {"message", item.message}};
  api.merge_patch(kEvents, "", entry.name, std::move(patch),
                  [weak = weak_from_this(), item, key](const Result<Bytes>& result) {
                    const auto self = weak.lock();
                    if (!self) return;
                    // Events are kept for a limited time; begin a new one.
                    if (!result && result.error().is_not_found()) return self->create(item, key);
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
