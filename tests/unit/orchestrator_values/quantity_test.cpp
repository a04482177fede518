// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/values/quantity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>

namespace fairlead::orchestrator {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

struct Case {
  const char* text;
  int64_t value;
  int64_t milli;
  const char* canonical;
};

const Case kCases[] = {
    {"0", 0, 0, "0"},
    {"1", 1, 1000, "1"},
    {"+2", 2, 2000, "2"},
    {"-1", -1, -1000, "-1"},
    {"-0", 0, 0, "0"},
    {"0000000000001", 1, 1000, "1"},
    // The point.
    {"0.5", 1, 500, "500m"},
    {".5", 1, 500, "500m"},
    {"5.", 5, 5000, "5"},
    {"1.G", 1000000000, 1000000000000, "1G"},
    {"0.1", 1, 100, "100m"},
    {"1.2345", 2, 1235, "1234500u"},
    {"100.035k", 100035, 100035000, "100035"},
    // Decimal suffixes.
    {"1n", 1, 1, "1n"},
    {"1u", 1, 1, "1u"},
    {"100m", 1, 100, "100m"},
    {"1500m", 2, 1500, "1500m"},
    {"1000m", 1, 1000, "1"},
    {"1k", 1000, 1000000, "1k"},
    {"1000k", 1000000, 1000000000, "1M"},
    {"1G", 1000000000, 1000000000000, "1G"},
    {"1T", 1000000000000, 1000000000000000, "1T"},
    {"9P", 9000000000000000, 9000000000000000000, "9P"},
    {"1E", 1000000000000000000, kMax, "1E"},
    {"128974848", 128974848, 128974848000, "128974848"},
    // Binary suffixes: small and broken ones are written as decimals.
    {"1Ki", 1024, 1024000, "1Ki"},
    {"1024Mi", 1073741824, 1073741824000, "1Gi"},
    {"1500Mi", 1572864000, 1572864000000, "1500Mi"},
    {"1.5Gi", 1610612736, 1610612736000, "1536Mi"},
    {"123Mi", 128974848, 128974848000, "123Mi"},
    {"0.5Ki", 512, 512000, "512"},
    {"-0.5Ki", -512, -512000, "-512"},
    {"1.0005Ki", 1025, 1024512, "1024512m"},
    {"-2Ki", -2048, -2048000, "-2Ki"},
    {"1Ti", 1099511627776, 1099511627776000, "1Ti"},
    {"1Pi", 1125899906842624, 1125899906842624000, "1Pi"},
    {"7Ei", 8070450532247928832, kMax, "7Ei"},
    // Exponents.
    {"1e3", 1000, 1000000, "1e3"},
    {"1E3", 1000, 1000000, "1e3"},
    {"1e4", 10000, 10000000, "10e3"},
    {"12e+2", 1200, 1200000, "1200"},
    {"1e-3", 1, 1, "1e-3"},
    {"1e-4", 1, 1, "100e-6"},
    {"5e0", 5, 5000, "5"},
    {"1e003", 1000, 1000000, "1e3"},
    // Finer than a nano: away from zero.
    {"0.9n", 1, 1, "1n"},
    {"1.1n", 1, 1, "2n"},
    {"-0.1n", -1, -1, "-1n"},
    {"0.0000000001", 1, 1, "1n"},
    {"0.000000001Gi", 2, 1074, "1073741824n"},
    {"0.0000000001Ki", 1, 1, "103n"},
    {"1e-2147483648", 1, 1, "1e-9"},
    {"0e2147483647", 0, 0, "0"},
    {"-1.5", -2, -1500, "-1500m"},
    {"999999999.9999999999", 1000000000, 1000000000000, "1G"},
    // The ends: binary quantities stop at 2^63-1, decimal ones go on.
    {"8Ei", kMax, kMax, "9223372036854775807"},
    {"-9Ei", -kMax, kMin, "-9223372036854775807"},
    {"9223372036854775807", kMax, kMax, "9223372036854775807"},
    {"-9223372036854775808", kMin, kMin, "-9223372036854775808"},
    {"18446744073709551616", kMax, kMax, "18446744073709551616"},
    {"1000E", kMax, kMax, "1e21"},
    {"1e30", kMax, kMax, "1e30"},
    {"-1e30", kMin, kMin, "-1e30"},
    {"1e2147483647", kMax, kMax, "10e2147483646"},
    {"12345678901234567890123456789", kMax, kMax, "12345678901234567890123456789"},
};

TEST(Quantity, Table) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    const auto quantity = Quantity::parse(c.text);
    ASSERT_TRUE(quantity);
    EXPECT_EQ(quantity->value(), c.value);
    EXPECT_EQ(quantity->milli(), c.milli);
    EXPECT_EQ(quantity->canonical(), c.canonical);
    const auto again = Quantity::parse(quantity->canonical());
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *quantity);
    EXPECT_EQ(again->canonical(), c.canonical);
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  constexpr const char* kFormat = "quantities must match the regular expression";
  constexpr const char* kSuffix = "unable to parse quantity's suffix";
  const std::pair<const char*, const char*> cases[] = {
      {"", kFormat},        {"m", kFormat},
      {".", kFormat},       {"-", kFormat},
      {"--1", kFormat},     {"+-1", kFormat},
      {"1.2.3", kFormat},   {"1.1.M", kFormat},
      {"1 ", kFormat},      {" 1", kFormat},
      {"1 Gi", kFormat},    {"1,5", kFormat},
      {"aoeu", kFormat},    {"1+1.0M", kFormat},
      {"0x10", kFormat},    {"NaN", kFormat},
      {"1Q", kFormat},      {"1e3m", kFormat},
      {"1e-", kSuffix},     {"1e+", kSuffix},
      {"1e", kSuffix},      {"1ee3", kSuffix},
      {"1e+-3", kFormat},   {"1mm", kSuffix},
      {"0.1mi", kSuffix},   {"1i", kSuffix},
      {".5i", kSuffix},     {"1K", kSuffix},
      {"1ki", kSuffix},     {"1-3", kSuffix},
      {"-3.01e-", kSuffix}, {"1e2147483648", kSuffix},
      {"1Kib", kFormat},    {"1e9999999999999999999", kSuffix},
  };
  for (const auto& [text, words] : cases) {
    const auto quantity = Quantity::parse(text);
    ASSERT_FALSE(quantity) << text;
    EXPECT_TRUE(quantity.error().message().starts_with(words)) << quantity.error().message();
  }
  EXPECT_TRUE(Quantity::parse(std::string(Quantity::kMaxLength, '1')));
  EXPECT_FALSE(Quantity::parse(std::string(Quantity::kMaxLength + 1, '1')));
}

