// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/volatile_book.h"

#include <algorithm>

namespace fairlead::orchestrator::store {

VolatileBook::VolatileBook(std::vector<VolatileKeys> rules) {
  for (VolatileKeys& rule : rules) shelves_.push_back({std::move(rule), {}, {}});
}

bool VolatileBook::covers(std::string_view key) const {
  return std::any_of(shelves_.begin(), shelves_.end(),
                     [&](const Shelf& shelf) { return key.starts_with(shelf.rule.prefix); });
}

bool VolatileBook::empty() const {
  return std::all_of(shelves_.begin(), shelves_.end(),
                     [](const Shelf& shelf) { return shelf.number.empty(); });
}

VolatileBook::Shelf* VolatileBook::shelf_of(std::string_view key) {
  for (Shelf& shelf : shelves_)
    if (key.starts_with(shelf.rule.prefix)) return &shelf;
  return nullptr;
}

void VolatileBook::written(const std::string& key, MonoTime now) {
  Shelf* shelf = shelf_of(key);
  if (shelf == nullptr) return;
  const auto [it, fresh] = shelf->number.try_emplace(key, next_);
  if (!fresh) {
    shelf->by_age.erase(it->second);
    it->second = next_;
  }
  shelf->by_age.emplace(next_++, std::pair(key, now));
}

void VolatileBook::removed(const std::string& key) {
  Shelf* shelf = shelf_of(key);
  if (shelf == nullptr) return;
  const auto it = shelf->number.find(key);
  if (it == shelf->number.end()) return;
  shelf->by_age.erase(it->second);
  shelf->number.erase(it);
}

std::vector<std::string> VolatileBook::due(MonoTime now) const {
  std::vector<std::string> keys;
  for (const Shelf& shelf : shelves_) {
    const size_t limit = shelf.rule.max_entries;
    size_t excess = limit != 0 && shelf.by_age.size() > limit ? shelf.by_age.size() - limit : 0;
    const bool ages = shelf.rule.ttl > Duration::zero();
    for (const auto& [number, item] : shelf.by_age) {
      const bool old = ages && item.second + shelf.rule.ttl <= now;
      if (!old && excess == 0) break;
      if (excess > 0) --excess;
      keys.push_back(item.first);
    }
  }
  return keys;
}

std::optional<MonoTime> VolatileBook::next_due() const {
  std::optional<MonoTime> next;
  for (const Shelf& shelf : shelves_) {
    if (shelf.rule.ttl <= Duration::zero() || shelf.by_age.empty()) continue;
    const MonoTime at = shelf.by_age.begin()->second.second + shelf.rule.ttl;
    if (!next || at < *next) next = at;
  }
  return next;
}

}  // namespace fairlead::orchestrator::store
