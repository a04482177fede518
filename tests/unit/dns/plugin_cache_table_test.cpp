// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "dns/plugins/cache/table.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::seconds;

constexpr std::array<uint8_t, 16> kSecret = {1, 2, 3};

CacheKey key(const std::string& name, Type type = Type::kA) {
  const Bytes packet = make_query(name, type);
  Query query;
  parse_query(packet, query);
  return CacheKey(query, kSecret);
}
bool store(CacheTable& table, const std::string& name, int ttl, size_t size = 20,
           MonoTime now = MonoTime(), CacheKind kind = CacheKind::kSuccess) {
  return table.store(key(name), kind, Bytes(size), Rcode::kNoError, static_cast<uint32_t>(ttl),
                     now);
}

TEST(PluginCacheTable, TheLeastRecentlyUsedGoes) {
  CacheTable table(3, 3);
  for (const char* name : {"a", "b", "c"}) store(table, name, 60);
  EXPECT_NE(table.find(key("A")), nullptr);
  store(table, "d", 60);
  EXPECT_EQ(table.find(key("b")), nullptr);
  for (const char* name : {"a", "c", "d"}) EXPECT_NE(table.find(key(name)), nullptr) << name;
  EXPECT_EQ(table.entries(CacheKind::kSuccess), 3U);
  EXPECT_EQ(table.evictions(CacheKind::kSuccess), 1U);
}

TEST(PluginCacheTable, TheExpiredGoFirst) {
  CacheTable table(3, 3);
  store(table, "a", 60);
  store(table, "b", 5);
  store(table, "c", 60);
  store(table, "d", 60, 20, MonoTime(seconds(10)));
  EXPECT_EQ(table.find(key("b")), nullptr);
  EXPECT_NE(table.find(key("a")), nullptr);
}

TEST(PluginCacheTable, KindsHaveTheirOwnRoomAndOneKeyOneReply) {
  CacheTable table(1, 1);
  store(table, "a", 60);
  store(table, "b", 60, 20, MonoTime(), CacheKind::kDenial);
  EXPECT_NE(table.find(key("a")), nullptr);
  store(table, "a", 60, 20, MonoTime(), CacheKind::kDenial);
  EXPECT_EQ(table.entries(CacheKind::kSuccess), 0U);
  EXPECT_EQ(table.find(key("b")), nullptr);
  EXPECT_EQ(table.find(key("a"))->kind(), CacheKind::kDenial);
}

TEST(PluginCacheTable, BoundedInBytes) {
  CacheTable table(10, 10);
  EXPECT_FALSE(store(table, "huge", 60, CacheTable::kMaxKept + 1));
  for (int i = 0; i < 10; ++i) store(table, "n" + std::to_string(i), 60, 3000);
  EXPECT_EQ(table.entries(CacheKind::kSuccess), 3U);
  EXPECT_LE(table.bytes(CacheKind::kSuccess), 10 * CacheTable::kBytesPerEntry);
}

// Against a plain model: what is found is what was stored last.
TEST(PluginCacheTable, Random) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  CacheTable table(200, 50);
  std::map<std::string, size_t> stored;
  for (int i = 0; i < 20000; ++i) {
    const std::string name = "n" + std::to_string(random() % 400);
    if (random() % 2 == 0) {
      const size_t size = random() % 64 + 1;
      const auto kind = random() % 3 == 0 ? CacheKind::kDenial : CacheKind::kSuccess;
      ASSERT_TRUE(store(table, name, 60, size, MonoTime(), kind));
      stored[name] = size;
    }
    const CacheEntry* entry = table.find(key(name));
    if (entry != nullptr) {
      ASSERT_EQ(entry->message().size(), stored.at(name)) << "seed " << seed;
    }
    ASSERT_LE(table.entries(CacheKind::kSuccess), 200U);
    ASSERT_LE(table.entries(CacheKind::kDenial), 50U);
  }
}

}  // namespace
}  // namespace fairlead::dns::test
