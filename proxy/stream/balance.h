// SPDX-License-Identifier: Apache-2.0
// Which endpoint a new connection goes to. Pure: no clock, no global randomness; the same seed and
// the same calls give the same choices. One thread: every worker has its own. Where the first turn
// is follows from the seed: many workers and nodes do not all begin at the first endpoint.
//
// Only endpoints the view calls usable are chosen; which they are and how busy, the caller knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "proxy/stream/maglev.h"

namespace fairlead::proxy::stream {

enum class Policy : uint8_t {
  kRoundRobin,
  kRandom,
  kLeastConnections,  // of this worker; looks at every endpoint
  kTwoChoices,        // the less busy of two at random (Mitzenmacher, 2001)
  kSourceHash,        // of the client's address: see maglev.h
};
const char* to_string(Policy policy);  // "round-robin", "random", "least-connections", ...
std::optional<Policy> parse_policy(std::string_view name);

// What is known of the endpoints, by index.
class LoadView {
 public:
  virtual ~LoadView() = default;
  virtual uint32_t open(size_t index) const = 0;  // connections
  virtual bool usable(size_t index) const = 0;
};

class Balancer {
 public:
  Balancer(Policy policy, uint64_t seed)
      : policy_(policy), random_(seed), turn_(next_random() >> 32) {}

  // Takes the place of what was there before; each once. `table`: of exactly these.
  void set_endpoints(std::vector<SocketAddress> endpoints,
                     std::shared_ptr<SharedMaglev> table = std::make_shared<SharedMaglev>());
  // nullopt: none is usable.
  std::optional<size_t> choose(const IpAddress& client, const LoadView& view);
  // The same by kSourceHash, whatever the policy is.
  std::optional<size_t> choose_by_source(const IpAddress& client, const LoadView& view);

 private:
  uint64_t next_random();
  size_t draw(size_t below);
  std::optional<size_t> random_usable(const LoadView& view);
  std::optional<size_t> first_usable(size_t start, const LoadView& view) const;
  std::optional<size_t> least_busy(const LoadView& view);
  std::optional<size_t> less_busy_of_two(const LoadView& view);

  const Policy policy_;
  uint64_t random_;
  size_t turn_;  // of which one, beyond their number too
  std::vector<SocketAddress> endpoints_;
  std::shared_ptr<SharedMaglev> table_;
};

}  // namespace fairlead::proxy::stream
