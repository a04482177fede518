// SPDX-License-Identifier: Apache-2.0
// Tells one writer when no reader can still hold what it has replaced (quiescent-state
// reclamation). Readers pay two stores to a cache line of their own for each stay; they never wait
// and never retry.
//
// How: a reader notes the epoch before it loads the published pointer. The writer publishes first
// and then begins a new epoch, so a reader that notes the new epoch sees the new pointer. What was
// replaced in epoch e may go once every reader inside noted an epoch after e. All of these accesses
// are sequentially consistent: a reader that comes in while the writer looks is in the new epoch.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace fairlead::dns {

class Epochs {
 public:
  static constexpr size_t kMaxReaders = 128;

  // One for each reading thread. Before the threads start, or under the caller's lock.
  size_t add_reader() {
    assert(readers_ < kMaxReaders);
    return readers_++;
  }

  // A reader's stay; stays do not nest (Guard does).
  void enter(size_t reader) { slots_[reader].epoch.store(epoch_.load()); }
  void leave(size_t reader) { slots_[reader].epoch.store(0, std::memory_order_release); }

  // Writer: everything replaced so far is behind the pointer just published. Returns the epoch it
  // ended.
  uint64_t advance() { return epoch_.fetch_add(1); }
  // Writer: what was replaced in an epoch before this one is out of reach.
  uint64_t oldest() const {
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < readers_; ++i) {
      const uint64_t epoch = slots_[i].epoch.load();
      if (epoch != 0 && epoch < oldest) oldest = epoch;
    }
    return oldest;
  }

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};  // zero: outside
  };
  alignas(64) std::atomic<uint64_t> epoch_{1};
  size_t readers_ = 0;
  std::array<Slot, kMaxReaders> slots_;
};

}  // namespace fairlead::dns
