// SPDX-License-Identifier: Apache-2.0
// Many random changes beside a Service that never changes: not one of its connections fails, no UDP
// flow of it stalls, and in the end nothing has been left behind, in the kernel or here.
// FAIRLEAD_CHANGES says how many; `scripts/test soak` asks for a million.
#include <dirent.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>

#include "tests/kernel/proxy/changes.h"
#include "tests/support/seed.h"

#if defined(__SANITIZE_ADDRESS__)
// Of the sanitizer's run-time library; its header is not packaged with the compiler.
extern "C" size_t
__sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)
#endif

namespace fairlead::proxy {
namespace {

using namespace test;

// Bytes of the heap in use, whatever the allocator keeps for later.
size_t heap_in_use() {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

int open_files() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (directory != nullptr && readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

struct Footprint {
  size_t heap;
  std::string kernel;
};

// With every random Service gone and all cleaned up.
Footprint at_rest(Cluster& cluster, RandomChanges& changes) {
  changes.remove_all();
  cluster.settle();
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.proxy().idle() && cluster.proxy().programmer(Family::kIpv4).tidy() &&
           cluster.proxy().programmer(Family::kIpv6).tidy();
  }));
  return {heap_in_use(), cluster.kernel_state(Family::kIpv4) + cluster.kernel_state(Family::kIpv6)};
}

TEST(Soak, ManyChangesDisturbNobodyAndLeaveNothing) {
  const char* given = std::getenv("FAIRLEAD_CHANGES");
  const int total = given != nullptr ? std::atoi(given) : 3000;
  ASSERT_GE(total, 100);
  Cluster cluster;
  cluster.start_proxy();
  put_web(cluster);
  cluster.proxy().start();
  cluster.settle();
  const int files = open_files();
  RandomChanges changes(cluster.proxy(), fairlead::test::random_seed());
  Traffic v4(cluster, "client", "10.96.0.1:80");
  Traffic v6(cluster, "client", "[fd00:96::1]:80");
  UdpFlow udp(cluster, "client", "10.96.0.1:80");
  const auto programmed = [&] {
    return cluster.proxy().programmer(Family::kIpv4).idle() &&
           cluster.proxy().programmer(Family::kIpv6).idle();
  };
  Footprint before{};
  for (int i = 0; i < total; ++i) {
    changes.change();
    // Bursts of any length: what comes while a commit is under way is joined to the next.
    if (changes.below(8) == 0) EXPECT_TRUE(cluster.run_until(programmed));
    if (i == total / 10) before = at_rest(cluster, changes);
    if (i % (total / 20) == 0) {
      cluster.settle();
      expect_settled(cluster, "change " + std::to_string(i));
      std::printf("%d of %d changes, %d connections\n", i, total,
                  v4.connections() + v6.connections());
      std::fflush(stdout);
    }
  }
  const Footprint after = at_rest(cluster, changes);
  v4.stop();
  v6.stop();
  udp.stop();
  EXPECT_EQ(after.kernel, before.kernel);
  EXPECT_EQ(open_files(), files);
  EXPECT_LT(after.heap, before.heap + 128 * 1024);
  EXPECT_EQ(v4.failures(), 0) << "of " << v4.connections();
  EXPECT_EQ(v6.failures(), 0) << "of " << v6.connections();
  EXPECT_EQ(udp.stalls(), 0) << "of " << udp.answers();
  EXPECT_EQ(udp.ends(), 1) << "the flow was sent elsewhere although its endpoint was well";
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(cluster.proxy().programmer(family).status().failures, 0u);
    EXPECT_EQ(cluster.proxy().programmer(family).status().readings, 1u);
  }
}

}  // namespace
}  // namespace fairlead::proxy
