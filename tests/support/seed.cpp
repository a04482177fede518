// SPDX-License-Identifier: Apache-2.0
#include "tests/support/seed.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace fairlead::test {

uint64_t random_seed() {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("FAIRLEAD_SEED=%" PRIu64 "\n", seed);
  std::fflush(stdout);
  return seed;
}

}  // namespace fairlead::test
