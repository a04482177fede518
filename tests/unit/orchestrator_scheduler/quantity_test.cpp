// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/quantity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace fairlead::orchestrator::scheduling {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

struct Case {
  const char* text;
  int64_t value;
  int64_t milli;
};

TEST(Quantity, Table) {
  const Case cases[] = {
      {"0", 0, 0},
      {"1", 1, 1000},
      {"+1", 1, 1000},
      {"-1", -1, -1000},
      {"100m", 1, 100},
      {"1500m", 2, 1500},
      {"0.5", 1, 500},
      {".5", 1, 500},
      {"5.", 5, 5000},
      {"0.1", 1, 100},
      {"1e3", 1000, 1000000},
      {"1E3", 1000, 1000000},
      {"1e-3", 1, 1},
      {"12e+2", 1200, 1200000},
      {"1k", 1000, 1000000},
      {"1Ki", 1024, 1024000},
      {"1.5Gi", 1610612736, 1610612736000},
      {"128974848", 128974848, 128974848000},
      {"123Mi", 128974848, 128974848000},
      {"1G", 1000000000, 1000000000000},
      {"1E", 1000000000000000000, kMax},
      {"7Ei", 8070450532247928832, kMax},
      {"8Ei", kMax, kMax},
      {"1e30", kMax, kMax},
      {"1n", 1, 1},
      {"1u", 1, 1},
      {"0.0000000001", 1, 1},
      {"0.000000001Gi", 2, 1074},
      {"0000000000001", 1, 1000},
  };
  for (const Case& c : cases) {
    const auto quantity = Quantity::parse(c.text);
    ASSERT_TRUE(quantity) << c.text;
    EXPECT_EQ(quantity->value(), c.value) << c.text;
    EXPECT_EQ(quantity->milli(), c.milli) << c.text;
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const char* text : {"", "m", ".", "-", "1.2.3", "1mm", "1 ", " 1", "1Kib", "ki", "1e", "1e+",
                           "1e3m", "0x10", "1K", "NaN", "1,5"})
    EXPECT_FALSE(Quantity::parse(text)) << text;
  EXPECT_FALSE(Quantity::parse(std::string(100, '1')));
}

TEST(Quantity, RandomIntegersAndMillisReadBack) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const unsigned seed = given ? std::atoi(given) : std::random_device{}();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const int64_t value = static_cast<int64_t>(random() % 1000000000000ULL);
    const std::string digits = std::to_string(value);
    EXPECT_EQ(Quantity::parse(digits + "m")->milli(), value);
    EXPECT_EQ(Quantity::parse(digits)->value(), value);
    EXPECT_EQ(Quantity::parse(digits + "Ki")->value(), value * 1024);
    EXPECT_EQ(Quantity::parse(digits + "e-3")->milli(), value);
    std::string noise;
    for (size_t n = random() % 8; n > 0; --n) noise += "0123456789.eEmKi+-"[random() % 18];
    const auto parsed = Quantity::parse(noise);
    if (parsed) {
      EXPECT_LE(parsed->value(), kMax) << noise;
    }
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::scheduling
