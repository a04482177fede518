// SPDX-License-Identifier: Apache-2.0
// Which volatile keys there are, and which are due to go: too old, or too many. Pure.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>

#include "orchestrator/store/sqlite_store.h"

namespace fairlead::orchestrator::store {

class VolatileBook {
 public:
  explicit VolatileBook(std::vector<VolatileKeys> rules);

  bool covers(std::string_view key) const;
  bool empty() const;  // no such key is there
  void written(const std::string& key, MonoTime now);
  void removed(const std::string& key);
  // Keys past their time or over the limit, oldest first.
  std::vector<std::string> due(MonoTime now) const;
  // When the oldest key falls due; nothing is due by age before.
  std::optional<MonoTime> next_due() const;

 private:
  struct Shelf {
    VolatileKeys rule;
    std::map<uint64_t, std::pair<std::string, MonoTime>> by_age;
    std::unordered_map<std::string, uint64_t> number;
  };
  Shelf* shelf_of(std::string_view key);

  std::vector<Shelf> shelves_;
  uint64_t next_ = 0;
};

}  // namespace fairlead::orchestrator::store
