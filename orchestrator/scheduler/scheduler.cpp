// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/scheduler.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/log.h"
#include "base/rfc3339.h"
#include "orchestrator/controllers/informer.h"
#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/controllers/recorder.h"
#include "orchestrator/scheduler/fit.h"
#include "orchestrator/scheduler/objects.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

using controllers::Informer;
using controllers::Json;
using kube::ObjectKey;
using scheduling::Node;
using scheduling::NodeInfo;
using scheduling::NodeRef;
using scheduling::Pod;
using scheduling::PodRef;

namespace {

constexpr const char* kOurName = "default-scheduler";
constexpr int kDecisionsPerTurn = 64;
constexpr int kMaxBinds = 256;
constexpr Duration kFirstBackoff = std::chrono::milliseconds(200);
constexpr Duration kMaxBackoff = std::chrono::seconds(10);

// A change that can make room for a pod that had none.
bool may_help(const NodeRef& before, const NodeRef& after) {
  if (!after) return false;
  if (!before) return true;
  return before->ready != after->ready || before->unschedulable != after->unschedulable ||
         before->taints != after->taints || before->meta.labels != after->meta.labels ||
         before->allocatable != after->allocatable;
}

// What a decision depends on, without what we write ourselves.
bool same_wish(const Pod& a, const Pod& b) {
  Pod left = a;
  left.meta = b.meta;
  left.phase = b.phase;
  left.unschedulable_message = b.unschedulable_message;
  return left == b && a.meta.uid == b.meta.uid && a.meta.deleting == b.meta.deleting;
}

// The live pod's conditions with PodScheduled=False in them.
Json unschedulable_conditions(const Json& pod, const std::string& message, WallTime now) {
  Json list = Json::array();
  std::string since = to_rfc3339(now);
  for (const Json& item : json::items(json::member(pod, "status"), "conditions")) {
    if (json::text(item, "type") != "PodScheduled") {
      list.push_back(item);
      continue;
    }
    if (json::text(item, "status") == "False" && !json::text(item, "lastTransitionTime").empty())
      since = json::text(item, "lastTransitionTime");
  }
  list.push_back(
      {{"type", "PodScheduled"},
       {"status", "False"},
       {"reason", "Unschedulable"},
       {"message", message},
       {"observedGeneration", json::number_or(json::member(pod, "metadata"), "generation", 0)},
       {"lastTransitionTime", since}});
  return list;
}

}  // namespace

struct Scheduler::Running : std::enable_shared_from_this<Running> {
  enum class State {
    kActive,   // tried on a coming turn
    kBackoff,  // tried when its time has come
    kParked,   // tried after an event that may help
    kBinding,  // a bind is on its way
  };
  // A pod that waits for a node.
  struct Entry {
    State state = State::kActive;
    uint64_t order = 0;
    int64_t priority = 0;
    int attempts = 0;
    MonoTime last_attempt{};
    MonoTime due{};  // kBackoff
  };
  using ActiveKey = std::tuple<int64_t, uint64_t, ObjectKey>;  // -priority, order
  struct Placement {
    std::string node;
    PodRef pod;
  };

  Running(Clock& c, Api& a) : clock(c), api(a), recorder(c, a, kOurName) {
    pods.subscribe([this](const PodRef& before, const PodRef& after) { on_pod(before, after); });
    nodes.subscribe(
        [this](const NodeRef& before, const NodeRef& after) { on_node(before, after); });
  }

  void start();
  void on_pod(const PodRef& before, const PodRef& after);
  void on_node(const NodeRef& before, const NodeRef& after);
  void place(const PodRef& pod, const std::string& node);
  void unplace(const std::string& uid);
  void activate(const ObjectKey& key, Entry& entry);
  void forget(const ObjectKey& key);
  void wake_parked();
  void back_off(const ObjectKey& key, Entry& entry);
  void arm_backoff();
  void schedule_pump();
  void pump();
  void attempt(const ObjectKey& key);
  void bind(const PodRef& pod, const std::string& node);
  void on_bound(const PodRef& pod, const std::string& node, const Result<Bytes>& result);
  void park(const PodRef& pod, const std::string& message);
  void say_unschedulable(const PodRef& pod, const std::string& message);
  Duration backoff_left(const Entry& entry) const;

