// SPDX-License-Identifier: Apache-2.0
// What one worker counts for one service port. Pure.
//
// Threads: one writes, any reads: a plain load and store each, no locked instruction. Who reads a
// value sees what its writer counted before it.
#pragma once

#include <atomic>
#include <cstdint>

namespace fairlead::proxy::stream {

class Count {
 public:
  void add(uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_release);
  }
  void take(uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_release);
  }
  uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t> value_{0};
};

// On cache lines of its own: other workers write their own beside it.
struct alignas(64) Counters {
  Count opened;          // connections, or UDP sessions, that a client began
  Count open;            // now
  Count failed;          // no endpoint was reached
  Count held;            // waited for an endpoint, or do
  Count waiting;         // now
  Count denied;          // the source is in no range, and the kernel let it in
  Count retried;         // another endpoint was tried, or one once more
  Count ejected;         // an endpoint was
  Count client_bytes;    // from clients to endpoints
  Count server_bytes;    // from endpoints to clients
  Count connected;       // connections to endpoints that were made
  Count connect_micros;  // what those took in all
};

// What one worker counts of itself.
struct WorkerCounters {
  Count pauses;             // of accepting: no room for more connections
  Count timeouts;           // connections ended for being idle
  Count evicted_sessions;   // UDP sessions ended to make room
  Count dropped_datagrams;  // that no endpoint takes, or is there, or no room for
  Count pipes;              // made, for splice(2)
  Count deaf;               // sockets, now, that the kernel has no room to watch
  Count unkept_sources;     // of clients, which endpoints should have seen
  Count answered;           // the last ping of the control loop
};

}  // namespace fairlead::proxy::stream
