// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/slice_set.h"

#include <boost/intrusive/unordered_set.hpp>
#include <utility>

namespace fairlead::dns {
namespace {

namespace intrusive = boost::intrusive;

using Key = std::pair<std::string_view, std::string_view>;  // namespace and name

struct KeyOf {
  using type = Key;
  Key operator()(const Slice& slice) const { return {slice.service().ns(), slice.name()}; }
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    return seeded_hash(key.first) * 31 + seeded_hash(key.second);
  }
};

using Links =
    intrusive::unordered_set<Slice, intrusive::key_of_value<KeyOf>, intrusive::hash<KeyHash>,
                             intrusive::equal<std::equal_to<Key>>, intrusive::power_2_buckets<true>,
                             intrusive::constant_time_size<true>>;
using Buckets = std::vector<Links::bucket_type>;

constexpr size_t kFirstBuckets = 16;

}  // namespace

// As many buckets as slices, or fewer by half: they never become fewer.
struct SliceSet::Table {
  Buckets buckets{kFirstBuckets};
  Links links{Links::bucket_traits(buckets.data(), buckets.size())};
};

SliceSet::SliceSet() : table_(std::make_unique<Table>()) {}
SliceSet::~SliceSet() = default;

bool SliceSet::empty() const {
  return table_->links.empty();
}

Slice* SliceSet::find(std::string_view ns, std::string_view name) const {
  const auto at = table_->links.find(Key(ns, name));
  return at == table_->links.end() ? nullptr : &*at;
}

void SliceSet::insert(Slice& slice) {
  if (table_->links.size() >= table_->buckets.size()) {
    Buckets more(table_->buckets.size() * 2);
    table_->links.rehash(Links::bucket_traits(more.data(), more.size()));
    table_->buckets.swap(more);
  }
  table_->links.insert(slice);
}

void SliceSet::erase(Slice& slice) {
  table_->links.erase(table_->links.iterator_to(slice));
}

std::vector<const Slice*> SliceSet::all() const {
  std::vector<const Slice*> all;
  all.reserve(table_->links.size());
  for (const Slice& slice : table_->links) all.push_back(&slice);
  return all;
}

}  // namespace fairlead::dns
