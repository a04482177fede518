// SPDX-License-Identifier: Apache-2.0
// Slices by namespace and name, in a hash table linked through the slices themselves: a node for
// each would be as large as a small slice. Owns none; a slice must be taken out before it goes.
// Pure; one thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "dns/zone/slice.h"

namespace fairlead::dns {

class SliceSet {
 public:
  SliceSet();
  ~SliceSet();
  SliceSet(const SliceSet&) = delete;
  SliceSet& operator=(const SliceSet&) = delete;

  bool empty() const;
  // Null: there is none.
  Slice* find(std::string_view ns, std::string_view name) const;
  // One of a name that is not in it.
  void insert(Slice& slice);
  void erase(Slice& slice);
  std::vector<const Slice*> all() const;

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace fairlead::dns
