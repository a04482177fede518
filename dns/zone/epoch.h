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

  // One for each reading thread. Any thread; no more than kMaxReaders at a time.
  size_t add_reader() {
    for (size_t i = 0;; ++i) {
      assert(i < kMaxReaders);
      if (slots_[i].taken.exchange(true)) continue;
      size_t known = readers_.load();
      while (known <= i && !readers_.compare_exchange_weak(known, i + 1)) {
      }
      return i;
    }
  }
  // From outside.
  void remove_reader(size_t reader) { slots_[reader].taken.store(false); }

  // A reader's stay; stays do not nest (Guard does).
  void enter(size_t reader) { slots_[reader].epoch.store(epoch_.load()); }
  void leave(size_t reader) { slots_[reader].epoch.store(0, std::memory_order_release); }

  // Writer: everything replaced so far is behind the pointer just published. Returns the epoch it
  // ended.
  uint64_t advance() { return epoch_.fetch_add(1); }
  // Writer: what was replaced in an epoch before this one is out of reach.
  uint64_t oldest() const {
    uint64_t oldest = UINT64_MAX;
    const size_t readers = readers_.load();
    for (size_t i = 0; i < readers; ++i) {
      const uint64_t epoch = slots_[i].epoch.load();
      if (epoch != 0 && epoch < oldest) oldest = epoch;
    }
    return oldest;
  }

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};  // zero: outside
    std::atomic<bool> taken{false};
  };
  alignas(64) std::atomic<uint64_t> epoch_{1};
  std::atomic<size_t> readers_{0};  // the highest slot ever taken, and one
  std::array<Slot, kMaxReaders> slots_;
};

}  // namespace fairlead::dns