  Clock& clock;
  Api& api;
  controllers::Recorder recorder;
  std::map<std::string, NodeInfo> infos;        // by node name; without a Node: only load
  std::map<std::string, Placement> placements;  // by pod uid, held ones included
  std::map<ObjectKey, Entry> waiting;
  std::set<ActiveKey> active;
  std::set<std::pair<MonoTime, ObjectKey>> backing_off;
  uint64_t next_order = 0;
  int binds_in_flight = 0;
  bool synced = false;
  bool pump_scheduled = false;
  Alarm pump_alarm;
  Alarm backoff_alarm;
  Informer<Pod> pods{{"", "pods"}, scheduling::decode_pod};
  Informer<Node> nodes{{"", "nodes"}, scheduling::decode_node};
};

void Scheduler::Running::start() {
  const auto on_synced = [this] {
    synced = pods.synced() && nodes.synced();
    schedule_pump();
  };
  nodes.start(api, on_synced);
  pods.start(api, on_synced);
}

void Scheduler::Running::on_pod(const PodRef& before, const PodRef& after) {
  const ObjectKey key = (after ? after : before)->meta.key();
  if (before && (!after || after->meta.uid != before->meta.uid || after->terminal())) {
    const bool made_room = placements.contains(before->meta.uid);
    unplace(before->meta.uid);
    forget(key);
    if (made_room) wake_parked();
  }
  if (!after || after->terminal()) return;
  if (!after->node_name.empty()) {
    forget(key);
    return place(after, after->node_name);
  }
  if (after->scheduler_name != kOurName || after->gated || after->meta.deleting) return forget(key);
  const auto it = waiting.find(key);
  if (it == waiting.end()) {
    Entry& entry = waiting[key];
    entry.order = next_order++;
    entry.priority = after->priority;
    return activate(key, entry);
  }
  if (it->second.state != State::kBinding && before && !same_wish(*before, *after))
    activate(key, it->second);
}

void Scheduler::Running::on_node(const NodeRef& before, const NodeRef& after) {
  const std::string& name = (after ? after : before)->meta.name;
  infos[name].node = after;
  if (!after && infos[name].pods == 0) infos.erase(name);
  if (may_help(before, after)) wake_parked();
}

// Counts the pod on the node; a pod counted already moves.
void Scheduler::Running::place(const PodRef& pod, const std::string& node) {
  unplace(pod->meta.uid);
  infos[node].add(*pod);
  placements[pod->meta.uid] = {node, pod};
}

void Scheduler::Running::unplace(const std::string& uid) {
  const auto it = placements.find(uid);
  if (it == placements.end()) return;
  NodeInfo& info = infos[it->second.node];
  info.remove(*it->second.pod);
  if (!info.node && info.pods == 0) infos.erase(it->second.node);
  placements.erase(it);
}

void Scheduler::Running::activate(const ObjectKey& key, Entry& entry) {
  if (entry.state == State::kBackoff) backing_off.erase({entry.due, key});
  entry.state = State::kActive;
  active.insert({-entry.priority, entry.order, key});
  schedule_pump();
}

void Scheduler::Running::forget(const ObjectKey& key) {
  const auto it = waiting.find(key);
  if (it == waiting.end()) return;
  active.erase({-it->second.priority, it->second.order, key});
  backing_off.erase({it->second.due, key});
  waiting.erase(it);
}

Duration Scheduler::Running::backoff_left(const Entry& entry) const {
  Duration backoff = kFirstBackoff;
  for (int i = 1; i < entry.attempts && backoff < kMaxBackoff; ++i) backoff *= 2;
  return entry.last_attempt + std::min(backoff, kMaxBackoff) - clock.now();
}

void Scheduler::Running::wake_parked() {
  for (auto& [key, entry] : waiting)
    if (entry.state == State::kParked) back_off(key, entry);
}

void Scheduler::Running::back_off(const ObjectKey& key, Entry& entry) {
  const Duration left = backoff_left(entry);
  if (left <= Duration::zero()) return activate(key, entry);
  entry.state = State::kBackoff;
  entry.due = clock.now() + left;
  backing_off.insert({entry.due, key});
  arm_backoff();
}

void Scheduler::Running::arm_backoff() {
  if (backing_off.empty()) return backoff_alarm.cancel();
  const Duration wait = std::max(backing_off.begin()->first - clock.now(), Duration::zero());
  backoff_alarm = clock.after(wait, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    while (!self->backing_off.empty() && self->backing_off.begin()->first <= self->clock.now()) {
      const ObjectKey key = self->backing_off.begin()->second;
      self->activate(key, self->waiting.at(key));
    }
    self->arm_backoff();
  });
}

