// SPDX-License-Identifier: Apache-2.0
#include "base/rfc3339.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Rfc3339, RoundTrips) {
  for (const char* text :
       {"1970-01-01T00:00:00Z", "2026-11-23T17:50:36Z", "2000-02-29T23:59:59Z"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(to_rfc3339(*time), text);
  }
  const auto log = parse_rfc3339("1970-01-01T00:00:01.678901234567Z");  // a container's
  ASSERT_TRUE(log);
  EXPECT_EQ(log->time_since_epoch(), std::chrono::nanoseconds(1'678'901'234));
}

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
