// SPDX-License-Identifier: Apache-2.0
#include "base/rfc3339.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Rfc3339, ReadAndWrite) {
  const auto time = parse_rfc3339("2026-01-02T03:04:05.000006Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-01-02T03:04:05Z");
  EXPECT_EQ(to_rfc3339_micro(*time), "2026-01-02T03:04:05.000006Z");
  EXPECT_EQ(parse_rfc3339("2026-01-02T05:04:05+02:00"), parse_rfc3339("2026-01-02T03:04:05Z"));
  for (const char* bad : {"", "2026", "2026-13-02T03:04:05Z", "2026-01-02 03:04:05Z",
                          "2026-01-02T03:04:05", "2026-01-02T03:04:05Zx", "2026-01-02T03:04:05+2",
                          "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

}  // namespace
}  // namespace fairlead