void Scheduler::Running::schedule_pump() {
  if (!synced || pump_scheduled || active.empty() || binds_in_flight >= kMaxBinds) return;
  pump_scheduled = true;
  pump_alarm = clock.after(Duration::zero(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

void Scheduler::Running::pump() {
  pump_scheduled = false;
  for (int i = 0; i < kDecisionsPerTurn && !active.empty() && binds_in_flight < kMaxBinds; ++i) {
    const ObjectKey key = std::get<2>(*active.begin());
    active.erase(active.begin());
    attempt(key);
  }
  schedule_pump();
}

void Scheduler::Running::attempt(const ObjectKey& key) {
  const PodRef pod = pods.find(key);
  if (!pod) return forget(key);
  Entry& entry = waiting.at(key);
  ++entry.attempts;
  entry.last_attempt = clock.now();
  if (!pod->unsupported.empty())
    return park(pod, "the pod asks for " + pod->unsupported +
                         ", which this scheduler cannot do; remove it or use a preferred rule");
  std::vector<const NodeInfo*> fitting;
  std::vector<std::vector<std::string>> reasons;
  for (const auto& [name, info] : infos) {
    if (!info.node) continue;
    std::vector<std::string> list = scheduling::obstacles(*pod, info);
    if (list.empty()) fitting.push_back(&info);
    reasons.push_back(std::move(list));
  }
  const NodeInfo* chosen = scheduling::best(*pod, fitting);
  if (!chosen) return park(pod, scheduling::unschedulable_message(reasons));
  entry.state = State::kBinding;
  bind(pod, chosen->node->meta.name);
}

void Scheduler::Running::bind(const PodRef& pod, const std::string& node) {
  place(pod, node);
  ++binds_in_flight;
  api.bind(pod->meta.key(), pod->meta.uid, node,
           [weak = weak_from_this(), pod, node](const Result<Bytes>& result) {
             const auto self = weak.lock();
             if (self) self->on_bound(pod, node, result);
           });
}

void Scheduler::Running::on_bound(const PodRef& pod, const std::string& node,
                                  const Result<Bytes>& result) {
  --binds_in_flight;
  const ObjectKey key = pod->meta.key();
  if (result) {
    pods.observe(*result);
    recorder.record(controllers::subject("v1", "Pod", pod->meta), false, "Scheduled",
                    "Successfully assigned " + key.to_string() + " to " + node);
  } else {
    // If the pod was bound by another or is gone, the watch says so; else it is tried again.
    const PodRef now = pods.find(key);
    if (now && now->meta.uid == pod->meta.uid && now->node_name.empty()) unplace(pod->meta.uid);
    log::warn("scheduler: bind {} to {}: {}", key.to_string(), node, result.error().message());
    const auto it = waiting.find(key);
    if (it != waiting.end() && it->second.state == State::kBinding) back_off(key, it->second);
  }
  schedule_pump();
}

void Scheduler::Running::park(const PodRef& pod, const std::string& message) {
  waiting.at(pod->meta.key()).state = State::kParked;
  if (pod->unschedulable_message != message) say_unschedulable(pod, message);
}

void Scheduler::Running::say_unschedulable(const PodRef& pod, const std::string& message) {
  recorder.record(controllers::subject("v1", "Pod", pod->meta), true, "FailedScheduling", message);
  const auto live = api.get(pods.resource(), pod->meta.key());
  const Result<Json> json = live ? controllers::parse_object(*live) : Result<Json>(live.error());
  if (!json) return;  // gone: the watch will say so
  const Json& meta = json::member(*json, "metadata");
  if (json::text(meta, "uid") != pod->meta.uid) return;
  Json patch = {
      {"metadata",
       {{"uid", pod->meta.uid}, {"resourceVersion", json::text(meta, "resourceVersion")}}},
      {"status", {{"conditions", unschedulable_conditions(*json, message, clock.wall_now())}}}};
  api.merge_patch(pods.resource(), "status", pod->meta.key(), std::move(patch),
                  [weak = weak_from_this(), key = pod->meta.key()](const Result<Bytes>& result) {
                    const auto self = weak.lock();
                    if (!self) return;
                    if (result) return self->pods.observe(*result);
                    // Not said: the next try says it.
                    const auto it = self->waiting.find(key);
                    if (it != self->waiting.end() && it->second.state == State::kParked)
                      self->back_off(key, it->second);
                  });
}

Scheduler::Scheduler(Loop& loop, Api& api) : Scheduler(loop.clock(), api) {}
Scheduler::Scheduler(Clock& clock, Api& api) : clock_(clock), api_(api) {}
Scheduler::~Scheduler() = default;

void Scheduler::start() {
  if (running_) return;
  running_ = std::make_shared<Running>(clock_, api_);
  running_->start();
}

void Scheduler::stop() {
  running_.reset();
}

}  // namespace fairlead::orchestrator
