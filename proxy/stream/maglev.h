// SPDX-License-Identifier: Apache-2.0
// A table that takes a client's hash to an endpoint, so that a change of endpoints moves few
// clients but those of the endpoint that left: Maglev hashing (Eisenbud et al., "Maglev: A Fast and
// Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Pure.
//
// The same endpoints give the same table in every thread, process and node. The table has 4,093
// places for up to 40 endpoints and 65,521 above: a hundred places an endpoint keep shares within
// one percent of each other, and beyond 655 endpoints they drift slowly. The one step between the
// two sizes moves everybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/address.h"

namespace fairlead::proxy::stream {

// Bits of a value spread over the whole word (the finalizer of MurmurHash3, public domain).
uint64_t spread(uint64_t value);
// Of an address, port or not; equal for equal values only by chance.
uint64_t hash_of(const IpAddress& address, uint16_t port = 0);

class MaglevTable {
 public:
  static constexpr size_t kSmall = 4093, kLarge = 65521;  // primes
  static constexpr size_t kMostInSmall = 40;

  // Index into `endpoints` at each place. Each endpoint once, at least one.
  explicit MaglevTable(const std::vector<SocketAddress>& endpoints);

  size_t size() const { return places_.size(); }
  size_t at(size_t place) const { return places_[place % places_.size()]; }

 private:
  std::vector<uint32_t> places_;
};

// One table for all workers, made by the one that first asks. Any thread.
class SharedMaglev {
 public:
  // The same `endpoints` at each call.
  const MaglevTable& get(const std::vector<SocketAddress>& endpoints) {
    std::call_once(once_, [&] { table_.emplace(endpoints); });
    return *table_;
  }

 private:
  std::once_flag once_;
  std::optional<MaglevTable> table_;
};

}  // namespace fairlead::proxy::stream