TEST(Quantity, ComparesByAmount) {
  const char* const rising[] = {"-1e30", "-9Ei", "-2", "-1500m", "-1",    "-1n", "0",
                                "1n",    "999u", "1m", "1",      "1001m", "2",   "10",
                                "1Ki",   "1025", "1M", "1Mi",    "8Ei",   "1e30"};
  for (size_t i = 0; i < std::size(rising); ++i)
    for (size_t j = 0; j < std::size(rising); ++j)
      EXPECT_EQ(*Quantity::parse(rising[i]) <=> *Quantity::parse(rising[j]), i <=> j)
          << rising[i] << " and " << rising[j];
  EXPECT_EQ(*Quantity::parse("1"), *Quantity::parse("1000m"));
  EXPECT_EQ(*Quantity::parse("1Ki"), *Quantity::parse("1024"));
  EXPECT_EQ(*Quantity::parse("-0"), Quantity());
}

TEST(Quantity, RandomTextsReadBack) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const unsigned seed = given ? std::atoi(given) : std::random_device{}();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const auto value = static_cast<int64_t>(random() % 1000000000000ULL);
    const std::string digits = std::to_string(value);
    EXPECT_EQ(Quantity::parse(digits + "m")->milli(), value);
    EXPECT_EQ(Quantity::parse("-" + digits)->value(), -value);
    EXPECT_EQ(Quantity::parse(digits + "Ki")->value(), value * 1024);
    EXPECT_EQ(Quantity::parse(digits + "e-3")->milli(), value);
    std::string noise;
    for (size_t n = random() % 8; n > 0; --n) noise += "0123456789.eEmKi+-"[random() % 18];
    if (const auto parsed = Quantity::parse(noise)) {
      EXPECT_EQ(*Quantity::parse(parsed->canonical()), *parsed) << noise;
    }
  }
}

}  // namespace
}  // namespace fairlead::orchestrator
