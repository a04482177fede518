// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/key_space.h"

#include <algorithm>

namespace fairlead::orchestrator::store {
namespace {

Error compacted_error(int64_t asked, int64_t compacted) {
  return Error(ErrorCode::kExpired, "too old resource version: " + std::to_string(asked) + " (" +
                                        std::to_string(compacted) + ")");
}

// What an event holds alone: its value, that value once more in the frame its watchers share, and
// what was there before unless an earlier event still holds it.
size_t size_of(const Event& event, bool holds_previous) {
  constexpr size_t kRest = 400;
  return 2 * (event.key.size() + event.value->size()) +
         (holds_previous ? event.previous->size() : 0) + kRest;
}

}  // namespace

Bytes Value::at(int64_t revision) const {
  if (revision_slot == kNoSlot) return std::make_shared<const std::string>(bytes);
  const std::string digits = std::to_string(revision);
  std::string text;
  text.reserve(bytes.size() + digits.size());
  text.append(bytes, 0, revision_slot).append(digits).append(bytes, revision_slot);
  return std::make_shared<const std::string>(std::move(text));
}

bool watches(std::string_view prefix, std::string_view key) {
  return prefix.ends_with('/') || prefix.empty() ? key.starts_with(prefix) : key == prefix;
}

void KeySpace::load(Entry entry) {
  std::string key = entry.key;
  entries_.insert_or_assign(std::move(key), std::move(entry));
}

const Entry* KeySpace::find(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

Result<RangeResult> KeySpace::range(const RangeOptions& options) const {
  if (options.revision == 0 || options.revision == revision_) return newest(options);
  if (options.revision < compacted_) return compacted_error(options.revision, compacted_);
  if (options.revision > revision_)
    return Error(ErrorCode::kInvalid, "revision " + std::to_string(options.revision) +
                                          " is in the future, the newest is " +
                                          std::to_string(revision_));
  return as_of(options);
}

RangeResult KeySpace::newest(const RangeOptions& options) const {
  RangeResult result;
  result.revision = revision_;
  auto it = options.after > options.prefix ? entries_.upper_bound(options.after)
                                           : entries_.lower_bound(options.prefix);
  for (; it != entries_.end() && it->first.starts_with(options.prefix); ++it) {
    if (options.limit != 0 && result.entries.size() == options.limit)
      ++result.remaining;
    else
      result.entries.push_back(it->second);
  }
  return result;
}

// The newest state with every later change undone, newest change first.
RangeResult KeySpace::as_of(const RangeOptions& options) const {
  RangeOptions all = options;
  all.limit = 0;
  std::map<std::string, Entry, std::less<>> then;
  for (Entry& entry : newest(all).entries) then.emplace(entry.key, entry);
  for (auto it = history_.rbegin(); it != history_.rend(); ++it) {
    if (it->event->revision <= options.revision) break;
    const std::string& key = it->event->key;
    if (!key.starts_with(options.prefix) || key <= options.after) continue;
    if (it->before.value)
      then.insert_or_assign(key, it->before);
    else
      then.erase(key);
  }
  RangeResult result;
  result.revision = options.revision;
  for (auto& [key, entry] : then) {
    if (options.limit != 0 && result.entries.size() == options.limit)
      ++result.remaining;
    else
      result.entries.push_back(std::move(entry));
  }
  return result;
}

Result<std::vector<EventRef>> KeySpace::changes(const WatchOptions& options) const {
  if (options.after_revision < compacted_)
    return compacted_error(options.after_revision, compacted_);
  const auto first = std::partition_point(history_.begin(), history_.end(), [&](const Past& past) {
    return past.event->revision <= options.after_revision;
  });
  std::vector<EventRef> events;
  for (auto it = first; it != history_.end(); ++it)
    if (watches(options.prefix, it->event->key)) events.push_back(it->event);
  return events;
}

EventRef KeySpace::apply(Event::Type type, const std::string& key, Bytes value, int64_t revision,
                         MonoTime now) {
  auto event = std::make_shared<Event>();
  event->type = type;
  event->key = key;
  event->value = std::move(value);
  event->revision = revision;
  Past past{nullptr, {}, now, 0};
  const auto it = entries_.find(key);
  if (it != entries_.end()) {
    past.before = it->second;
    event->previous = it->second.value;
  }
  if (type == Event::Type::kDelete) {
    if (!event->value) event->value = event->previous;
    if (it != entries_.end()) entries_.erase(it);
  } else {
    const int64_t created = past.before.value ? past.before.create_revision : revision;
    Entry entry{key, event->value, created, revision};
    if (it != entries_.end())
      it->second = std::move(entry);
    else
      entries_.emplace(key, std::move(entry));
  }
  past.event = event;
  revision_ = revision;
  past.bytes = size_of(*event, event->previous && past.before.mod_revision <= compacted_);
  history_bytes_ += past.bytes;
  history_.push_back(std::move(past));
  trim(now);
  return event;
}

void KeySpace::trim(MonoTime now) {
  const auto too_much = [this](size_t events, size_t bytes) {
    return history_.size() > events || history_bytes_ > bytes;
  };
  while (!history_.empty()) {
    const bool old = history_.front().at + limits_.age < now;
    const bool cut = too_much(limits_.hard_events, limits_.hard_bytes) ||
                     (old && too_much(limits_.soft_events, limits_.soft_bytes));
    if (!cut) return;
    drop_oldest();
  }
}

// Changes of one commit share a revision and are forgotten together.
void KeySpace::drop_oldest() {
  compacted_ = history_.front().event->revision;
  while (!history_.empty() && history_.front().event->revision <= compacted_) {
    history_bytes_ -= history_.front().bytes;
    history_.pop_front();
  }
}

void KeySpace::compact(int64_t revision) {
  while (!history_.empty() && history_.front().event->revision <= revision) drop_oldest();
  compacted_ = std::max(compacted_, std::min(revision, revision_));
}

}  // namespace fairlead::orchestrator::store
