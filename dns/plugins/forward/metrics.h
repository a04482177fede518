// SPDX-License-Identifier: Apache-2.0
// What is counted of the upstream servers, under CoreDNS's names, for all `forward` of the program
// together. Threads: any. Counters go on when a configuration is replaced. There are at most
// kMaxServers servers, the rest are counted together as to="other".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/address.h"
#include "base/time.h"
#include "dns/metrics.h"

namespace fairlead::dns {

class ForwardMetrics {
 public:
  static constexpr size_t kMaxServers = 256;
  using Count = std::atomic<uint64_t>;
  enum Proto : uint8_t { kUdp, kTcp, kTls, kHttps };

  struct Durations {
    std::array<Count, kDurationBounds.size() + 1> buckets{};
    Count nanoseconds{0};
  };
  struct Server {
    std::array<Durations, 8> durations;  // by rcode; the last: others
    Count failed_probes{0};
    std::array<Count, 4> hits{};  // by Proto: an idle connection was there
    std::array<Count, 4> misses{};

    void observe(Rcode rcode, Duration duration);
  };

  // Kept for good.
  Server& server(const SocketAddress& address);
  void render(std::string& out) const;
  // Queries refused because their client had its share, by the label of the block. Kept for good.
  Count& shed(const std::string& server);
  std::vector<std::pair<std::string, uint64_t>> shed() const;

  Count all_down{0};  // a question met no server that is up
  Count rejects{0};   // over max_concurrent

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Server>> servers_;  // by label `to`; under mutex_
  std::map<std::string, Count> shed_;                       // under mutex_
};

}  // namespace fairlead::dns
