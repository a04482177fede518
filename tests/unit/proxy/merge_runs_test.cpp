// SPDX-License-Identifier: Apache-2.0
#include "proxy/merge_runs.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

TEST(MergeRuns, SortsAnyNumberOfRuns) {
  std::mt19937_64 rng(fairlead::test::random_seed());
  for (int round = 0; round < 500; ++round) {
    std::vector<int> list;
    const size_t runs = rng() % 40;
    for (size_t run = 0; run < runs; ++run) {
      std::vector<int> part(rng() % 20);
      for (int& number : part) number = static_cast<int>(rng() % 100);
      std::sort(part.begin(), part.end());
      list.insert(list.end(), part.begin(), part.end());
    }
    std::vector<int> expected = list;
    std::sort(expected.begin(), expected.end());
    merge_runs(list, std::less<>());
    ASSERT_EQ(list, expected);
  }
}

TEST(MergeRuns, FewRunsKeepTheOrderOfEquals) {
  using Pair = std::pair<int, int>;
  std::vector<Pair> list;
  for (int run = 0; run < 3; ++run)
    for (int number = 0; number < 10; ++number) list.emplace_back(number, run);
  merge_runs(list, [](const Pair& a, const Pair& b) { return a.first < b.first; });
  for (int i = 0; i < 30; ++i) EXPECT_EQ(list[static_cast<size_t>(i)], Pair(i / 3, i % 3));
}

}  // namespace
}  // namespace fairlead::proxy
