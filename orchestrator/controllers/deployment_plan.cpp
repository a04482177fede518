// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/deployment_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "orchestrator/controllers/deployment_status.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Sets = std::vector<ReplicaSetRef>;

int64_t revision_of(const Meta& meta) {
  const std::string text = meta.annotation(kRevisionAnnotation);
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool older(const ReplicaSetRef& a, const ReplicaSetRef& b) {
  return std::tie(a->meta.created, a->meta.name) < std::tie(b->meta.created, b->meta.name);
}

// Annotations that belong to the Deployment's own revision, not to its template.
bool copied_to_sets(const std::string& name) {
  static constexpr std::array<std::string_view, 6> kOwn = {
      "kubectl.kubernetes.io/last-applied-configuration",
      kRevisionAnnotation,
      kRevisionHistoryAnnotation,
      kDesiredAnnotation,
      kMaxAnnotation,
      "deprecated.deployment.rollback.to"};
  return std::find(kOwn.begin(), kOwn.end(), name) == kOwn.end();
}

int resolve(const IntOrPercent& value, int total, bool round_up) {
  if (!value.percent) return value.value;
  const int64_t product = int64_t{value.value} * total;
  return static_cast<int>(round_up ? (product + 99) / 100 : product / 100);
}

// The pods of a set that will still be there when its controller has done what its spec says: it
// deletes unavailable ones first.
int lasting_available(const ReplicaSet& set) {
  return std::min(set.status.available, set.replicas);
}

// Its controller has seen the newest spec: pods that an older one cost are no longer counted.
bool is_observed(const ReplicaSetRef& set) {
  return set->status.observed_generation >= set->meta.generation;
}

class Planner {
 public:
  explicit Planner(const DeploymentState& state)
      : state_(state), deployment_(state.deployment), bounds_(rolling_bounds(deployment_)) {}

  DeploymentPlan run();

 private:
  bool claim();
  void sort_sets();
  bool is_scaling_event() const;
  void sync_new_set(bool may_create);
  Labels new_set_annotations() const;
  void create_new_set();
  void roll();
  void recreate();
  int new_set_replicas() const;
  bool reconcile_new();
  bool reconcile_old();
  int clean_unhealthy(Sets& sets, int limit);
  void scale_in_proportion();
  void clean_history();
  bool scale(const ReplicaSetRef& set, int replicas);
  void annotate_size(const ReplicaSetRef& set);
  int replicas_of(const ReplicaSetRef& set) const;
  int total_replicas(const Sets& sets) const;
  PatchReplicaSet& patch(const ReplicaSetRef& set);
  void set_annotation(const ReplicaSetRef& set, const std::string& name, const std::string& value);

  const DeploymentState& state_;
  const Deployment& deployment_;
  const RollingBounds bounds_;
  Sets all_;  // all claimed, oldest first
  Sets old_;  // without the new one
  ReplicaSetRef new_;
  bool collided_ = false;
  DeploymentPlan plan_;
};

DeploymentPlan Planner::run() {
  if (deployment_.selector.empty()) {
    plan_.events.push_back({"SelectingAll",
                            "This deployment is selecting all pods. A non-empty selector is "
                            "required.",
                            true});
    return plan_;
  }
  if (!deployment_.meta.deleting && claim()) return plan_;
  sort_sets();
  if (!deployment_.meta.deleting) {
    const bool scaling = is_scaling_event();
    if (deployment_.paused || scaling) {
      sync_new_set(/*may_create=*/false);
      scale_in_proportion();
    } else if (deployment_.recreate) {
      recreate();
    } else {
      roll();
    }
  }
  StatusInput input{deployment_, all_,    new_,      plan_.create ? plan_.create->name : "",
                    collided_,   bounds_, state_.now};
  StatusPlan status = plan_status(input);
  if (!(status.status == deployment_.status)) plan_.status = std::move(status.status);
  plan_.recheck = status.recheck;
  std::erase_if(plan_.patches, [](const PatchReplicaSet& p) { return p.set->meta.deleting; });
  return plan_;
}

// Adopts orphans the selector matches and releases owned sets it does not; true when there are any:
// the plan is then only that.
bool Planner::claim() {
  for (const ReplicaSetRef& set : state_.orphans)
    if (!set->meta.deleting && matches(deployment_.selector, set->meta.labels))
      patch(set).adopt = true;
  for (const ReplicaSetRef& set : state_.owned) {
    if (matches(deployment_.selector, set->meta.labels))
      all_.push_back(set);
    else if (!set->meta.deleting)
      patch(set).release = true;
  }
  return !plan_.patches.empty();
}

void Planner::sort_sets() {
  if (deployment_.meta.deleting) all_ = state_.owned;
  std::sort(all_.begin(), all_.end(), older);
  // The oldest with the wanted template is the new one (FindNewReplicaSet).
  for (const ReplicaSetRef& set : all_)
    if (!new_ && set->template_print == deployment_.template_print) new_ = set;
  for (const ReplicaSetRef& set : all_)
    if (set != new_) old_.push_back(set);
}

bool Planner::is_scaling_event() const {
  return std::any_of(all_.begin(), all_.end(), [&](const ReplicaSetRef& set) {
    const std::string desired = set->meta.annotation(kDesiredAnnotation);
    return set->replicas > 0 && !desired.empty() && desired != std::to_string(deployment_.replicas);
  });
}

Labels Planner::new_set_annotations() const {
  Labels result;
  for (const auto& [name, value] : deployment_.meta.annotations)
    if (copied_to_sets(name)) result[name] = value;
  int64_t newest = 0;
  for (const ReplicaSetRef& set : old_) newest = std::max(newest, revision_of(set->meta));
  const int64_t current = new_ ? revision_of(new_->meta) : 0;
  const int64_t revision = std::max(newest + 1, current);
  result[kRevisionAnnotation] = std::to_string(revision);
  if (current > 0 && current < revision) {
    std::string history = new_->meta.annotation(kRevisionHistoryAnnotation);
    if (!history.empty()) history += ",";
    result[kRevisionHistoryAnnotation] = history + std::to_string(current);
  }
  return result;
}

void Planner::sync_new_set(bool may_create) {
  if (!new_ && !may_create) return;
  if (!new_) return create_new_set();
  const Labels wanted = new_set_annotations();
  for (const auto& [name, value] : wanted) set_annotation(new_, name, value);
  if (new_->min_ready_seconds != deployment_.min_ready_seconds)
    patch(new_).min_ready_seconds = deployment_.min_ready_seconds;
  const std::string& revision = wanted.at(kRevisionAnnotation);
  if (deployment_.meta.annotation(kRevisionAnnotation) != revision) plan_.revision = revision;
}

void Planner::create_new_set() {
  CreateReplicaSet create;
  create.hash = template_hash(deployment_.template_print, deployment_.status.collision_count);
  create.name = deployment_.meta.name + "-" + create.hash;
  if (state_.name_taken(create.name)) {
    collided_ = true;  // another template has this hash, or someone else this name
    return;
  }
  create.replicas = new_set_replicas();
  create.annotations = new_set_annotations();
  create.annotations[kDesiredAnnotation] = std::to_string(deployment_.replicas);
  create.annotations[kMaxAnnotation] = std::to_string(deployment_.replicas + bounds_.surge);
  const std::string& revision = create.annotations.at(kRevisionAnnotation);
  if (deployment_.meta.annotation(kRevisionAnnotation) != revision) plan_.revision = revision;
  if (create.replicas > 0)
    create.events.push_back(
        {"ScalingReplicaSet",
         fmt::format("Scaled up replica set {} from 0 to {}", create.name, create.replicas)});
  plan_.create = std::move(create);
}

void Planner::roll() {
  sync_new_set(/*may_create=*/true);
  if (!new_) return;
  if (reconcile_new()) return;
  if (reconcile_old()) return;
  clean_history();
}

void Planner::recreate() {
  sync_new_set(/*may_create=*/false);
  bool scaled = false;
  for (const ReplicaSetRef& set : old_) scaled = scale(set, 0) || scaled;
  if (scaled) return;
  const bool running = std::any_of(old_.begin(), old_.end(), [&](const ReplicaSetRef& set) {
    return state_.live_pods(*set) > 0;
  });
  if (running) return;
  sync_new_set(/*may_create=*/true);
  if (!new_) return;
  if (scale(new_, deployment_.replicas)) return;
  annotate_size(new_);
  clean_history();
}

// NewRSNewReplicas: as many as fit below the wanted number plus the surge.
int Planner::new_set_replicas() const {
  if (deployment_.recreate) return deployment_.replicas;
  const int total = total_replicas(all_);
  const int allowed = deployment_.replicas + bounds_.surge;
  const int current = new_ ? new_->replicas : 0;
  if (total >= allowed) return current;
  return current + std::min(allowed - total, deployment_.replicas - current);
}

bool Planner::reconcile_new() {
  if (new_->replicas > deployment_.replicas) return scale(new_, deployment_.replicas);
  annotate_size(new_);
  return new_->replicas < deployment_.replicas && scale(new_, new_set_replicas());
}

// Old pods go only as far as new ones, and old ones that stay, are available. Stricter than
// Kubernetes: while a count may be of before a change, nothing more goes.
bool Planner::reconcile_old() {
  if (total_replicas(old_) == 0) return false;
  if (!std::all_of(all_.begin(), all_.end(), is_observed)) return false;
  const int min_available = deployment_.replicas - bounds_.unavailable;
  const int new_unavailable = new_->replicas - lasting_available(*new_);
  const int limit = total_replicas(all_) - min_available - new_unavailable;
  if (limit <= 0) return false;
  Sets sets = old_;
  const int cleaned = clean_unhealthy(sets, limit);
  int available = 0;
  for (const ReplicaSetRef& set : all_) available += lasting_available(*set);
  int spare = available - min_available;
  bool scaled = cleaned > 0;
  for (const ReplicaSetRef& set : sets) {
    if (spare <= 0) break;
    const int current = replicas_of(set);
    const int less = std::min(current, spare);
    spare -= less;
    scaled = scale(set, current - less) || scaled;
  }
  return scaled;
}

// Pods of old sets that are not available go first: they cost no availability.
int Planner::clean_unhealthy(Sets& sets, int limit) {
  int cleaned = 0;
  for (const ReplicaSetRef& set : sets) {
    if (cleaned >= limit) break;
    const int unhealthy = set->replicas - set->status.available;
    if (set->replicas == 0 || unhealthy <= 0) continue;
    const int less = std::min(limit - cleaned, unhealthy);
    scale(set, set->replicas - less);
    cleaned += less;
  }
  return cleaned;
}

// A new number of replicas in the middle of a rollout (or while paused): every set that has pods
// gets its share (sync.go: scale).
void Planner::scale_in_proportion() {
  Sets active;
  for (const ReplicaSetRef& set : all_)
    if (set->replicas > 0) active.push_back(set);
  if (active.size() <= 1) {
    ReplicaSetRef only = active.empty() ? new_ : active.front();
    if (!only && !old_.empty()) only = old_.back();
    if (!only) return;
    annotate_size(only);
    scale(only, deployment_.replicas);
    return;
  }
  if (new_ && new_->replicas == deployment_.replicas &&
      new_->status.available == deployment_.replicas &&
      new_->meta.annotation(kDesiredAnnotation) == std::to_string(deployment_.replicas)) {
    for (const ReplicaSetRef& set : old_) scale(set, 0);
    return;
  }
  for (const ReplicaSetRef& set : active) annotate_size(set);
  if (deployment_.recreate) return;
  const int total = total_replicas(active);
  const int allowed = deployment_.replicas > 0 ? deployment_.replicas + bounds_.surge : 0;
  int left = allowed - total;
  // Growing: the largest, then the newest first; shrinking: the largest, then the oldest.
  std::stable_sort(active.begin(), active.end(), [&](const auto& a, const auto& b) {
    if (a->replicas != b->replicas) return a->replicas > b->replicas;
    return left > 0 ? older(b, a) : older(a, b);
  });
  std::map<ReplicaSetRef, int> sizes;
  for (const ReplicaSetRef& set : active) {
    const std::string max_text = set->meta.annotation(kMaxAnnotation);
    int before = deployment_.status.replicas;
    std::from_chars(max_text.data(), max_text.data() + max_text.size(), before);
    const double share =
        before > 0 ? static_cast<double>(set->replicas) * allowed / before : set->replicas;
    int delta = static_cast<int>(std::lround(share)) - set->replicas;
    delta = left > 0 ? std::clamp(delta, 0, left) : std::clamp(delta, left, 0);
    sizes[set] = std::max(set->replicas + delta, 0);
    left -= delta;
  }
  sizes[active.front()] = std::max(sizes[active.front()] + left, 0);
  for (const ReplicaSetRef& set : active) scale(set, sizes[set]);
}

void Planner::clean_history() {
  if (!is_complete(deployment_, deployment_.status)) return;
  Sets idle;
  for (const ReplicaSetRef& set : old_)
    if (!set->meta.deleting) idle.push_back(set);
  const int surplus = static_cast<int>(idle.size()) - deployment_.revision_history_limit;
  if (surplus <= 0) return;
  std::sort(idle.begin(), idle.end(), [](const ReplicaSetRef& a, const ReplicaSetRef& b) {
    return std::pair(revision_of(a->meta), a->meta.created) <
           std::pair(revision_of(b->meta), b->meta.created);
  });
  for (int i = 0; i < surplus; ++i) {
    const ReplicaSet& set = *idle[i];
    if (set.status.replicas == 0 && set.replicas == 0 &&
        set.meta.generation <= set.status.observed_generation)
      plan_.removals.push_back(idle[i]);
  }
}

bool Planner::scale(const ReplicaSetRef& set, int replicas) {
  const int current = replicas_of(set);
  if (current == replicas || set->meta.deleting) return false;
  patch(set).replicas = replicas;
  annotate_size(set);
  patch(set).events.push_back(
      {"ScalingReplicaSet",
       fmt::format("Scaled {} replica set {} from {} to {}", replicas > current ? "up" : "down",
                   set->meta.name, current, replicas)});
  return true;
}

void Planner::annotate_size(const ReplicaSetRef& set) {
  set_annotation(set, kDesiredAnnotation, std::to_string(deployment_.replicas));
  set_annotation(set, kMaxAnnotation, std::to_string(deployment_.replicas + bounds_.surge));
}

int Planner::replicas_of(const ReplicaSetRef& set) const {
  for (const PatchReplicaSet& p : plan_.patches)
    if (p.set == set && p.replicas) return *p.replicas;
  return set->replicas;
}

int Planner::total_replicas(const Sets& sets) const {
  int total = 0;
  for (const ReplicaSetRef& set : sets) total += set->replicas;
  return total;
}

PatchReplicaSet& Planner::patch(const ReplicaSetRef& set) {
  for (PatchReplicaSet& p : plan_.patches)
    if (p.set == set) return p;
  plan_.patches.push_back({set, {}, {}, {}, false, false, {}});
  return plan_.patches.back();
}

void Planner::set_annotation(const ReplicaSetRef& set, const std::string& name,
                             const std::string& value) {
  const auto it = set->meta.annotations.find(name);
  if (it != set->meta.annotations.end() && it->second == value) return;
  patch(set).annotations[name] = value;
}

}  // namespace

RollingBounds rolling_bounds(const Deployment& deployment) {
  if (deployment.recreate) return {0, 0};
  RollingBounds bounds{resolve(deployment.max_surge, deployment.replicas, true),
                       resolve(deployment.max_unavailable, deployment.replicas, false)};
  if (bounds.surge == 0 && bounds.unavailable == 0) bounds.unavailable = 1;
  bounds.unavailable = std::min(bounds.unavailable, deployment.replicas);
  return bounds;
}

std::string template_hash(const std::string& print, std::optional<int> collision_count) {
  std::string input = print;
  if (collision_count) input += fmt::format("/{}", *collision_count);
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char byte : input) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3ULL;
  // Letters and digits that spell no words, as generated names have.
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  for (int i = 0; i < 10; ++i) {
    text += kAlphabet[hash % kAlphabet.size()];
    hash /= kAlphabet.size();
  }
  return text;
}

DeploymentPlan plan(const DeploymentState& state) {
  return Planner(state).run();
}

}  // namespace fairlead::orchestrator::controllers
